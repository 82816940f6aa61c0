package key

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"
)

// canary is a secret that can be recognised in every form printers use.
var canary = [Size]byte([]byte("CANARY-THIRTY-TWO-BYTES-OF-KEY!!"))

// forms are the ways in which the canary could show up in an output.
func forms() []string {
	numbers := make([]string, 0, 4)
	for _, b := range canary[:4] {
		numbers = append(numbers, fmt.Sprint(b))
	}
	return []string{
		string(canary[:4]), hex.EncodeToString(canary[:4]), strings.ToUpper(hex.EncodeToString(canary[:4])),
		base64.StdEncoding.EncodeToString(canary[:6]), strings.Join(numbers, " "), strings.Join(numbers, ","),
		"0x43, 0x41, 0x4e", "1000011 1000001 1001110", "103 101 116 101",
	}
}

func leaks(out string) bool {
	for _, form := range forms() {
		if strings.Contains(out, form) {
			return true
		}
	}
	return false
}

type holder struct {
	Exported Secret
	hidden   Secret
	signer   Signer
	pointer  *Secret
}

func shapes(t *testing.T) map[string]any {
	secret, err := NewSecret(canary[:])
	if err != nil {
		t.Fatal(err)
	}
	signer := SignerFromSeed(&canary)
	h := holder{secret, secret, signer, &secret}
	return map[string]any{
		"secret": secret, "pointer": &secret, "signer": signer, "signer pointer": &signer, "struct": h, "struct pointer": &h,
		"slice": []Secret{secret}, "map": map[string]Signer{"k": signer}, "any": []any{secret, signer}, "seed": signer.Seed(),
		"error": fmt.Errorf("with %v and %s", secret, signer),
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	//lint:ignore S1025 the verb is what is tested
	if !leaks(fmt.Sprintf("%x", canary)) || !leaks(fmt.Sprint(canary[:])) || !leaks(fmt.Sprintf("%#v", canary)) || !leaks(fmt.Sprintf("%s", canary[:])) {
		t.Fatal("the test would not see a leak")
	}
	for name, v := range shapes(t) {
		for sink, out := range sinks(v) {
			if leaks(out) {
				t.Errorf("%s through %s leaks: %q", name, sink, out)
			}
		}
	}
}

// sinks prints a value in every way that the standard library has.
func sinks(v any) map[string]string {
	out := map[string]string{}
	for c := ' '; c <= '~'; c++ { // every verb there is, and those there are not
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "8.3"} {
			verb := "%" + flags + string(c)
			out["fmt "+verb] = fmt.Sprintf(verb, v)
		}
	}
	out["fmt.Sprint"] = fmt.Sprint(v)
	out["fmt.Sprintln"] = fmt.Sprintln(v)
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "k", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "k", v, slog.Group("g", "k", v))
	out["slog"] = b.String()
	j, err := json.Marshal(map[string]any{"k": v})
	out["json"] = fmt.Sprint(string(j), err)
	x, err := xml.Marshal(v)
	out["xml"] = fmt.Sprint(string(x), err)
	b.Reset()
	err = gob.NewEncoder(&b).Encode(v)
	out["gob"] = fmt.Sprint(b.String(), err)
	b.Reset()
	err = template.Must(template.New("t").Parse("{{.}} {{printf `%x %v` . .}}")).Execute(&b, v)
	out["template"] = fmt.Sprint(b.String(), err)
	out["panic"] = recovered(v)
	return out
}

func recovered(v any) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	panic(fmt.Sprintf("%#v", v))
}

func TestPrintersSaySecret(t *testing.T) {
	secret, signer := Random(), GenerateSigner()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, secret); got != "[secret]" {
			t.Errorf("%s of a Secret is %q", verb, got)
		}
		if got := fmt.Sprintf(verb, signer); got != "[secret]" {
			t.Errorf("%s of a Signer is %q", verb, got)
		}
	}
	j, err := json.Marshal(struct {
		A Secret
		B Signer
	}{secret, signer})
	if string(j) != `{"A":"[secret]","B":"[secret]"}` || err != nil {
		t.Errorf("json: %s, %v", j, err)
	}
	if secret.String() != "[secret]" || secret.GoString() != "[secret]" || secret.LogValue().String() != "[secret]" {
		t.Error("a printing method of Secret says something else")
	}
	if signer.String() != "[secret]" || signer.GoString() != "[secret]" || signer.LogValue().String() != "[secret]" {
		t.Error("a printing method of Signer says something else")
	}
}

func TestSecretsAreNotEncodable(t *testing.T) {
	if _, err := Random().MarshalBinary(); err == nil {
		t.Error("a Secret has a binary form")
	}
	if _, err := GenerateSigner().MarshalBinary(); err == nil {
		t.Error("a Signer has a binary form")
	}
	var s Secret
	//lint:ignore SA9005 that it has no encoding is what is tested
	if json.Unmarshal([]byte(`"[secret]"`), &s) == nil || !s.IsZero() {
		t.Error("what a Secret prints as reads as a Secret")
	}
}
