//go:build interop

package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// postfix is a Postfix of its own, for either side of the relay.
type postfix struct {
	*peer
	addr map[string]string // of its listeners, by name
}

// startPostfix runs Postfix's master with the listeners named by their settings
// (options of smtpd, as in master.cf), and extra in main.cf. It has the
// mailboxes a@src.test, and u0 to u9 and ü at dst.test, plain.test and seven.test.
func startPostfix(t *testing.T, listeners map[string]string, extra string) *postfix {
	t.Helper()
	p := &postfix{peer: newPeer(t), addr: map[string]string{}}
	cert, key := p.certificate(t, "rx.test")
	services, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		t.Fatal(err)
	}
	// No chroot, and listeners of our own in place of port 25.
	master := regexp.MustCompile(`(?m)^((\S+ +){2}(\S+ +){2})y`).ReplaceAllString(string(services), "${1}n")
	master = regexp.MustCompile(`(?m)^smtp +inet.*$`).ReplaceAllString(master, "")
	var greets string
	for name, options := range listeners {
		greets = freePort(t, "127.0.0.1")
		p.addr[name] = greets
		master += fmt.Sprintf("\n%s inet n - n - - smtpd %s\n", greets, options)
	}
	p.write(t, "etc/master.cf", master)
	boxes := "a@src.test src/\n"
	for _, d := range []string{"dst.test", "plain.test", "seven.test"} {
		for n := range 10 {
			boxes += fmt.Sprintf("u%d@%s %s/u%d/\n", n, d, d, n)
		}
		boxes += fmt.Sprintf("ü@%s %s/umlaut/\n", d, d)
	}
	p.write(t, "boxes", boxes)
	p.write(t, "etc/main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[2]s
maillog_file = %[3]s
maillog_file_prefixes = %[1]s
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = rx.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
local_header_rewrite_clients =
smtputf8_enable = yes
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_chain_files = %[4]s, %[5]s
smtpd_tls_received_header = yes
virtual_mailbox_domains = src.test dst.test plain.test seven.test
virtual_mailbox_base = %[6]s
virtual_mailbox_maps = texthash:%[1]s/boxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
%[7]s
`, p.dir, p.mkdir(t, "data", "postfix"), p.log, key, cert, p.mkdir(t, "mail", "65534"), extra))
	p.mkdir(t, "spool", "root")
	for _, d := range []string{"dst.test", "plain.test", "seven.test"} {
		p.mkdir(t, "mail/"+d, "65534")
	}
	etc := filepath.Join(p.dir, "etc")
	if out, err := exec.Command("postfix", "-c", etc, "check").CombinedOutput(); err != nil {
		t.Fatalf("postfix check: %v\n%s", err, out)
	}
	p.run(t, greets, "/usr/lib/postfix/sbin/master", "-c", etc, "-d")
	return p
}

func (p *postfix) box(name string) maildir { return maildir(filepath.Join(p.dir, "mail", name)) }

// TestInteropPostfixReceives delivers to Postfix as it is, to one without
// CHUNKING, PIPELINING, DSN and TLS, and to one that takes 7 bits only.
// What it takes arrives octet for octet, or converted; what it refuses comes back in a DSN that
// Python reads.
func TestInteropPostfixReceives(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, map[string]string{
		"dst.test":   "",
		"plain.test": "-o smtpd_discard_ehlo_keywords=chunking,pipelining,dsn,starttls,size,enhancedstatuscodes,smtputf8",
		"seven.test": "-o smtpd_discard_ehlo_keywords=8bitmime",
	}, "")
	routes := ""
	for d, addr := range p.addr {
		routes += fmt.Sprintf("[[route]]\ndomain = %q\nto = \"smtp://%s\"\n", d, addr)
	}
	routes += fmt.Sprintf("[[route]]\ndomain = \"src.test\"\nto = \"smtp://%s\"\n", p.addr["dst.test"])
	relay := startRelay(t, binary(t), t.TempDir(), freePort(t, "127.0.0.1"), routes)
	v, err := converse(relay.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	home := p.box("src")

	for _, s := range specimens() {
		for _, d := range []string{"dst.test", "plain.test", "seven.test"} {
			t.Run(s.name+" to "+d, func(t *testing.T) {
				v.submit(t, "<a@src.test> BODY=8BITMIME", []string{"<u0@" + d + ">"}, s.text)
				if s.name == "8-bit" && d == "seven.test" { // converted, not sent in the hope of the best (RFC 6152 section 3)
					for _, got := range p.box(d+"/u0").take(t, 1) {
						head, text, _ := strings.Cut(got, "\n\n")
						plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
						if err != nil || string(plain) != "Grüße aus 東京\r\n" || !strings.Contains(head, "\nContent-Transfer-Encoding: base64") {
							t.Errorf("%v\n%s", err, got)
						}
					}
					return
				}
				for _, got := range p.box(d+"/u0").take(t, 1) {
					whole(t, got, s.text)
					if tls := strings.Contains(got, "using TLSv1.3"); tls != (d != "plain.test") {
						t.Errorf("TLS: %v\n%s", tls, got)
					}
				}
			})
		}
	}
	t.Run("ten recipients, three of them unknown", func(t *testing.T) {
		var to []string
		for n := range 7 {
			to = append(to, fmt.Sprintf("<u%d@dst.test>", n))
		}
		to = slices.Insert(to, 3, "<no1@dst.test> ORCPT=rfc822;first+2Bno@dst.test", "<no2@dst.test>", "<no3@dst.test> NOTIFY=NEVER")
		sent := specimens()[0].text
		v.submit(t, "<a@src.test> RET=HDRS ENVID=QQ+3D1", to, sent)
		for n := range 7 {
			for _, got := range p.box(fmt.Sprintf("dst.test/u%d", n)).take(t, 1) {
				whole(t, got, sent)
			}
		}
		for _, got := range home.take(t, 1) {
			r := parse(t, got)
			if r.Type != "multipart/report" || r.ReportType != "delivery-status" || r.Auto != "auto-replied" || r.To != "<a@src.test>" && r.To != "a@src.test" {
				t.Errorf("the report: %+v", r)
			}
			if !slices.Equal(r.Parts, []string{"text/plain", "message/delivery-status", "text/rfc822-headers"}) {
				t.Errorf("parts: %q", r.Parts)
			}
			if r.Message["original-envelope-id"] != "QQ=1" || r.Message["reporting-mta"] != "dns; relay.test" || r.Message["arrival-date"] == "" {
				t.Errorf("of the message: %q", r.Message)
			}
			if len(r.Recipients) != 2 {
				t.Fatalf("recipients: %q", r.Recipients)
			}
			one := r.Recipients[0]
			if one["final-recipient"] != "rfc822; no1@dst.test" || one["original-recipient"] != "rfc822; first+no@dst.test" || one["action"] != "failed" ||
				one["status"] != "5.1.1" || !strings.HasPrefix(one["diagnostic-code"], "smtp; 550 5.1.1 ") || one["remote-mta"] == "" {
				t.Errorf("recipient: %q", one)
			}
			if r.Returned["message-id"] != "<1@src.test>" || r.Returned["received"] == "" {
				t.Errorf("returned: %q", r.Returned)
			}
			if len(r.Received) == 0 || r.Date == "" {
				t.Errorf("dates: %q %q", r.Received, r.Date)
			}
		}
	})

	t.Run("NOTIFY=SUCCESS is passed on, and Postfix tells", func(t *testing.T) {
		v.submit(t, "<a@src.test> ENVID=E1", []string{"<u1@dst.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@dst.test", "<u2@dst.test>"}, specimens()[0].text)
		p.box("dst.test/u1").take(t, 1)
		p.box("dst.test/u2").take(t, 1)
		for _, got := range home.take(t, 1) {
			r := parse(t, got)
			if r.Message["reporting-mta"] != "dns; rx.test" || r.Message["original-envelope-id"] != "E1" || len(r.Recipients) != 1 || r.Recipients[0]["action"] != "delivered" ||
				!strings.HasSuffix(r.Recipients[0]["original-recipient"], "o@dst.test") {
				t.Errorf("%+v", r)
			}
		}
	})

	t.Run("NOTIFY=SUCCESS ends where DSN is not offered", func(t *testing.T) {
		v.submit(t, "<a@src.test> RET=FULL", []string{"<u1@plain.test> NOTIFY=SUCCESS"}, specimens()[0].text)
		p.box("plain.test/u1").take(t, 1)
		for _, got := range home.take(t, 1) {
			r := parse(t, got)
			if r.Message["reporting-mta"] != "dns; relay.test" || len(r.Recipients) != 1 || r.Recipients[0]["action"] != "relayed" || r.Recipients[0]["final-recipient"] != "rfc822; u1@plain.test" {
				t.Errorf("%+v", r)
			}
		}
	})

	t.Run("RET=FULL", func(t *testing.T) {
		s := specimens()[2]
		v.submit(t, "<a@src.test> BODY=8BITMIME RET=FULL", []string{"<no@plain.test>"}, s.text)
		for _, got := range home.take(t, 1) {
			r := parse(t, got)
			if len(r.Parts) != 3 || r.Parts[2] != "message/rfc822" || !strings.Contains(got, "Grüße aus 東京\n") || r.Returned["subject"] != "x" {
				t.Errorf("%+v\n%s", r, got)
			}
		}
	})

	t.Run("SMTPUTF8", func(t *testing.T) {
		sent := strings.Replace(specimens()[2].text, "Subject: x", "Subject: Grüße", 1)
		v.submit(t, "<a@src.test> BODY=8BITMIME SMTPUTF8", []string{"<ü@dst.test>", "<ä@dst.test>"}, sent)
		for _, got := range p.box("dst.test/umlaut").take(t, 1) {
			whole(t, got, sent)
		}
		for _, got := range home.take(t, 1) {
			r := parse(t, got)
			if len(r.Recipients) != 1 || r.Recipients[0]["final-recipient"] != `utf-8; \x{E4}@dst.test` { // RFC 6533 section 3, in 7 bits
				t.Errorf("%+v\n%s", r, got)
			}
		}
		// Where it is not offered the message must come back (RFC 6531 section 3.2).
		v.submit(t, "<a@src.test> BODY=8BITMIME SMTPUTF8", []string{"<ü@plain.test>"}, sent)
		for _, got := range home.take(t, 1) {
			if r := parse(t, got); len(r.Recipients) != 1 || r.Recipients[0]["status"] != "5.6.7" {
				t.Errorf("%+v\n%s", r, got)
			}
		}
	})
	relay.term()
	p.logged(t, `disconnect from .*starttls=1.* bdat=.* quit=1`)
	p.logged(t, `disconnect from .*ehlo=1 mail=.* data=`)
	if log, _ := os.ReadFile(p.log); strings.Contains(string(log), "improper command pipelining") {
		t.Error("Postfix finds improper pipelining")
	}
}
