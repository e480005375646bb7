package verdict

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	words "tenma/relay/wire/dkim"
	"tenma/relay/wire/dkim/arc"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// handOn seals a message as domain, with what it says to have found.
func handOn(t *testing.T, domain string, status arc.Status, results, msg string) string {
	t.Helper()
	section, body := header.Split([]byte(msg))
	from, _ := section.Get("From")
	h := words.NewBodyHash()
	h.Write(body)
	s := arc.Seal{
		Domain: domain, Selector: "s", Algorithm: "ed25519-sha256", Time: time.Now(), Results: "mx." + domain + "; " + results, Status: status,
		Names: []byte("From:From"), Fields: words.AppendRelaxed(nil, from), Body: h.Sum(),
	}
	b, err := s.Append(nil, arc.Read(section), func(d [sha256.Size]byte) ([]byte, error) { return key().Sign(rand.Reader, d[:], crypto.Hash(0)) })
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + msg
}

// What a forwarder broke is taken on its word, if the forwarder is one that is
// believed, and nobody else stands between it and us.
func TestForwarders(t *testing.T) {
	const refused = "550 5.7.26"
	list := []smtp.Domain{"list.test", "other.test"}
	from := letter("x@a.test")
	seen := handOn(t, "list.test", arc.None, "spf=pass; dmarc=pass header.from=a.test", from)
	for _, c := range []struct {
		why, msg   string
		forwarders []smtp.Domain
		want       string
	}{
		{"it passed there", seen, list, "arc=pass smtp.remote-ip=192.0.2.99"},
		{"nobody is believed", seen, nil, refused},
		{"another is believed", seen, list[1:], refused},
		{"it passed there for another author", handOn(t, "list.test", arc.None, "dmarc=pass header.from=b.test", from), list, refused},
		{"it passed there for nobody knows whom", handOn(t, "list.test", arc.None, "dmarc=pass", from), list, refused},
		{"it had failed there", handOn(t, "list.test", arc.None, "spf=pass; dmarc=fail", from), list, refused},
		{"it passed in a comment there", handOn(t, "list.test", arc.None, `spf=pass (; dmarc=pass) reason="; dmarc=pass"; dmarc=fail`, from), list, refused},
		{"changed since", seen + "more\r\n", list, refused},
		{"and through another", handOn(t, "other.test", arc.Pass, "arc=pass; dmarc=fail", seen), list, "arc=pass"},
		{"and through one that is not believed", handOn(t, "other.test", arc.Pass, "arc=pass; dmarc=pass", seen), list[:1], refused},
		{"after one that is not believed", handOn(t, "list.test", arc.Pass, "arc=pass; dmarc=fail", handOn(t, "other.test", arc.None, "dmarc=pass", from)), list[:1], refused},
	} {
		got := judged(t, Config{DMARC: Reject, Forwarders: c.forwarders}, world(), envelope("x@list.test", "192.0.2.99"), c.msg, 100)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.why, got)
		}
	}
}

// What became of a chain is told; of one that could not be judged nothing is.
func TestChains(t *testing.T) {
	from := letter("x@a.test")
	for _, c := range []struct{ why, msg, want string }{
		{"none", from, ""},
		{"whole", handOn(t, "list.test", arc.None, "none", from), "; arc=pass"},
		{"changed", handOn(t, "list.test", arc.None, "none", from) + "more\r\n", `arc=fail reason="body was changed"`},
		{"not whole", "ARC-Seal: i=1\r\n" + from, `arc=fail reason="a set is not whole"`},
		{"no key", handOn(t, "b.test", arc.None, "none", from), `arc=fail reason="no key"`},
		{"no answer", handOn(t, "keyless.test", arc.None, "none", from), ""},
	} {
		got := judged(t, Config{}, world(), envelope("x@a.test", "192.0.2.1"), c.msg, 100)
		if !strings.Contains(got, c.want) || c.want == "" && strings.Contains(got, "; arc=") {
			t.Errorf("%s: %s", c.why, got)
		}
	}
}
