package key

import (
	"crypto/ed25519"
	"math/big"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// Verify reports whether sig is the signature of msg by the holder of the
// public key. It refuses the public keys that CheckPublic refuses: with the
// identity point as key one signature is good for every message.
func Verify(public [Size]byte, msg, sig []byte) bool {
	return CheckPublic(public) == nil && len(sig) == ed25519.SignatureSize && ed25519.Verify(public[:], msg, sig)
}

// CheckPublic reports whether the bytes are an Ed25519 public key that binds
// its holder: the one canonical encoding of a point on the curve whose order
// is not small. crypto/ed25519 checks only the second of the three.
// Run it when a key is enrolled; Verify runs it again.
func CheckPublic(public [Size]byte) error {
	y := coordinate(public)
	switch {
	case y.Cmp(fieldPrime) >= 0:
		return holo.Errorf(holo.Invalid, "check public key: not canonical")
	case slices.ContainsFunc(smallOrder, func(small *big.Int) bool { return small.Cmp(y) == 0 }):
		return holo.Errorf(holo.Invalid, "check public key: of small order")
	case !onCurve(y):
		return holo.Errorf(holo.Invalid, "check public key: not on the curve")
	}
	return nil
}

// coordinate is the point's y: 255 bits, little endian. The top bit is the
// sign of x, and both signs are canonical unless x = 0, which only the points
// y = 1 and y = -1 have; they are of small order.
func coordinate(public [Size]byte) *big.Int {
	slices.Reverse(public[:])
	public[0] &= 0x7f
	return new(big.Int).SetBytes(public[:])
}

// onCurve reports whether x^2 = (y^2-1)/(d*y^2+1) has a root. A quotient is a
// square exactly when the product is, and d*y^2+1 is never 0.
func onCurve(y *big.Int) bool {
	square := new(big.Int).Mul(y, y)
	v := new(big.Int).Mul(square, curveD)
	v.Add(v, one)
	u := square.Sub(square, one)
	product := u.Mul(u, v)
	return big.Jacobi(product.Mod(product, fieldPrime), fieldPrime) >= 0
}

// edwards25519 is -x^2 + y^2 = 1 + d*x^2*y^2 over the integers modulo 2^255-19.
var (
	one        = big.NewInt(1)
	fieldPrime = number("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed")
	curveD     = number("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3")
	// smallOrder lists the y of the eight points whose order divides 8: order
	// 1 (y = 1), 2 (y = -1), 4 (y = 0, two points), 8 (two y, two points each).
	smallOrder = []*big.Int{
		big.NewInt(0), one, new(big.Int).Sub(fieldPrime, one),
		number("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd83d3d706a17c7"),
		number("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826"),
	}
)

func number(hexadecimal string) *big.Int {
	n, ok := new(big.Int).SetString(hexadecimal, 16)
	if !ok {
		panic("bug: not a hexadecimal number: " + hexadecimal)
	}
	return n
}
