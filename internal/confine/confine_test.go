package confine

import (
	"slices"
	"testing"
)

func TestLevelsSumUpWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		missing []Layer
		level   Level
	}{
		{nil, Full}, {[]Layer{Landlock}, Filtered}, {[]Layer{Namespaces, Landlock}, Filtered}, {[]Layer{Limits}, Filtered},
		{[]Layer{Seccomp}, Process}, {layers, Process},
	} {
		var r Report
		for _, l := range c.missing {
			r.Missing = append(r.Missing, Gap{l, "a test says so"})
		}
		active := r.Active()
		if r.Level() != c.level || len(active)+len(c.missing) != len(layers) || len(active) > 0 && slices.Contains(c.missing, active[0]) {
			t.Errorf("without %v: level %s, active %v", c.missing, r.Level(), active)
		}
	}
	r := Report{Missing: []Gap{{Landlock, "the kernel has none"}, {Limits, "no"}}}
	if got := r.String(); got != "landlock (the kernel has none), limits (no)" {
		t.Errorf("%q", got)
	}
}
