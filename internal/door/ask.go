package door

import (
	"crypto/rand"

	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// Ask makes the caller that a client's signed request comes to, in a session of
// its own, for what calls a node in its own process: measurements, and tests of
// what lies behind the gate. The procedure is the RPC's, with its slash. The
// caller has no verdict, and nothing attached: the gate's decision is not made
// here.
func Ask(at Identity, by key.Signer, procedure string, m proto.Message) Caller {
	c := Caller{Principal: holo.PrincipalID(by.Public()), Key: holo.PrincipalID(by.Public()), Procedure: procedure[1:]}
	rand.Read(c.Session[:])
	api.BindSession(&c.Session, at.Cluster(), at.Self())
	var random [8]byte
	rand.Read(random[:])
	c.Stamp = api.NewStamp(at.CatalogVersion(), random, "")
	request, err := proto.Marshal(m)
	if err != nil {
		panic("bug: a request does not encode: " + err.Error())
	}
	c.Request = request
	c.Digest = api.RequestDigest(c.Stamp, c.Request)
	c.Signature = by.Sign(c.Proof())
	return c
}
