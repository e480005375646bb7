package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/emersion/go-msgauth/dkim"
	"go.uber.org/goleak"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keys are made once: RSA takes its time.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	r, err := rsa.GenerateKey(rand.Reader, DefaultBits)
	if err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"rsa": r}
})

// rig is a signer with an RSA and an Ed25519 key for example.test, and the DNS
// that has their records.
type rig struct {
	*Signer
	config Config
	zone   map[string]string
}

func newRig(t testing.TB) *rig {
	t.Helper()
	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(keys()["rsa"])
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{zone: map[string]string{}}
	r.config.Keys = []Key{
		{Domain: "example.test", Selector: "r1", Path: filepath.Join(dir, "r1.pem")},
		{Domain: "example.test", Selector: "e1", Path: filepath.Join(dir, "e1.pem")},
	}
	if err := write(r.config.Keys[0].Path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		t.Fatal(err)
	}
	if _, err := Generate(Ed25519, 0, r.config.Keys[1].Path); err != nil {
		t.Fatal(err)
	}
	if r.Signer, err = New(r.config, Deps{}); err != nil {
		t.Fatal(err)
	}
	for _, i := range r.Keys() {
		if i.Err != nil || i.Warning != "" {
			t.Fatalf("%+v", i)
		}
		r.zone[i.Name] = i.Record
	}
	return r
}

func (r *rig) verify(t testing.TB, msg string) []*dkim.Verification {
	t.Helper()
	all, err := dkim.VerifyWithOptions(strings.NewReader(msg), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if txt, ok := r.zone[name]; ok {
			return []string{txt}, nil
		}
		return nil, errors.New("no such name")
	}})
	if err != nil {
		t.Fatalf("%v in %q", err, msg)
	}
	return all
}

// ours counts the signatures of example.test that verify.
func (r *rig) ours(t testing.TB, msg string) (good, bad int) {
	t.Helper()
	for _, v := range r.verify(t, msg) {
		switch {
		case v.Domain != "example.test":
		case v.Err == nil:
			good++
		default:
			bad++
		}
	}
	return good, bad
}

func (r *rig) sign(t testing.TB, e *mail.Envelope, body string) string {
	t.Helper()
	sig, err := r.Sign(context.Background(), e, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return string(sig)
}

func trusted(prefix string) *mail.Envelope {
	return &mail.Envelope{Trusted: true, Sender: smtp.Address{Local: "a", Domain: "example.test"}, Prefix: []byte(prefix)}
}

const (
	prefix = "Received: from x by y; Mon, 01 Jan 2024 00:00:00 +0000\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n"
	simple = "From: A <a@example.test>\r\nTo: b@b.test\r\nSubject: x\r\n\r\nHello\r\n"
)

// checkForm holds a signature field to RFC 5322: CRLF ends each line, none is
// longer than 998 octets, folds begin with white space.
func checkForm(t testing.TB, sig string) {
	t.Helper()
	if !strings.HasSuffix(sig, "\r\n") {
		t.Errorf("no line end at the end: %q", sig)
	}
	for i, line := range strings.Split(strings.TrimSuffix(sig, "\r\n"), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") || line == "" {
			t.Errorf("line %d of %d octets: %q", i, len(line), line)
		}
		if line != "" && line[0] != ' ' && line[0] != '\t' && !strings.HasPrefix(line, "DKIM-Signature:") {
			t.Errorf("line %d begins a field: %q", i, line)
		}
	}
}

// Every message of the corpus, as it goes out, verifies with both algorithms.
func TestCorpusVerifies(t *testing.T) {
	r := newRig(t)
	files, err := filepath.Glob("testdata/messages/*")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		body := strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n", "\r\n")
		for _, p := range []string{"", prefix} {
			sig := r.sign(t, trusted(p), body)
			checkForm(t, sig)
			if _, _, ok := header.End([]byte(p+body), 0); !ok {
				continue // header fields alone: go-msgauth's verifier wants the empty line
			}
			if good, bad := r.ours(t, sig+p+body); good != 2 || bad != 0 {
				t.Errorf("%s: %d good signatures, %d bad", file, good, bad)
			}
		}
	}
}

