package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	verifier "github.com/emersion/go-msgauth/dkim"

	"tenma/relay/policy/dkim"
	"tenma/relay/relaytest"
)

// survivor is a message as a host got it.
type survivor struct {
	name string
	hop  string
	data []byte
}

// hops are hosts with manners that matter for the form of a message.
var hops = []struct {
	name   string
	manner []string
}{
	{"eight-bdat", nil},
	{"eight-data", []string{"without=CHUNKING"}},
	{"seven-bdat", []string{"without=8BITMIME", "without=SMTPUTF8"}},
	{"seven-data", []string{"without=8BITMIME", "without=SMTPUTF8", "without=CHUNKING"}},
	{"helo", []string{"helo-only"}},
}

// specimens are the messages of testdata/messages, and variants of them that
// make signing or converting hard.
func specimens(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/messages/*.*")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d messages: %v", len(files), err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), nil)
		text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
		name := filepath.Base(f)
		all[name] = text
		if len(text) > 10_000 {
			continue // once is enough
		}
		all[name+" 8-bit"] = bytes.ReplaceAll(text, []byte(" the "), []byte(" thé "))
		all[name+" long lines"] = bytes.Replace(text, []byte("\r\n\r\n"), []byte("\r\n\r\n"+strings.Repeat("very long ", 200)+"\xe4\r\n"), 1)
		all[name+" no final line end"] = bytes.TrimRight(append(bytes.Clone(text), "ende \xfc"...), "\r\n")
	}
	for name, text := range map[string]string{
		"empty body":       "From: a@src.test\r\nSubject: empty\r\n\r\n",
		"no body":          "From: a@src.test\r\nSubject: none\r\n",
		"no header":        "\r\nJust text \xe4\r\n",
		"neither":          "\r\n",
		"odd folding":      "From:\r\n\ta@src.test\r\nSubject: \t odd\r\n \t\r\n\tfolding \xc3\xa4 \r\nTo :b@dst.test\r\n\r\n  \tx \r\n\r\n \r\n\xe4\r\n\r\n\r\n",
		"trailing space":   "From: a@src.test\r\n\r\nx  \t\r\n\xe4 \t \r\n\r\n \r\n",
		"dots":             "From: a@src.test\r\n\r\n.\r\n..\r\n.\xe4\r\n",
		"8-bit in header":  "From: J\xc3\xb6rg <a@src.test>\r\nSubject: gr\xc3\xbc\xc3\x9fe\r\n\r\nx\r\n",
		"Latin-1 all over": "From: J\xf6rg <a@src.test>\r\nSubject: gr\xfc\xdfe\r\n\r\ngr\xfc\xdfe\r\n",
		"nested": "From: a@src.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n--b\r\n" +
			"Content-Type: message/rfc822\r\n\r\nSubject: \xc3\xa4\r\n\r\nin \xc3\xa4\r\n--b\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--b--\r\n",
	} {
		all[name] = []byte(text)
	}
	return all
}

// survivors sends specimens to every hop, and gives what arrived and the DNS
// records of the keys that signed.
func survivors(t *testing.T, specimens map[string][]byte) (all []survivor, records map[string][]string) {
	t.Helper()
	dir := t.TempDir()
	records = map[string][]string{}
	conf := crashConfig
	for selector, algorithm := range map[string]string{"r1": dkim.RSA, "e1": dkim.Ed25519} {
		conf += fmt.Sprintf("[[dkim]]\ndomain = \"src.test\"\nselector = %q\nkey = %q\n", selector, selector+".pem")
		key, err := dkim.Generate(algorithm, 0, filepath.Join(dir, selector+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		record, err := dkim.Record(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		records[dkim.Name(selector, "src.test")] = []string{record}
	}
	path := filepath.Join(dir, "relay.toml")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { all = survive(t, dir, path, specimens) })
	arrived := map[string]int{}
	for _, s := range all {
		arrived[s.name]++
	}
	for name, text := range specimens {
		want := len(hops)
		if bytes.Contains(bytes.ToLower(text), []byte("message/partial")) && bytes.ContainsFunc(text, func(c rune) bool { return c >= 0x80 }) {
			want = 2 // it may not be encoded (RFC 2046 section 5.2.2.1)
		}
		if n := arrived[name]; n != want {
			t.Errorf("%s arrived at %d hops, not %d", name, n, want)
		}
	}
	return all, records
}

func survive(t *testing.T, dir, conf string, specimens map[string][]byte) (all []survivor) {
	zone := crashZone
	var to []string
	for i, h := range hops {
		zone += fmt.Sprintf("%[1]s.test. 300 IN MX 10 mx.%[1]s.test.\nmx.%[1]s.test. 300 IN A 203.0.113.%[2]d\n", h.name, 10+i)
		to = append(to, "b@"+h.name+".test")
	}
	w := relaytest.New(t, dir, zone)
	defer w.Close()
	for i, h := range hops {
		w.Receive("mx."+h.name+".test", fmt.Sprintf("203.0.113.%d:25", 10+i), h.manner...)
	}
	w.Start(conf)
	for name, msg := range specimens {
		before := map[string]int{}
		for _, h := range hops {
			before[h.name] = len(w.Got("mx." + h.name + ".test"))
		}
		if err := bdat(t.Context(), w, to, msg); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, h := range hops {
			for _, m := range w.Got("mx." + h.name + ".test")[before[h.name]:] {
				all = append(all, survivor{name, h.name, m.Data})
			}
		}
	}
	return all
}

// bdat hands a message to the relay octet for octet, which DATA cannot: it may
// lack its final line end.
func bdat(ctx context.Context, w *relaytest.World, to []string, msg []byte) error {
	c, err := w.Net.Dial(ctx, netip.Addr{}, netip.MustParseAddrPort("127.0.0.1:2525"))
	if err != nil {
		return err
	}
	defer c.Close()
	in := textproto.NewReader(bufio.NewReader(c))
	if _, _, err := in.ReadResponse(220); err != nil {
		return err
	}
	say := []string{"EHLO client.test\r\n", "MAIL FROM:<a@src.test>\r\n"}
	for _, r := range to {
		say = append(say, "RCPT TO:<"+r+">\r\n")
	}
	for _, s := range append(say, fmt.Sprintf("BDAT %d LAST\r\n%s", len(msg), msg)) {
		if _, err := io.WriteString(c, s); err != nil {
			return err
		}
		if _, _, err := in.ReadResponse(250); err != nil {
			return err
		}
	}
	return nil
}

// TestSignatureSurvives sends the messages through hops of 8 and 7 bits: each
// signature verifies at the end, whatever form the message took, and those of 7
// bits got no octet above 127 and no line that is too long. Broken by a rendition
// that bears the signature of the stored form.
func TestSignatureSurvives(t *testing.T) {
	all, records := survivors(t, specimens(t))
	for _, s := range all {
		if s.name == "no body" { // go-msgauth wants the empty line, which counts for nothing
			s.data = append(s.data, "\r\n"...)
		}
		if good := verified(t, s, records)["src.test"]; good != 2 {
			t.Errorf("%s through %s: %d of two signatures are good", s.name, s.hop, good)
		}
		if strings.HasPrefix(s.hop, "eight") {
			continue
		}
		for line := range bytes.Lines(s.data) {
			if bytes.ContainsFunc(line, func(c rune) bool { return c >= 0x80 }) || len(line) > 1000 {
				t.Errorf("%s through %s: %.100q", s.name, s.hop, line)
			}
		}
	}
}

// verified counts good signatures by domain.
func verified(t *testing.T, s survivor, records map[string][]string) map[string]int {
	t.Helper()
	found, err := verifier.VerifyWithOptions(bytes.NewReader(s.data), &verifier.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if r := records[name]; r != nil {
			return r, nil
		}
		return nil, fmt.Errorf("no record %s", name)
	}})
	if err != nil {
		t.Errorf("%s through %s: %v", s.name, s.hop, err)
	}
	good := map[string]int{}
	for _, v := range found {
		if v.Err == nil {
			good[v.Domain]++
		}
	}
	return good
}

// TestForeignSignatureSurvives relays what somebody else has signed, in the form
// that forgives nothing (simple/simple): wherever the host can take it as it is, not
// an octet of it changes. Broken by long lines that are converted all the same.
func TestForeignSignatureSurvives(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.NewChaCha8([32]byte{}))
	if err != nil {
		t.Fatal(err)
	}
	signed := map[string][]byte{}
	for name, text := range specimens(t) {
		if bytes.HasPrefix(text, []byte("\r\n")) || !bytes.Contains(text, []byte("\r\n\r\n")) {
			continue // no header to sign, or no body
		}
		if file := strings.Contains(name, "."); file && !strings.HasSuffix(name, "8-bit") && !strings.HasSuffix(name, "long lines") {
			continue // as good as these, and half of the time
		}
		var b bytes.Buffer
		if err := verifier.Sign(&b, bytes.NewReader(text), &verifier.SignOptions{
			Domain: "other.test", Selector: "o", Signer: private, HeaderKeys: []string{"From", "To", "Subject", "Content-Type"},
		}); err == nil {
			signed[name] = b.Bytes()
		}
	}
	if len(signed) < 50 {
		t.Fatalf("%d messages are signed", len(signed))
	}
	all, records := survivors(t, signed)
	records["o._domainkey.other.test"] = []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}
	kept := 0
	for _, s := range all {
		good := verified(t, s, records)
		eight := bytes.ContainsFunc(signed[s.name], func(c rune) bool { return c >= 0x80 })
		if strings.HasPrefix(s.hop, "eight") || !eight {
			kept++
			if good["other.test"] != 1 {
				t.Errorf("%s through %s: another's signature broke", s.name, s.hop)
			}
		}
		if good["src.test"] != 2 {
			t.Errorf("%s through %s: %d of our two signatures are good", s.name, s.hop, good["src.test"])
		}
	}
	t.Logf("%d of %d arrived as they were", kept, len(all))
}
