package identity

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// SeedSize is the length of an invite's seed: 160 bits, so that nobody guesses
// it offline from a recorded handshake.
const SeedSize = 20

// Invite admits one machine to a cluster, once: as a node, or as a client. It is a secret and travels as
// one pasted text (Text, ParseInvite). From its seed follow the pre-shared key
// of the join session and the key that signs the request to be admitted.
type Invite struct {
	Cluster   holo.ClusterID
	Owner     holo.PrincipalID // the pin: who must have signed the membership records
	Addresses []string         // host:port of nodes to ask, at most maxAddresses
	Seed      key.Secret       // SeedSize bytes
	Expires   time.Time        // whole seconds
	Client    bool             // for a client; the cluster knows so too, by the owner's signature
}

const (
	invitePrefix  = "holo1-"
	clientPrefix  = "holoclient1-"
	inviteVersion = 1
	maxAddresses  = 8
	maxAddress    = 128 // bytes of host:port
	inviteFixed   = 1 + 16 + 32 + 8 + SeedSize + 1
	inviteCheck   = 4
	maxInvite     = inviteFixed + maxAddresses*(1+maxAddress) + inviteCheck
)

// inviteText is RFC 4648 base32, lower case, without padding.
var inviteText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewInvite draws an invite that is good until expires. The addresses are for
// the caller to fill in.
func NewInvite(cluster holo.ClusterID, owner holo.PrincipalID, expires time.Time) Invite {
	return Invite{Cluster: cluster, Owner: owner, Seed: key.RandomOf(SeedSize), Expires: time.Unix(expires.Unix(), 0)}
}

// PSK opens a join session with a node of the cluster.
func (i Invite) PSK() handshake.PSK { return handshake.InvitePSK(i.Seed, i.Cluster) }

// Signer signs the request to be admitted; the cluster knows its public key.
func (i Invite) Signer() key.Signer {
	seed, err := hkdf.Key(sha256.New, i.Seed.Bytes(), i.Cluster[:], "holocompute/invite-key/1", key.Size)
	if err != nil || i.Seed.IsZero() {
		panic("bug: signer of an invite without a seed")
	}
	defer clear(seed)
	return key.SignerFromSeed((*[key.Size]byte)(seed))
}

// Text is the invite as people pass it on.
func (i Invite) Text() string {
	if i.Client {
		return wrap(clientPrefix, i.encode())
	}
	return wrap(invitePrefix, i.encode())
}

func (i Invite) encode() []byte {
	b := []byte{inviteVersion}
	b = append(b, i.Cluster[:]...)
	b = append(b, i.Owner[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(i.Expires.Unix()))
	b = append(b, i.Seed.Bytes()...)
	return appendAddresses(b, i.Addresses)
}

func appendAddresses(b []byte, addresses []string) []byte {
	b = append(b, byte(len(addresses)))
	for _, address := range addresses {
		b = append(append(b, byte(len(address))), address...)
	}
	return b
}

// wrap makes the text of a payload, which it clears.
func wrap(prefix string, b []byte) string {
	b = append(b, inviteChecksum(prefix, b)...)
	defer clear(b)
	return prefix + inviteText.EncodeToString(b)
}

// ParseInvite reads what Text made, spaces around it allowed. It does not
// look whether the invite has expired.
func ParseInvite(text string) (Invite, error) {
	prefix := invitePrefix
	client := IsClientInvite(text)
	if client {
		prefix = clientPrefix
	}
	b, err := unwrap(prefix, text, inviteFixed)
	if err != nil {
		return Invite{}, badInvite("%w", err)
	}
	defer clear(b)
	i, err := decodeInvite(b)
	i.Client = client
	return i, err
}

// IsClientInvite reports whether a text says that it is an invite for a client.
func IsClientInvite(text string) bool {
	return strings.HasPrefix(strings.TrimSpace(text), clientPrefix)
}

// unwrap gives the payload of a text that wrap made, of at least so many bytes.
func unwrap(prefix, text string, atLeast int) ([]byte, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(text), prefix)
	if !ok {
		return nil, holo.Errorf(holo.Invalid, "it does not start with %s", prefix)
	}
	if len(body) > inviteText.EncodedLen(maxInvite) {
		return nil, holo.Errorf(holo.Invalid, "%d characters are too many", len(body))
	}
	b, err := inviteText.DecodeString(body)
	if err != nil || inviteText.EncodeToString(b) != body {
		return nil, holo.Errorf(holo.Invalid, "a character is wrong, or the end is missing")
	}
	if len(b) < atLeast+inviteCheck || !bytes.Equal(inviteChecksum(prefix, b[:len(b)-inviteCheck]), b[len(b)-inviteCheck:]) {
		clear(b)
		return nil, holo.Errorf(holo.Invalid, "a part is missing or mistyped: copy it again as a whole")
	}
	return b[:len(b)-inviteCheck], nil
}

// decodeInvite reads a payload of at least inviteFixed bytes, all of it.
func decodeInvite(b []byte) (i Invite, err error) {
	if b[0] != inviteVersion {
		return Invite{}, badInvite("version %d, want %d", b[0], inviteVersion)
	}
	b = b[1:]
	b = b[copy(i.Cluster[:], b):]
	b = b[copy(i.Owner[:], b):]
	seconds := binary.BigEndian.Uint64(b)
	if seconds > 1<<40 {
		return Invite{}, badInvite("it expires in %d", seconds)
	}
	i.Expires = time.Unix(int64(seconds), 0)
	if i.Seed, err = key.NewSecret(b[8 : 8+SeedSize]); err != nil {
		return Invite{}, badInvite("it has no seed")
	}
	if i.Addresses, err = decodeAddresses(b[8+SeedSize:]); err != nil {
		return Invite{}, badInvite("%w", err)
	}
	if key.CheckPublic(i.Owner) != nil {
		return Invite{}, badInvite("the owner's key is no key")
	}
	return i, nil
}

func decodeAddresses(b []byte) (addresses []string, err error) {
	count, b := int(b[0]), b[1:]
	if count == 0 || count > maxAddresses {
		return nil, holo.Errorf(holo.Invalid, "%d addresses, want 1 to %d", count, maxAddresses)
	}
	for range count {
		if len(b) == 0 || len(b)-1 < int(b[0]) || b[0] > maxAddress {
			return nil, holo.Errorf(holo.Invalid, "an address is cut off")
		}
		address := string(b[1 : 1+b[0]])
		if b = b[1+b[0]:]; !dialable(address) {
			return nil, holo.Errorf(holo.Invalid, "%q is no host:port", address)
		}
		addresses = append(addresses, address)
	}
	if len(b) > 0 {
		return nil, holo.Errorf(holo.Invalid, "%d bytes left over", len(b))
	}
	return addresses, nil
}

func dialable(address string) bool {
	host, port, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	plain := strings.IndexFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) < 0 // it is shown on terminals
	return err == nil && host != "" && plain && portErr == nil && n > 0
}

// inviteChecksum finds typing errors; it keeps nobody out. What begins otherwise
// has another one.
func inviteChecksum(prefix string, b []byte) []byte {
	sum := sha256.Sum256(append([]byte("holocompute/invite/1\x00"+prefix), b...))
	return sum[:inviteCheck]
}

func badInvite(format string, args ...any) error {
	return holo.Refuse(holo.Invalid, "bad_invite", "read invite: "+format, args...)
}
