package ownership

import (
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

var cluster = holo.ClusterID{7}

func genesis(owner, node key.Signer) wire.ChainRecord {
	r := wire.ChainRecord{Kind: wire.ChainGenesis, Time: 1, Node: node.Public(), Name: "n", Owner: owner.Public()}
	copy(r.OwnerSig[:], owner.Sign(wire.GenesisProof(cluster, r.Owner, r.Node, r.Name, r.Time)))
	return r
}

func tokenKey(owner key.Signer, registrant holo.PrincipalID) wire.TokenKeyRecord {
	r := wire.TokenKeyRecord{Key: key.GenerateSigner().Public(), Registrant: registrant, State: wire.TokenKeyActive, Authority: owner.Public(), Epoch: 2}
	copy(r.Sig[:], owner.Sign(wire.TokenKeyProof(cluster, wire.TokenKeyPrepared, r.Key, r.Registrant, r.Authority, r.Epoch)))
	return r
}

// state is what a node tells of a cluster of one node and some token keys.
func state(chain []wire.ChainRecord, keys ...wire.TokenKeyRecord) State {
	s := State{Cluster: cluster, Access: wire.Encode(&wire.TokenFeed{Epoch: 9, Keys: keys})}
	for i := range chain {
		s.Chain = append(s.Chain, wire.Encode(&chain[i]))
	}
	return s
}

func TestSuccessionIsOfTheChainAndTheTokenKeysAsTheyAre(t *testing.T) {
	old, next, node := key.GenerateSigner(), key.GenerateSigner(), key.GenerateSigner()
	chain := []wire.ChainRecord{genesis(old, node)}
	bob := holo.PrincipalID(key.GenerateSigner().Public())
	mine, bobs, revoked := tokenKey(old, old.Public()), tokenKey(old, bob), tokenKey(old, old.Public())
	revoked.State = wire.TokenKeyRevoked
	b, err := Succession(state(chain, mine, bobs, revoked), old, next)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := wire.Decode(b)
	m, ok := msg.(*wire.OwnerSuccession)
	if err != nil || !ok || len(m.Keys) != 2 || m.Keys[0].Registrant != holo.PrincipalID(next.Public()) || m.Keys[1].Registrant != bob || m.Epoch != 9 {
		t.Fatalf("%+v, %v", msg, err)
	}
	r := wire.ChainRecord{Prev: m.Prev, Kind: wire.ChainOwner, Owner: m.Next, Stands: m.Stands, OwnerSig: m.OldSig, NextSig: m.NextSig}
	v, err := catalog.ReadChain(cluster, holo.PrincipalID(old.Public()), append(slices.Clone(chain), r))
	if err != nil || v.Owner() != holo.PrincipalID(next.Public()) {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := Succession(state(append(chain, r)), old, key.GenerateSigner()); holo.ReasonOf(err) != ReasonNotOwner {
		t.Errorf("a key that was replaced is replaced again: %v", err)
	}
}

// A node that is asked what there is gets no signature for members or token keys
// that the owner has let in nowhere.
func TestOwnerSignsNothingOnANodesWord(t *testing.T) {
	old, next, liar := key.GenerateSigner(), key.GenerateSigner(), key.GenerateSigner()
	real, forged := genesis(old, liar), genesis(liar, liar)
	handed := wire.ChainRecord{Prev: catalog.RecordHash(&forged), Kind: wire.ChainOwner, Owner: old.Public()}
	odd := state([]wire.ChainRecord{real})
	odd.Access = []byte{1, 2, 3}
	cut := state([]wire.ChainRecord{real})
	cut.Chain[0] = cut.Chain[0][:len(cut.Chain[0])-1]
	for name, s := range map[string]State{
		"a founder of its own":                state([]wire.ChainRecord{forged}),
		"a founder who hands over":            state([]wire.ChainRecord{forged, handed}),
		"a record after the real one":         state([]wire.ChainRecord{real, handed}),
		"no chain":                            state(nil),
		"a token key of its own":              state([]wire.ChainRecord{real}, tokenKey(liar, liar.Public())),
		"a token key of its own, in our name": state([]wire.ChainRecord{real}, wire.TokenKeyRecord{Key: liar.Public(), Registrant: old.Public(), State: wire.TokenKeyActive, Authority: old.Public()}),
		"nonsense for token keys":             odd,
		"a cut record":                        cut,
	} {
		if b, err := Succession(s, old, next); err == nil || b != nil {
			t.Errorf("%s: it was signed", name)
		}
	}
}
