//go:build interop

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// outOfBand is what the mail log tells of a report that came back.
type outOfBand struct {
	Type, Recipient, Detail string
	About                   string `json:"about_id"`
	Class                   string `json:"bounce_classification"`
	Severity                string `json:"bounce_severity"`
	Response                struct{ Code int }
	ID                      string
}

// records reads the records of a kind.
func records(t *testing.T, journal, kind string) (all []outOfBand) {
	t.Helper()
	f, err := os.Open(journal)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r outOfBand
		if err := json.Unmarshal(lines.Bytes(), &r); err == nil && r.Type == kind {
			all = append(all, r)
		}
	}
	return all
}

// TestInteropReturns hands mail to Postfix, Exim and OpenSMTPD, which take it and
// find out later that they cannot deliver it. What they return comes by the relay's
// own listener and is traced to message and recipient, to whom no more mail is taken.
func TestInteropReturns(t *testing.T) {
	t.Parallel()
	smtp := freePort(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(smtp)
	p := startPostfix(t, map[string]string{
		"next": "", // refuses whom it does not know, at once
		"late": "-o smtpd_reject_unlisted_recipient=no",
	}, fmt.Sprintf("transport_maps = inline:{ { r.src.test = smtp:[127.0.0.1]:%s } }\n", port))
	_, exim, _ := startExim(t, p.addr["next"])
	open, _ := startOpenSMTPD(t, p.addr["next"])
	routes := ""
	for domain, addr := range map[string]string{"dst.test": p.addr["late"], "plain.test": exim, "seven.test": open, "src.test": p.addr["next"]} {
		routes += fmt.Sprintf("[[route]]\ndomain = %q\nto = \"smtp://%s\"\n", domain, addr)
	}
	dir := t.TempDir()
	relay := startRelay(t, binary(t), dir, smtp, routes+"[returns]\ndomain = \"r.src.test\"\nverp = true\n[spool]\nmin_free_disk = \"64MiB\"\n")
	v, err := converse(smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	domains := []string{"dst.test", "plain.test", "seven.test"}
	var to []string
	for _, d := range domains {
		to = append(to, "<u3@"+d+">", "<gone@"+d+">")
	}
	v.submit(t, "<a@src.test>", to, specimens()[0].text)
	for _, d := range domains {
		for _, got := range p.box(d+"/u3").take(t, 1) {
			if !strings.Contains(got, "@r.src.test>\n") || strings.Contains(got, "gone@") {
				t.Errorf("the return path of what arrived:\n%s", got)
			}
		}
	}
	journal := filepath.Join(dir, "data", "log", "mail.jsonl")
	var back []outOfBand
	await(t, patience, func() bool {
		back = records(t, journal, "OOB")
		return len(back) >= len(domains)
	}, journal)
	delivered := map[string]string{}
	for _, r := range records(t, journal, "Delivery") {
		delivered[r.ID] = r.Recipient
	}
	seen := map[string]bool{}
	for _, r := range back {
		seen[r.Recipient] = true
		if delivered[r.About] != r.Recipient || r.Severity != "hard" || r.Class != "InvalidRecipient" || r.Detail != "" {
			t.Errorf("%+v: it is about %q", r, delivered[r.About])
		}
	}
	for _, d := range domains {
		if !seen["gone@"+d] {
			t.Errorf("nothing came back from %s", d)
		}
	}
	if _, err := v.ask("MAIL FROM:<a@src.test>\r\n"); err != nil {
		t.Fatal(err)
	}
	for _, d := range domains {
		for name, want := range map[string]string{"u3": "250", "gone": "550 5.7.1"} {
			if reply, _ := v.ask("RCPT TO:<" + name + "@" + d + ">\r\n"); !strings.HasPrefix(reply, want) {
				t.Errorf("%s@%s is answered %q, want %s", name, d, reply, want)
			}
		}
	}
	relay.term()
	if back := records(t, journal, "OOB"); len(back) != len(domains) {
		t.Errorf("%d came back, want one for each: %+v", len(back), back)
	}
	if entries, _ := os.ReadDir(filepath.Join(p.dir, "mail", "src", "new")); len(entries) > 0 {
		t.Errorf("the sender got %d messages about it", len(entries))
	}
}
