package api

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// DigestHeader carries the SHA-256 of a bulk PUT's body, as RFC 9530 writes
// it: "sha-256=:BASE64:". The signature of a PUT is over RequestProof with
// this digest, so it says what was written and not only where.
const DigestHeader = "Content-Digest"

// MaxUpload bounds the body of one bulk PUT. The node holds the whole body and
// checks it before it writes the first byte, so that an upload that is cut off
// or altered changes nothing. Longer writes are several PUTs.
const MaxUpload = holo.MaxExtentPages * holo.PageSize

// DataPath is the path and query of a bulk read or write of count elements.
// It is canonical: the node refuses any other spelling of the same range.
func DataPath(array holo.ArrayID, first, count uint64) string {
	return fmt.Sprintf("/v1/arrays/%d/data?first=%d&count=%d", uint64(array), first, count)
}

// ParseDataPath reads what DataPath writes and nothing else.
func ParseDataPath(s string) (array holo.ArrayID, first, count uint64, err error) {
	var fields [3]uint64
	rest := s
	for i, prefix := range []string{"/v1/arrays/", "/data?first=", "&count="} {
		after, ok := strings.CutPrefix(rest, prefix)
		end := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(after)
		}
		n, bad := strconv.ParseUint(after[:end], 10, 64)
		if !ok || bad != nil {
			return 0, 0, 0, holo.Errorf(holo.Invalid, "data path: want /v1/arrays/ID/data?first=ELEMENT&count=ELEMENTS")
		}
		fields[i], rest = n, after[end:]
	}
	if array = holo.ArrayID(fields[0]); DataPath(array, fields[1], fields[2]) != s {
		return 0, 0, 0, holo.Errorf(holo.Invalid, "data path: not in its canonical spelling %s", DataPath(array, fields[1], fields[2]))
	}
	return array, fields[1], fields[2], nil
}

// EncodeDigest is a SHA-256 as the header carries it.
func EncodeDigest(sum [32]byte) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// CheckDigest reports whether the header is that of sum.
func CheckDigest(header string, sum [32]byte) bool {
	return subtle.ConstantTimeCompare([]byte(header), []byte(EncodeDigest(sum))) == 1
}

// EncodeSignature is a signature as the header carries it.
func EncodeSignature(sig []byte) string { return base64.RawURLEncoding.EncodeToString(sig) }

// DecodeSignature reads the header.
func DecodeSignature(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 64 || EncodeSignature(b) != s { // the decoder would skip line ends
		return nil, holo.Errorf(holo.Denied, "signature header is malformed")
	}
	return b, nil
}
