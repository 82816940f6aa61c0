package lab

import (
	"strings"
	"testing"
	"time"
)

// A line that fails is an error, though later ones of its own succeed, and says what
// it printed: a lab that was not made is not looked at.
func TestScriptThatFailsIsAnError(t *testing.T) {
	if err := Script("true && true"); err != nil {
		t.Error(err)
	}
	err := Script("echo no such device >&2; false")
	if err == nil || !strings.Contains(err.Error(), "no such device") {
		t.Errorf("a script that fails: %v", err)
	}
	if err := Script("false && true"); err == nil {
		t.Error("a step that fails is not noticed")
	}
}

// The meter gives the longest silence, also one that has not ended, once.
func TestMeterNoticesSilence(t *testing.T) {
	const silence = time.Hour
	quiet := func(m *Meter, i int) { m.last[i] = m.last[i].Add(-silence) }
	var m Meter
	m.Reset(2)
	if worst := m.Take(); worst >= silence {
		t.Errorf("nothing was silent, and it says %s", worst)
	}
	quiet(&m, 1)
	if worst := m.Take(); worst < silence {
		t.Errorf("one waits for %s, and it says %s", silence, worst)
	}
	m.Tick(0)
	m.Tick(1)
	if worst := m.Take(); worst < silence {
		t.Errorf("one was answered after %s, and it says %s", silence, worst)
	}
	if worst := m.Take(); worst >= silence {
		t.Errorf("all were answered, and it says %s again", worst)
	}
	quiet(&m, 0)
	m.Reset(2)
	if worst := m.Take(); worst >= silence {
		t.Errorf("it began anew, and says %s", worst)
	}
}
