package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tenma/relay/wire/smtp"
)

// Algorithms, as Generate and Inspect name them and as the k= tag spells them
// (RFC 6376 section 3.6.1, RFC 8463 section 4).
const (
	RSA     = "rsa"
	Ed25519 = "ed25519"
)

// Sizes of RSA keys in bits (RFC 8301 section 3.2): signers must use 1024 at
// least and should use 2048; verifiers must understand up to 4096.
const (
	minBits     = 1024
	DefaultBits = 2048
	maxBits     = 4096
)

// maxKeyFile bounds what is read of a key file, in octets; 4096 bits of RSA
// take 3.3 KiB.
const maxKeyFile = 64 << 10

// Load reads a private key from a PEM file and makes a signature with it to
// try it.
func Load(path string) (crypto.Signer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, err
	}
	key, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// parse reads the first private key of a PEM text.
func parse(text []byte) (crypto.Signer, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, errors.New("no private key in PEM form")
		}
		var key any
		var err error
		switch block.Type {
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the private key is encrypted; only a plain one can be used")
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		switch k := key.(type) {
		case *rsa.PrivateKey:
			return k, usable(k)
		case ed25519.PrivateKey:
			return k, usable(k)
		}
		return nil, fmt.Errorf("a key of type %T signs no mail; RSA or Ed25519 does", key)
	}
}

// usable makes and verifies one signature.
func usable(key crypto.Signer) error {
	digest := sha256.Sum256([]byte("a signature to try the key"))
	switch pub := key.Public().(type) {
	case *rsa.PublicKey:
		if n := pub.N.BitLen(); n < minBits {
			return fmt.Errorf("an RSA key of %d bits is too weak; %d is the least, %d usual", n, minBits, DefaultBits)
		}
		sig, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return err
		}
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig)
	case ed25519.PublicKey:
		sig, err := key.Sign(rand.Reader, digest[:], crypto.Hash(0))
		if err != nil {
			return err
		}
		if !ed25519.Verify(pub, digest[:], sig) {
			return errors.New("a signature made with the key does not verify")
		}
		return nil
	}
	return fmt.Errorf("a key of type %T signs no mail", key)
}

// Generate makes a private key (alg is RSA or Ed25519; bits is for RSA, 0:
// DefaultBits) and writes it to path, PKCS #8 in PEM, mode 0600, durable.
// Missing directories are made with mode 0700. A file that exists is never
// replaced: the error wraps fs.ErrExist.
func Generate(alg string, bits int, path string) (crypto.Signer, error) {
	var key crypto.Signer
	var err error
	switch alg {
	case RSA:
		if bits == 0 {
			bits = DefaultBits
		}
		if bits < minBits || bits > maxBits {
			return nil, fmt.Errorf("an RSA key for mail has %d to %d bits", minBits, maxBits)
		}
		key, err = rsa.GenerateKey(rand.Reader, bits)
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("algorithm %q is unknown; %s and %s sign mail", alg, RSA, Ed25519)
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, write(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// write makes a new file that is there after a crash.
func write(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	ownLikeParent(path)
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes dir and what is missing above it.
func makeDir(dir string) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	ownLikeParent(dir)
	return nil
}

// Name is the DNS name of a key's record (RFC 6376 section 3.6.2.1).
func Name(selector string, d smtp.Domain) string {
	return selector + "._domainkey." + string(d)
}

// Record is the text to publish for a key (RFC 6376 section 3.6.1). A TXT
// record holds it in strings of at most 255 octets; see Quote.
func Record(pub crypto.PublicKey) (string, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return "", err
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey: // the key itself, without wrapping (RFC 8463 section 4)
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub), nil
	}
	return "", fmt.Errorf("a key of type %T signs no mail", pub)
}

// Quote writes a record as a zone file has it: quoted strings of at most 255
// octets (RFC 1035 section 3.3), which resolvers join again.
func Quote(record string) string {
	const most = 255
	var b strings.Builder
	for {
		n := min(len(record), most)
		b.WriteString(`"` + record[:n] + `"`)
		if record = record[n:]; record == "" {
			return b.String()
		}
		b.WriteByte(' ')
	}
}

// Info tells what is known of a configured key.
type Info struct {
	Key
	Algorithm string // RSA or Ed25519, "" if it cannot be read
	Bits      int
	Name      string // where its record belongs
	Record    string // and what it says
	Err       error  // why the key cannot be used; nil if it can
	Warning   string // what is legal but unwise
}

// Inspect looks at each key.
func Inspect(keys []Key) []Info {
	all := make([]Info, len(keys))
	for i, k := range keys {
		all[i], _ = inspect(k)
	}
	return all
}

func inspect(k Key) (Info, crypto.Signer) {
	info := Info{Key: k, Name: Name(k.Selector, k.Domain)}
	signer, err := Load(k.Path)
	if err != nil {
		info.Err = err
		return info, nil
	}
	switch pub := signer.Public().(type) {
	case *rsa.PublicKey:
		info.Algorithm, info.Bits = RSA, pub.N.BitLen()
		if info.Bits < DefaultBits {
			info.Warning = fmt.Sprintf("RSA of %d bits is weak, use %d (RFC 8301)", info.Bits, DefaultBits)
		}
		if info.Bits > maxBits {
			info.Warning = fmt.Sprintf("many receivers cannot verify RSA of %d bits, use %d (RFC 8301)", info.Bits, DefaultBits)
		}
	case ed25519.PublicKey:
		info.Algorithm, info.Bits = Ed25519, 8*len(pub)
	}
	if st, err := os.Stat(k.Path); err == nil && st.Mode().Perm()&0o077 != 0 && info.Warning == "" {
		info.Warning = fmt.Sprintf("other users can read %s (mode %v), use chmod 600", k.Path, st.Mode().Perm())
	}
	info.Record, info.Err = Record(signer.Public())
	return info, signer
}
