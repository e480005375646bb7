//go:build interop

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tenma/dnscache/dnstest"
)

// dkimpy signs a message as src.test, hands it on as list.test (arc), or tells what
// it thinks of one.
const dkimpy = `
import dkim, json, sys
what, key, records = sys.argv[1], open(sys.argv[2], 'rb').read(), json.loads(sys.argv[3])
dns = lambda name, timeout=5: records.get(name.decode().rstrip('.'), '').encode()
msg = sys.stdin.buffer.read().replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')
if what == 'sign':
    out = dkim.sign(msg, b's', b'src.test', key, canonicalize=(b'simple', b'simple')) + msg
elif what == 'list':
    results = b'Authentication-Results: mx.list.test; dmarc=pass header.from=src.test\r\n'
    out = b''.join(dkim.arc_sign(results + msg, b's', b'list.test', key, b'mx.list.test')) + results + msg
else:
    cv, sets, why = dkim.arc_verify(msg, dnsfunc=dns)
    out = b'dkim=%s arc=%s/%d' % (b'pass' if dkim.verify(msg, dnsfunc=dns) else b'fail', cv or b'ended', len(sets))
sys.stdout.buffer.write(out)
`

// mailDKIM tells what Perl's Mail::DKIM thinks of the chain of a message.
const mailDKIM = `
use Mail::DKIM::ARC::Verifier; use Mail::DKIM::DNS; use Net::DNS;
my $record = $ARGV[0];
{
  package Zone;
  sub new { bless {}, shift }
  sub send {
    my ($self, $name) = @_;
    my $p = Net::DNS::Packet->new($name, 'TXT');
    $p->push(answer => Net::DNS::RR->new(name => $name, type => 'TXT', ttl => 60, txtdata => [unpack '(A200)*', $record]));
    $p
  }
  sub query { my $self = shift; $self->send(@_) }
  sub bgsend { my $self = shift; $self->{p} = $self->send(@_); 1 }
  sub bgread { $_[0]{p} }
  sub bgbusy { 0 }
  sub errorstring { '' }
}
Mail::DKIM::DNS::resolver(Zone->new);
my $v = Mail::DKIM::ARC::Verifier->new(Strict => 1);
while (<STDIN>) { s/\r?\n$//; $v->PRINT("$_\r\n") }
$v->CLOSE;
print $v->result_detail;
`

