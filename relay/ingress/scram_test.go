package ingress_test

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"

	"tenma/relay/wire/sasl"
)

// ScramSHA256 derives ann's keys; everybody else's are those of a password that
// nobody has, under a salt that never changes.
func (w *world) ScramSHA256(user string) (sasl.ScramKeys, bool, error) {
	if user == "ann" {
		return scramKeys("secret"), true, nil
	}
	if user == "twin" { // an unknown user whose fake keys can be guessed
		return scramKeys("secret"), false, nil
	}
	return scramKeys("nobody's " + user), false, nil
}

// ScramDone lets in whoever proved it.
func (w *world) ScramDone(_ context.Context, client net.Addr, user string, good bool) (string, error) {
	w.scrams = append(w.scrams, fmt.Sprint(user, " ", good))
	if !good || client == nil {
		return "", errors.New("no")
	}
	return user, nil
}

// scramKeys follows RFC 5802 section 3.
func scramKeys(password string) sasl.ScramKeys {
	k := sasl.ScramKeys{Salt: []byte("salt"), Iterations: 4096}
	salted, err := pbkdf2.Key(sha256.New, password, k.Salt, k.Iterations, sha256.Size)
	if err != nil {
		panic(err)
	}
	mac := func(text string) []byte {
		m := hmac.New(sha256.New, salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	k.StoredKey, k.ServerKey = stored[:], mac("Server Key")
	return k
}