func TestSignatureForm(t *testing.T) {
	r := newRig(t)
	sig := r.sign(t, trusted(prefix), simple)
	checkForm(t, sig)
	for field := range header.Section(sig).Fields() {
		flat := strings.Join(strings.Fields(string(field.Value())), "")
		for _, want := range []string{"v=1;", "c=relaxed/relaxed;", "d=example.test;", "t=", "h=From:From:To:To:Cc:Subject:Subject:Date:Date:Message-ID:Message-ID:Reply-To:"} {
			if !strings.Contains(flat, want) {
				t.Errorf("%s is not in %s", want, flat)
			}
		}
		for _, no := range []string{"l=", "x=", "Sender", "i="} {
			if strings.Contains(flat[:strings.Index(flat, "b=")], ";"+no) {
				t.Errorf("%s is in %s", no, flat)
			}
		}
		for line := range strings.SplitSeq(string(field.Raw), "\r\n") {
			if len(line) > 110 {
				t.Errorf("a line of %d octets: %s", len(line), line)
			}
		}
	}
}

// A message to which something was added, or that was changed, no longer
// verifies: the list names each field once more than it occurs.
func TestChangesAreNoticed(t *testing.T) {
	r := newRig(t)
	msg := r.sign(t, trusted(prefix), simple) + prefix + simple
	if good, _ := r.ours(t, msg); good != 2 {
		t.Fatalf("%d signatures verify before any change", good)
	}
	for _, name := range alwaysSigned {
		if good, bad := r.ours(t, name+": added\r\n"+msg); good != 0 || bad != 2 {
			t.Errorf("a second %s passes %d signatures", name, good)
		}
	}
	for _, change := range [][2]string{{"Subject: x", "Subject: y"}, {"Date: Mon, 01", "Date: Mon, 02"}, {"<1@example.test>", "<2@example.test>"}, {"Hello", "Hallo"}, {"Hello\r\n", "Hello\r\nmore\r\n"}} {
		if good, _ := r.ours(t, strings.Replace(msg, change[0], change[1], 1)); good != 0 {
			t.Errorf("%s -> %s passes", change[0], change[1])
		}
	}
	// What next hops do on the way must not matter.
	if good, bad := r.ours(t, "Received: from us\r\nList-Id: <x>\r\nSender: y@z.test\r\n"+strings.Replace(msg, "Subject: x", "subject:\r\n x ", 1)); good != 2 || bad != 0 {
		t.Errorf("trace fields and folding break %d signatures", bad)
	}
}

func TestOddMessages(t *testing.T) {
	r := newRig(t)
	head := "From: a@example.test\r\n"
	for name, body := range map[string]string{
		"empty body":             head + "\r\n",
		"empty lines":            head + "\r\n\r\n\r\n\r\n",
		"no end of line":         head + "\r\nx",
		"blanks at the end":      head + "\r\nx  \r\n \t\r\n\r\n",
		"eight bits":             head + "Subject: \xfc\xff\r\n\r\n\x00\xff\r\n",
		"junk lines":             "From x@y Mon\r\n" + head + "no colon\r\n: nameless\r\n\r\nx\r\n",
		"space before the colon": "From : a@example.test\r\nSubject\t:  x\r\n\r\nx\r\n",
		"deep folding":           head + "Subject: x\r\n \t y\r\n\t\t z \r\n\r\nx\r\n",
		"two From":               head + head + "\r\nx\r\n",
		"lists and resending":    head + "List-Id: <l>\r\nResent-From: b@c\r\nResent-From: d@e\r\nSender: s@t\r\n\r\nx\r\n",
		"very many To":           head + strings.Repeat("To: b@b.test\r\n", 500) + "\r\nx\r\n",
		"many of all":            head + strings.Repeat(strings.Join(append(alwaysSigned[:], signedIfThere[:]...), ": v\r\n")+": v\r\n", 28) + "\r\nx\r\n",
		"long header":            head + "X-Long: " + strings.Repeat("y\r\n ", 50000) + "\r\n\r\nx\r\n",
		"large body":             head + "\r\n" + strings.Repeat("0123456789\r\n", 50000),
	} {
		t.Run(name, func(t *testing.T) {
			sig := r.sign(t, trusted(prefix), body)
			checkForm(t, sig)
			if good, bad := r.ours(t, sig+prefix+body); good != 2 || bad != 0 {
				t.Errorf("%d good, %d bad", good, bad)
			}
		})
	}
	if sig := r.sign(t, trusted(prefix), head); sig == "" {
		t.Error("header fields alone are not signed")
	}
}

