package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/xdg-go/scram"
	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"tenma/relay/wire/sasl"
)

// MaxPassword is the longest password, in octets.
const MaxPassword = 1024

const (
	saltLen = 16 // RFC 9106 section 3.1
	hashLen = 32
)

// Bounds on what a hash in the file may ask for, so that a damaged file cannot
// take all memory.
const (
	maxMemory     = 1 << 20 // KiB
	maxTime       = 64
	maxIterations = 10_000_000
)

var errHash = errors.New("not a password hash")

// hash is an argon2id hash with what it was made from.
type hash struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

// newHash hashes a password.
func newHash(password string, c Cost, random io.Reader) (hash, error) {
	h := hash{memory: c.Memory, time: c.Time, threads: c.Threads, salt: make([]byte, saltLen)}
	if _, err := io.ReadFull(random, h.salt); err != nil {
		return h, err
	}
	h.sum = h.compute(password, hashLen)
	return h, nil
}

func (h *hash) compute(password string, n uint32) []byte {
	return argon2.IDKey([]byte(normal(password)), h.salt, h.time, h.memory, h.threads, n)
}

// matches takes the same time whatever the password.
func (h *hash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.compute(password, uint32(len(h.sum))), h.sum) == 1
}

// normal makes passwords that look the same the same, whatever the keyboard
// made of them (the compatibility form that SASLprep uses, RFC 4013 section
// 2.2).
func normal(password string) string { return norm.NFKC.String(password) }

// String gives the usual text form, $argon2id$v=19$m=...,t=...,p=...$salt$hash.
func (h *hash) String() string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, b.EncodeToString(h.salt), b.EncodeToString(h.sum))
}

// parseHash reads what String wrote.
func parseHash(s string) (hash, error) {
	var h hash
	var version int
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return h, errHash
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return h, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return h, errHash
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	h.sum, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.sum) < 16 || len(h.sum) > 64 ||
		h.memory == 0 || h.memory > maxMemory || h.time == 0 || h.time > maxTime || h.threads == 0 {
		return h, errHash
	}
	return h, nil
}

// newScram derives the keys that SCRAM-SHA-256 needs (RFC 5802 section 3).
func newScram(password string, c Cost, random io.Reader) (sasl.ScramKeys, error) {
	salt := make([]byte, saltLen)
	if _, err := io.ReadFull(random, salt); err != nil {
		return sasl.ScramKeys{}, err
	}
	client, err := scram.SHA256.NewClient("", normal(password), "")
	if err != nil {
		return sasl.ScramKeys{}, fmt.Errorf("password: %w", err)
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: c.Iterations})
	if err != nil {
		return sasl.ScramKeys{}, fmt.Errorf("password: %w", err)
	}
	return sasl.ScramKeys{Salt: salt, Iterations: c.Iterations, StoredKey: stored.StoredKey, ServerKey: stored.ServerKey}, nil
}

// fakeScram gives keys that belong to nobody: the same ones for the same user
// at every call and after a restart, so that asking twice tells nothing.
func fakeScram(secret []byte, user string, iterations int) sasl.ScramKeys {
	derive := func(what string) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(what + "\x00" + user))
		return m.Sum(nil)
	}
	return sasl.ScramKeys{Salt: derive("salt")[:saltLen], Iterations: iterations, StoredKey: derive("stored"), ServerKey: derive("server")}
}

// formatScram writes keys as RFC 5803 section 2 does.
func formatScram(k sasl.ScramKeys) string {
	b := base64.StdEncoding
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", k.Iterations, b.EncodeToString(k.Salt), b.EncodeToString(k.StoredKey), b.EncodeToString(k.ServerKey))
}

// parseScram reads what formatScram wrote.
func parseScram(s string) (sasl.ScramKeys, error) {
	var k sasl.ScramKeys
	errScram := errors.New("not SCRAM-SHA-256 keys")
	parts := strings.Split(s, "$")
	if len(parts) != 3 || parts[0] != "SCRAM-SHA-256" {
		return k, errScram
	}
	count, salt, ok1 := strings.Cut(parts[1], ":")
	stored, server, ok2 := strings.Cut(parts[2], ":")
	_, err := fmt.Sscanf(count, "%d", &k.Iterations)
	if !ok1 || !ok2 || err != nil || k.Iterations < 4096 || k.Iterations > maxIterations {
		return k, errScram
	}
	for _, f := range []struct {
		to   *[]byte
		text string
		size int
	}{{&k.Salt, salt, 0}, {&k.StoredKey, stored, sha256.Size}, {&k.ServerKey, server, sha256.Size}} {
		v, err := base64.StdEncoding.DecodeString(f.text)
		if err != nil || len(v) == 0 || len(v) > 64 || f.size != 0 && len(v) != f.size {
			return k, errScram
		}
		*f.to = v
	}
	return k, nil
}
