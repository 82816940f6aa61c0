package handshake

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/protocol"
)

func TestMalformedHellosAreRefused(t *testing.T) {
	spoken := protocol.Offer{Range: protocol.Spoken()}
	good := hello{offer: spoken, kind: KindNode, pskID: [8]byte{1}, cluster: testCluster, protocol: "p", also: []string{"q", ""}}
	if h, err := decodeHello(good.encode(), spoken); err != nil || h.kind != KindNode || h.protocol != "p" || !slices.Equal(h.also, good.also) {
		t.Fatalf("control: %v, %v", h, err)
	}
	with := func(change func(h *hello)) []byte {
		h := good
		change(&h)
		return h.encode()
	}
	for name, b := range map[string][]byte{
		"empty":              {},
		"another magic":      append([]byte("halo"), good.encode()[4:]...),
		"no version":         with(func(h *hello) { h.offer = protocol.Offer{} }),
		"versions backwards": with(func(h *hello) { h.offer.Range = protocol.Range{Oldest: 2, Newest: 1} }),
		"a cluster's version that it does not speak": with(func(h *hello) { h.offer.Cluster = protocol.Newest + 1 }),
		"kind 0":                with(func(h *hello) { h.kind = 0 }),
		"kind 4":                with(func(h *hello) { h.kind = 4 }),
		"node without psk ID":   with(func(h *hello) { h.pskID = [8]byte{} }),
		"joiner without psk ID": with(func(h *hello) { h.kind, h.pskID = KindJoin, [8]byte{} }),
		"client with psk ID":    with(func(h *hello) { h.kind = KindClient }),
		"nine other names":      with(func(h *hello) { h.also = slices.Repeat([]string{"x"}, maxAlso+1) }),
		"left over":             append(good.encode(), 0),
		"long":                  append(good.encode(), make([]byte, maxHello)...),
	} {
		_, err := decodeHello(b, spoken)
		if err == nil {
			t.Errorf("%s is taken", name)
			continue
		}
		wantReason(t, err, ReasonBadHello)
	}
	whole := good.encode()
	for n := range whole {
		if _, err := decodeHello(whole[:n], spoken); err == nil {
			t.Errorf("cut to %d bytes it is taken", n)
		}
	}
}

func TestMalformedIdentitiesAreRefused(t *testing.T) {
	mine := identity{certificate: newStatic(t, "alpha").certificate, offer: protocol.Offer{Range: protocol.Spoken()}, proof: []byte("proof")}
	if _, err := decodeIdentity(mine.encode()); err != nil {
		t.Fatal(err)
	}
	with := func(change func(i *identity)) []byte {
		i := mine
		change(&i)
		return i.encode()
	}
	node := appendField(nil, fieldNode, mine.node[:])
	for name, b := range map[string][]byte{
		"empty":              {},
		"escape in the name": with(func(i *identity) { i.name = "al\x1b[2Jpha" }),
		"newline":            with(func(i *identity) { i.name = "alpha\nowner" }),
		"not UTF-8":          with(func(i *identity) { i.name = "\xff" }),
		"right to left":      with(func(i *identity) { i.name = "a\u202eb" }),
		"long name":          with(func(i *identity) { i.name = strings.Repeat("a", MaxName+1) }),
		"long proof":         with(func(i *identity) { i.proof = make([]byte, MaxProof+1) }),
		"short signature":    with(func(i *identity) { i.signature = i.signature[1:] }),
		"a clock before it":  with(func(i *identity) { i.clock = -1 }),
		"before the epoch":   with(func(i *identity) { i.notBefore = -1 }),
		"no versions":        with(func(i *identity) { i.offer = protocol.Offer{} }),
		"ends before it":     with(func(i *identity) { i.notAfter = -1 }),
		"empty proof":        appendField(with(func(i *identity) { i.proof = nil }), fieldProof, nil),
		"a field twice":      slices.Concat(node, mine.encode()),
		"a field missing":    mine.encode()[len(node):],
		"out of order":       slices.Concat(mine.encode()[len(node):], node),
		"an unknown field":   appendField(mine.encode(), 8, []byte("x")),
		"left over":          append(mine.encode(), 0),
	} {
		_, err := decodeIdentity(b)
		if err == nil {
			t.Errorf("%s is taken", name)
			continue
		}
		wantReason(t, err, ReasonBadIdentity)
	}
}

// TestFirstMessageCarriesNothing: its payload would not be forward secret.
func TestFirstMessageCarriesNothing(t *testing.T) {
	i, r, _ := sides(t, KindNode)
	im, first, err := Initiate(i)
	if err != nil {
		t.Fatal(err)
	}
	said, _, err := splitFirst(first)
	if err != nil {
		t.Fatal(err)
	}
	again := &Machine{local: i, hello: im.hello, initiator: true}
	if err := again.startNoise(said, i.PSK); err != nil {
		t.Fatal(err)
	}
	message := must(again.noise.write([]byte("early data")))(t)
	_, _, err = Respond(r).Process(append(appendLong(nil, said), message...))
	wantReason(t, err, ReasonBadHandshake)
}

// TestMessagesHaveALength: nothing longer is even looked at.
func TestMessagesHaveALength(t *testing.T) {
	_, r, _ := sides(t, KindNode)
	_, _, err := Respond(r).Process(make([]byte, MaxMessage+1))
	wantReason(t, err, ReasonBadHandshake)
	p := must(parseProtocol("Noise_NN_25519_AESGCM_SHA256", linkAlgorithms))(t)
	for _, size := range []int{maxNoise - publicSize, maxNoise - publicSize + 1} {
		from := must(newNoise(p, noiseConfig{initiator: true}))(t)
		message, err := from.write(make([]byte, size))
		if fits := size <= maxNoise-publicSize; fits != (err == nil) || fits && len(message) != maxNoise {
			t.Errorf("a payload of %d bytes gives %d, %v", size, len(message), err)
		}
	}
	to := must(newNoise(p, noiseConfig{}))(t)
	if _, err := to.read(bytes.Repeat([]byte{9}, maxNoise+1)); err == nil {
		t.Error("a message of 65536 bytes is read")
	}
}

func TestNamesOfThingsAreStable(t *testing.T) {
	for want, got := range map[string]string{
		"node": KindNode.String(), "join": KindJoin.String(), "client": KindClient.String(), "kind(9)": Kind(9).String(),
		"require": PQ(0).String(), "prefer": PQPrefer.String(), "off": PQOff.String(), "pq(9)": PQ(9).String(),
		"AESGCM": AESGCM.String(), "XChaChaPoly": XChaChaPoly.String(), "suite(0)": Suite(0).String(),
		"Noise_XXhfs+psk0_25519+MLKEM768_AESGCM_SHA256": protocolName(KindNode, true, AESGCM),
		"Noise_XXhfs_25519+MLKEM768_XChaChaPoly_SHA256": protocolName(KindClient, true, XChaChaPoly),
		"Noise_XXpsk0_25519_AESGCM_SHA256":              protocolName(KindJoin, false, AESGCM),
		"Noise_XX_25519_XChaChaPoly_SHA256":             protocolName(KindClient, false, XChaChaPoly),
	} {
		if got != want {
			t.Errorf("%q is now %q", want, got)
		}
	}
}