// TestInteropVerdicts brings mail that dkimpy signed, or sealed as a mailing list
// would, with swaks to a relay that does not know the client. What it finds stands in
// the message; an alias hands it on to Postfix, and there dkimpy finds the author's
// signature and our seal whole, and so does Mail::DKIM.
func TestInteropVerdicts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key.pem")
	block := pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}
	if err := os.WriteFile(key, pem.EncodeToMemory(&block), 0o600); err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	record := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
	zone := "src.test. IN TXT \"v=spf1 ip4:127.0.0.1 -all\"\n_dmarc.src.test. IN TXT \"v=DMARC1; p=reject\"\nlist.test. IN TXT \"v=spf1 -all\"\n"
	records := map[string]string{}
	for _, d := range []string{"src.test", "list.test", "ours.test"} {
		name := "s._domainkey." + d
		records[name] = record
		zone += fmt.Sprintf("%s. IN TXT %q %q\n", name, record[:200], record[200:])
	}
	known, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	python := func(what, msg string) string {
		t.Helper()
		var said strings.Builder
		c := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", dkimpy, what, key, string(known))
		c.Stdin, c.Stderr = strings.NewReader(msg), &said
		out, err := c.Output()
		if err != nil {
			t.Fatalf("dkimpy: %v: %s", err, said.String())
		}
		return string(out)
	}
	dns, stranger := freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1")
	pc, ln, err := dnstest.Listen(t.Context(), dns)
	if err != nil {
		t.Fatal(err)
	}
	go dnstest.New(zone).Serve(t.Context(), pc, ln) //nolint:errcheck // ends with the test
	p := startPostfix(t, map[string]string{"dst.test": "", "seven.test": "-o smtpd_discard_ehlo_keywords=8bitmime"}, "")
	extra := fmt.Sprintf("[[listen]]\nprotocol = \"smtp\"\naddress = %q\ntls = \"off\"\n[dns]\nservers = [%q]\n[verdicts]\ndmarc = \"reject\"\nforwarders = [\"list.test\"]\n[[domain]]\nname = \"ours.test\"\n[[dkim]]\ndomain = \"ours.test\"\nselector = \"s\"\nkey = %q\n", stranger, dns, key)
	for name, d := range map[string]string{"team": "dst.test", "old": "seven.test"} {
		extra += fmt.Sprintf("[[alias]]\naddress = \"%s@ours.test\"\nto = [\"u0@%s\"]\n[[route]]\ndomain = %q\nto = \"smtp://%s\"\n", name, d, d, p.addr[d])
	}
	startRelay(t, binary(t), dir, freePort(t, "127.0.0.1"), extra)
	host, port, _ := net.SplitHostPort(stranger)
	bring := func(from, to, msg string) (string, error) {
		file := filepath.Join(t.TempDir(), "message")
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(msg, "\r\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "swaks", "--server", host, "--port", port, "--from", from, "--to", to, "--data", "@"+file).CombinedOutput()
		return string(out), err
	}

	plain := "From: Ann <a@src.test>\r\nTo: team@ours.test\r\nSubject: to the  team\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@src.test>\r\n\r\nHello,  team \r\n\r\nbye\r\n"
	eight := strings.Replace(plain, "\r\n\r\n", "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n", 1)
	changed := strings.Replace(python("sign", plain), "bye", "bye\r\n-- \r\nthe list", 1)
	for _, c := range []struct{ why, from, to, msg, judged, found string }{
		{"signed by its author", "a@src.test", "team", python("sign", plain), "dkim=pass arc=pass/1", "spf=pass dkim=pass dmarc=pass"},
		{"with 8 bits", "a@src.test", "team", python("sign", eight), "dkim=pass arc=pass/1", "spf=pass dkim=pass dmarc=pass"},
		{"with 8 bits, converted", "a@src.test", "old", python("sign", eight), "dkim=fail arc=pass/1", "spf=pass dkim=pass dmarc=pass"},
		{"not signed", "a@src.test", "team", plain, "dkim=fail arc=pass/1", "spf=pass dkim=none dmarc=pass"},
		{"from a mailing list", "x@list.test", "team", python("list", python("sign", plain)), "dkim=pass arc=pass/2", "spf=fail dkim=pass dmarc=pass arc=pass"},
		{"changed by a mailing list that is believed", "x@list.test", "team", python("list", changed), "dkim=fail arc=pass/2", "spf=fail dkim=fail dmarc=fail arc=pass"},
	} {
		t.Run(c.why, func(t *testing.T) {
			if out, err := bring(c.from, c.to+"@ours.test", c.msg); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			box := "dst.test/u0"
			if c.to == "old" {
				box = "seven.test/u0"
			}
			for _, got := range p.box(box).take(t, 1) {
				// What Postfix put in front is not of the message that was sealed.
				if judged := python("judge", got); judged != c.judged {
					t.Errorf("dkimpy finds %s, not %s:\n%s", judged, c.judged, got)
				}
				perl := exec.CommandContext(t.Context(), "/usr/bin/perl", "-e", mailDKIM, record)
				perl.Stdin = strings.NewReader(got)
				if out, err := perl.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "pass (") {
					t.Errorf("Mail::DKIM finds %s, %v", out, err)
				}
				_, results, _ := strings.Cut(got, "\nAuthentication-Results: relay.test;")
				results, _, _ = strings.Cut(results, "\nReceived")
				for want := range strings.FieldsSeq(c.found) {
					if !strings.Contains(results, want) {
						t.Errorf("%s is not among what we found:\n%s", want, results)
					}
				}
			}
		})
	}
	for why, msg := range map[string]string{
		"forged":                        plain,
		"changed since the list saw it": strings.Replace(python("list", changed), "Hello", "Hallo", 1),
	} {
		if out, err := bring("x@list.test", "team@ours.test", msg); err == nil || !strings.Contains(out, "550 5.7.26") {
			t.Errorf("%s, and it is taken:\n%s", why, out)
		}
	}
}
