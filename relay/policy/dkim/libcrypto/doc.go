// Package libcrypto makes RSA signatures with the host's OpenSSL.
//
// A signature with RSA of 2048 bits is a million 64-bit multiplications, and
// OpenSSL has assembly for each generation of processors where crypto/rsa has
// portable loops: it needs a third to a half of the time. The library is looked
// up when the program runs (dlopen, through purego), so neither cgo nor headers
// are needed to build, and a host without it is no error but a slower one.
//
// Open finds the library, Library.Signer loads a key into it. Callers compare a
// signature of theirs with crypto/rsa before they rely on one.
//
// Only libcrypto.so.3, OpenSSL 3 of any minor version, is taken: OpenSSL
// promises one binary interface for it, and 1.1 is no longer maintained. It is
// left out (ErrLeftOut) with the build tag static, since what calls into a
// shared library cannot be linked statically, and where purego is not at home:
// outside Linux, and on processors other than amd64 and arm64.
package libcrypto

import "errors"

// Name is the shared library that Open looks for, where the dynamic loader
// looks (ld.so(8)).
const Name = "libcrypto.so.3"

// ErrLeftOut is Open's error in programs built without this package's code.
var ErrLeftOut = errors.New("left out of this build")