// However the body is read, the signature is the same. (Ed25519 is
// deterministic; the time in t= is not, so each must verify.)
func TestReaders(t *testing.T) {
	r := newRig(t)
	for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader, iotest.HalfReader} {
		sig, err := r.Sign(t.Context(), trusted(prefix), wrap(strings.NewReader(simple)))
		if err != nil {
			t.Fatal(err)
		}
		if good, _ := r.ours(t, string(sig)+prefix+simple); good != 2 {
			t.Errorf("%d signatures verify", good)
		}
	}
	for _, body := range []io.Reader{iotest.ErrReader(io.ErrClosedPipe), io.MultiReader(strings.NewReader(simple), iotest.ErrReader(io.ErrClosedPipe))} {
		if sig, err := r.Sign(t.Context(), trusted(prefix), body); !errors.Is(err, io.ErrClosedPipe) || sig != nil {
			t.Errorf("broken body: %q, %v", sig, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sig, err := r.Sign(ctx, trusted(prefix), strings.NewReader(simple)); !errors.Is(err, context.Canceled) || sig != nil {
		t.Errorf("cancelled: %q, %v", sig, err)
	}
	if sig, err := r.Sign(t.Context(), trusted(prefix), strings.NewReader(strings.Repeat("A: b\r\n", maxHeader/3))); err == nil || sig != nil {
		t.Error("an endless header section was signed")
	}
}

func TestWhoIsSigned(t *testing.T) {
	r := newRig(t)
	msg := func(from string) string { return "From: " + from + "\r\n\r\nx\r\n" }
	for _, c := range []struct {
		name, from string
		e          mail.Envelope
		granted    map[string][]smtp.Domain
		want       bool
	}{
		{name: "From", from: "a@example.test", e: mail.Envelope{Trusted: true}, want: true},
		{name: "subdomain of the key's", from: "a@Sub.Example.test", e: mail.Envelope{Trusted: true}, want: true},
		{name: "by sender", from: "a@other.test", e: mail.Envelope{Trusted: true, Sender: smtp.Address{Local: "x", Domain: "example.test"}}, want: true},
		{name: "foreign", from: "a@notexample.test", e: mail.Envelope{Trusted: true, Sender: smtp.Address{Local: "x", Domain: "test"}}},
		{name: "authenticated", from: "a@example.test", e: mail.Envelope{Account: "u@example.test"}, want: true},
		{name: "a stranger with our name", from: "a@example.test", e: mail.Envelope{}},
		{name: "our own DSN", from: "MAILER-DAEMON@example.test", e: mail.Envelope{Origin: mail.FromSelf}, want: true},
		{name: "granted", from: "a@example.test", e: mail.Envelope{Account: "u"}, granted: map[string][]smtp.Domain{"u": {"example.test"}}, want: true},
		{name: "granted to the tenant", from: "a@example.test", e: mail.Envelope{Trusted: true, Tenant: "t"}, granted: map[string][]smtp.Domain{"t": {"test"}}, want: true},
		{name: "not granted", from: "a@example.test", e: mail.Envelope{Account: "u"}, granted: map[string][]smtp.Domain{"v": {"example.test"}, "u": {"ample.test"}, "": {"example.test"}}},
		{name: "another tenant", from: "a@example.test", e: mail.Envelope{Trusted: true, Tenant: "t"}, granted: map[string][]smtp.Domain{"v": {"example.test"}, "t": {"other.test"}}},
		{name: "no tenant, a domain of one", from: "a@example.test", e: mail.Envelope{Trusted: true}, granted: map[string][]smtp.Domain{"v": {"example.test"}}},
		{name: "no tenant, a domain above which one has", from: "a@example.test", e: mail.Envelope{Trusted: true}, granted: map[string][]smtp.Domain{"v": {"test"}}},
		{name: "no tenant, a domain of none", from: "a@example.test", e: mail.Envelope{Trusted: true}, granted: map[string][]smtp.Domain{"v": {"sub.example.test"}}, want: true},
		{name: "no tenant, a domain of one below the key's", from: "a@sub.example.test", e: mail.Envelope{Trusted: true}, granted: map[string][]smtp.Domain{"v": {"sub.example.test"}}},
		{name: "no tenant, a sender of such a domain", from: "a@other.test", e: mail.Envelope{Trusted: true, Sender: smtp.Address{Local: "x", Domain: "sub.example.test"}}, granted: map[string][]smtp.Domain{"v": {"sub.example.test"}}},
		{name: "a tenant, a domain of none", from: "a@example.test", e: mail.Envelope{Trusted: true, Tenant: "t"}, granted: map[string][]smtp.Domain{"t": {"sub.example.test"}}},
		{name: "a tenant without a domain", from: "a@example.test", e: mail.Envelope{Trusted: true, Tenant: "t"}, granted: map[string][]smtp.Domain{"t": nil}},
		{name: "a tenant that is gone", from: "a@example.test", e: mail.Envelope{Trusted: true, Tenant: "t"}, granted: map[string][]smtp.Domain{}},
		{name: "an account of the domain", from: "a@example.test", e: mail.Envelope{Account: "u@example.test"}, granted: map[string][]smtp.Domain{"v": {"example.test"}}, want: true},
		{name: "an account of a domain below", from: "a@example.test", e: mail.Envelope{Account: "u@sub.example.test"}, granted: map[string][]smtp.Domain{"v": {"example.test"}}},
		{name: "our own DSN, a domain of a tenant", from: "a@example.test", e: mail.Envelope{Origin: mail.FromSelf}, granted: map[string][]smtp.Domain{"v": {"example.test"}}, want: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.config.Granted = c.granted
			if err := r.Apply(r.config); err != nil {
				t.Fatal(err)
			}
			c.e.From = c.from
			sig := r.sign(t, &c.e, msg(c.from))
			if got := sig != ""; got != c.want {
				t.Errorf("signed: %v", got)
			}
			if sig != "" && !r.Wants(&c.e) {
				t.Error("signed, yet Wants said no")
			}
			if c.e.Trusted && c.e.Sender.Domain == "" { // then the author alone decides
				author, _ := header.FirstMailbox(c.from)
				if by := Signs([]smtp.Domain{"example.test"}, c.granted, c.e.Tenant, author.Domain); (by == "example.test") != c.want {
					t.Errorf("told as signed by %q", by)
				}
			}
		})
	}
}

// Wants never says no where Sign would sign, whatever the log text of From
// became of.
func TestWants(t *testing.T) {
	r := newRig(t)
	for from, want := range map[string]bool{
		"":                      true,
		"a@example.test":        true,
		"A <a@EXAMPLE.test.>":   true,
		"a@x.example.test":      true,
		"a@b.test, c@d.test":    false,
		"A <a@b.test>":          false,
		`"x@y.test" <a@b.test>`: false,
		"a@ example.test":       true,
		"a@(c)example.test":     true,
		"a@bücher.test":         true,
		"undisclosed":           true,
		"A <a@b.test> " + strings.Repeat("x", 243): true,
	} {
		if got := r.Wants(&mail.Envelope{Trusted: true, From: from}); got != want {
			t.Errorf("%q: %v", from, got)
		}
	}
	none, err := New(Config{}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if none.Wants(&mail.Envelope{Trusted: true}) {
		t.Error("wants bodies without a key")
	}
}

// Mail of a domain with a key that cannot be used waits, though the domain's
// other key is good; mail of other domains goes on.
func TestUnusableKey(t *testing.T) {
	r := newRig(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	broken := x509.MarshalPKCS1PrivateKey(weak)
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	good := r.config
	for name, path := range map[string]string{
		"missing":     filepath.Join(dir, "missing"),
		"a directory": dir,
		"no PEM":      write("nopem", "hello"),
		"damaged":     write("damaged", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: broken[:len(broken)-9]}))),
		"encrypted":   write("encrypted", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
	} {
		bad := Config{Keys: append(good.Keys[:1:1], Key{Domain: "example.test", Selector: "bad", Path: path}, Key{Domain: "other.test", Selector: "e1", Path: good.Keys[1].Path})}
		s, err := New(bad, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		if sig, err := s.Sign(t.Context(), trusted(""), strings.NewReader(simple)); err == nil || sig != nil {
			t.Errorf("%s: signed with the other key alone: %v", name, err)
		}
		if sig, err := s.Sign(t.Context(), &mail.Envelope{Trusted: true}, strings.NewReader("From: a@other.test\r\n\r\n")); err != nil || sig == nil {
			t.Errorf("%s: another domain is held up: %v", name, err)
		}
		if err := r.Apply(bad); err == nil {
			t.Errorf("%s: taken in a reload", name)
		}
		if r.sign(t, trusted(""), simple) == "" {
			t.Errorf("%s: the old keys are gone", name)
		}
	}
}

func TestContradictions(t *testing.T) {
	for _, keys := range [][]Key{
		{{Domain: "a..test", Selector: "s"}},
		{{Domain: "[127.0.0.1]", Selector: "s"}},
		{{Domain: "a.test", Selector: ""}},
		{{Domain: "a.test", Selector: "x y"}},
		{{Domain: "a.test", Selector: "s"}, {Domain: "A.test", Selector: "S"}},
	} {
		if _, err := New(Config{Keys: keys}, Deps{}); err == nil {
			t.Errorf("%v was taken", keys)
		}
	}
}

func TestGenerate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for _, alg := range []string{RSA, Ed25519} {
		path := filepath.Join(dir, alg+".pem")
		key, err := Generate(alg, 1024*len(alg)/3*2, path)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", st.Mode(), err)
		}
		again, err := Load(path)
		if err != nil || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(again.Public()) {
			t.Errorf("another key came back: %v", err)
		}
		if _, err := Generate(alg, 0, path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a key was replaced: %v", err)
		}
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if _, err := Generate(RSA, 512, filepath.Join(dir, "weak")); err == nil {
		t.Error("512 bits were taken")
	}
	if _, err := Generate("dsa", 0, filepath.Join(dir, "dsa")); err == nil {
		t.Error("dsa was taken")
	}
}

func TestRecords(t *testing.T) {
	r := newRig(t)
	for _, i := range r.Keys() {
		quoted := Quote(i.Record)
		joined := ""
		for s := range strings.SplitSeq(strings.Trim(quoted, `"`), `" "`) {
			if len(s) > 255 {
				t.Errorf("a string of %d octets", len(s))
			}
			joined += s
		}
		if joined != i.Record {
			t.Errorf("joined: %s", joined)
		}
	}
	if a, b := r.Keys()[0], r.Keys()[1]; a.Algorithm != RSA || a.Bits != 2048 || b.Algorithm != Ed25519 || a.Name != "r1._domainkey.example.test" || !strings.Contains(Quote(a.Record), `" "`) {
		t.Errorf("%+v\n%+v", a, b)
	}
	if err := os.Chmod(r.config.Keys[0].Path, 0o644); err != nil {
		t.Fatal(err)
	}
	if i := Inspect(r.config.Keys)[0]; !strings.Contains(i.Warning, "chmod 600") || i.Err != nil {
		t.Errorf("%+v", i)
	}
}

func TestConcurrentSigning(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 5 {
				body := fmt.Sprintf("From: a@example.test\r\nSubject: %d.%d\r\n\r\n%s\r\n", i, j, strings.Repeat("x", 9000*j))
				sig, err := r.Sign(context.Background(), trusted(prefix), strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				if good, bad := r.ours(t, string(sig)+prefix+body); good != 2 || bad != 0 {
					t.Errorf("%d good, %d bad", good, bad)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzSign(f *testing.F) {
	r := newRig(f)
	if err := r.Apply(Config{Keys: r.config.Keys[1:]}); err != nil { // Ed25519 is quick
		f.Fatal(err)
	}
	f.Add([]byte(simple))
	f.Add([]byte("From: a@example.test\r\n\r\n \r\n\t\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		// Bodies in the spool have CRLF line ends and no bare CR or LF.
		body = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r"), nil), []byte("\n"), []byte("\r\n"))
		sig, err := r.Sign(context.Background(), trusted(prefix), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		checkForm(t, string(sig))
		msg := string(sig) + prefix + string(body)
		if _, _, ok := header.End([]byte(msg), 0); !ok {
			return
		}
		h, _ := header.Split(body)
		if h.Count("DKIM-Signature") > 0 {
			return
		}
		for f := range h.Fields() {
			// go-msgauth's verifier reads a line "From" without a colon as a
			// field, and knows letters of Unicode that equal those of ASCII.
			if f.Name() == nil || bytes.ContainsFunc(f.Name(), func(r rune) bool { return r >= 0x7f }) {
				return
			}
		}
		if good, _ := r.ours(t, msg); good != 1 {
			t.Fatalf("%d signatures verify: %q", good, msg)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIOEQAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := parse(text); err == nil && usable(k) != nil {
			t.Fatal("an unusable key was taken")
		}
	})
}

func BenchmarkSign(b *testing.B) {
	r := newRig(b)
	for _, c := range []struct {
		name string
		keys []Key
	}{{"rsa", r.config.Keys[:1]}, {"ed25519", r.config.Keys[1:]}, {"both", r.config.Keys}} {
		s, err := New(Config{Keys: c.keys}, Deps{})
		if err != nil {
			b.Fatal(err)
		}
		body := simple + strings.Repeat("0123456789abcdef0123456789abcdef0123456789\r\n", 93)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(context.Background(), trusted(prefix), strings.NewReader(body)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
