package setup

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"

	"tenma/relay/wire/smtp"
)

// profile answers GET /apple.mobileconfig?email=ADDRESS with a configuration
// profile (Apple's "Mail" payload). The program asks for the password itself.
func profile(c *Config, w http.ResponseWriter, r *http.Request) {
	a, ok := c.address(r.URL.Query().Get("email"))
	if !ok {
		http.Error(w, "say ?email=ADDRESS with an address of a domain that lives here", http.StatusNotFound)
		return
	}
	in, kind := c.of(IMAP), "EmailTypeIMAP"
	if len(in) == 0 {
		in, kind = c.of(POP3), "EmailTypePOP"
	}
	out := c.of(Submission)
	if len(in) == 0 || len(out) == 0 {
		http.Error(w, "this server offers no mailboxes to mail programs", http.StatusNotFound)
		return
	}
	text := c.plist(a, kind, in[0], out[0])
	w.Header().Set("Content-Disposition", `attachment; filename="mail.mobileconfig"`)
	send(w, "application/x-apple-aspen-config", text)
}

func (c *Config) plist(a smtp.Address, kind string, in, out Service) []byte {
	p := &plistWriter{}
	p.raw(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n<plist version=\"1.0\">\n<dict>\n")
	p.raw("<key>PayloadContent</key>\n<array>\n<dict>\n")
	p.text("EmailAccountDescription", a.String())
	p.text("EmailAccountType", kind)
	p.text("EmailAddress", a.String())
	for _, way := range []struct {
		name string
		s    Service
	}{{"IncomingMailServer", in}, {"OutgoingMailServer", out}} {
		p.text(way.name+"Authentication", "EmailAuthPassword")
		p.text(way.name+"HostName", c.Host)
		p.number(way.name+"PortNumber", int(way.s.Port))
		p.yes(way.name + "UseSSL") // TLS either way: the port tells which
		p.text(way.name+"Username", a.String())
	}
	p.yes("OutgoingPasswordSameAsIncomingPassword")
	p.payload("com.apple.mail.managed", c.Host, "mail", a)
	p.raw("</dict>\n</array>\n")
	p.payload("Configuration", c.Host, "profile", a)
	p.text("PayloadOrganization", string(a.Domain))
	p.raw("</dict>\n</plist>\n")
	return p.out.Bytes()
}

// plistWriter writes the few kinds of value that a profile has.
type plistWriter struct{ out bytes.Buffer }

func (p *plistWriter) raw(s string) { p.out.WriteString(s) }

func (p *plistWriter) key(k string) { p.raw("<key>" + k + "</key>") }

func (p *plistWriter) text(key, value string) {
	p.key(key)
	p.raw("<string>")
	_ = xml.EscapeText(&p.out, []byte(value)) // memory does not fail
	p.raw("</string>\n")
}

func (p *plistWriter) number(key string, n int) {
	p.key(key)
	p.raw("<integer>" + strconv.Itoa(n) + "</integer>\n")
}

func (p *plistWriter) yes(key string) {
	p.key(key)
	p.raw("<true/>\n")
}

// payload writes what every payload has. The identifiers are the same at every
// download, so that a second one replaces the first instead of standing beside it.
func (p *plistWriter) payload(kind, host, part string, a smtp.Address) {
	id := uuid(part, host, a.String())
	p.text("PayloadType", kind)
	p.number("PayloadVersion", 1)
	p.text("PayloadIdentifier", "tenma."+part+"."+id)
	p.text("PayloadUUID", id)
	p.text("PayloadDisplayName", "Mail of "+a.String())
}

// uuid makes an identifier of what it names (RFC 9562 section 5.8, version 8).
func uuid(parts ...string) string {
	h := sha256.New()
	for _, s := range parts {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
