package discover

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

var (
	ours   = holo.ClusterID{1}
	theirs = holo.ClusterID{2}
	asker  = netip.MustParseAddr("192.0.2.7")
)

func TestNodeAnswersQuestionsAboutItsClusterOnly(t *testing.T) {
	r := &Responder{Cluster: ours, Port: 7600}
	now := time.Unix(1000, 0)
	q := question(ours, nonce{7})
	answer := r.reply(q, asker, now)
	port, ok := portOf(answer, ours, nonce{7})
	if !ok || port != 7600 {
		t.Fatalf("%d, %v", port, ok)
	}
	if len(answer) > len(q) {
		t.Errorf("%d bytes are answered with %d: somebody else can be flooded", len(q), len(answer))
	}
	for what, b := range map[string][]byte{
		"another cluster": question(theirs, nonce{7}), "nothing": nil, "an answer": answer, "a longer one": append(bytes.Clone(q), 0),
		"a shorter one": q[:len(q)-1],
	} {
		if got := r.reply(b, asker, now); got != nil {
			t.Errorf("%s is answered with %x", what, got)
		}
	}
	for i := range q {
		bad := bytes.Clone(q)
		bad[i] ^= 1
		if r.reply(bad, asker, now) != nil {
			t.Errorf("a question with byte %d changed is answered", i)
		}
	}
	r.Answers = func(a netip.Addr) bool { return a != asker }
	if r.reply(q, asker, now) != nil {
		t.Error("an address that is not allowed is answered")
	}
}

func TestNothingOfAnExchangeNamesTheCluster(t *testing.T) {
	cluster := holo.ClusterID{0xaa, 0xbb, 0xcc, 0xdd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	first, second := question(cluster, nonce{1}), question(cluster, nonce{2})
	for _, b := range [][]byte{first, second, answerTo(first, cluster, 1)} {
		if bytes.Contains(b, cluster[:4]) {
			t.Errorf("%x holds the ID", b)
		}
	}
	if bytes.Contains(second, mark(find, cluster, nonce{1})) || bytes.Contains(answerTo(first, cluster, 1), mark(find, cluster, nonce{1})) {
		t.Error("two datagrams about one cluster are seen to be so")
	}
}

func TestAnswersToOthersAreNone(t *testing.T) {
	answer := answerTo(question(ours, nonce{1}), ours, 7600)
	if _, ok := portOf(answer, ours, nonce{2}); ok {
		t.Error("an answer to another question is taken")
	}
	if _, ok := portOf(answer, theirs, nonce{1}); ok {
		t.Error("another cluster's answer is taken")
	}
	if _, ok := portOf(answerTo(question(ours, nonce{1}), ours, 0), ours, nonce{1}); ok {
		t.Error("port 0 is taken")
	}
	for i := range answer[:len(answer)-2] {
		bad := bytes.Clone(answer)
		bad[i] ^= 1
		if _, ok := portOf(bad, ours, nonce{1}); ok {
			t.Errorf("an answer with byte %d changed is taken", i)
		}
	}
}

func TestAnswersAreBoundedPerSecond(t *testing.T) {
	r := &Responder{Cluster: ours, Port: 1}
	count := func(now time.Time) (n int) {
		for range 5 * maxRate {
			if r.reply(question(ours, nonce{1}), asker, now) != nil {
				n++
			}
		}
		return n
	}
	for second := range int64(3) {
		if got := count(time.Unix(1000+second, 0)); got != maxRate {
			t.Errorf("second %d: %d answers, want %d", second, got, maxRate)
		}
	}
}
