package tlsrpt

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"mime"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

// lineOctets is the length of a line of base64 (RFC 2045 section 6.8).
const lineOctets = 76

// mailTo hands a report to the outbox. From there it goes like other mail: signed,
// as RFC 8460 section 3 demands, by the key of its sender's domain, and tried for a
// day. Nobody is told if it fails: what cannot be reported is not worth a DSN a day.
func (s *Stage) mailTo(ctx context.Context, c *Config, d *delivery, to smtp.Address) error {
	packed, err := d.report.Gzip()
	if err != nil {
		return err
	}
	now := time.Now()
	e := &mail.Envelope{
		// Not null: the report is no answer to a message (RFC 5321 section 4.5.5).
		Sender:      c.Contact,
		Recipients:  []mail.Recipient{{Address: to, Notify: mail.NotifyNever}},
		Expire:      now.Add(retryFor), // RFC 8460 section 5.5
		SMTPUTF8:    to.NeedsUTF8(),
		OptionalTLS: true, // it must arrive in spite of what it reports (RFC 8460 section 3)
		Priority:    mail.Bulk,
		Origin:      mail.FromSelf,
		From:        "<" + c.Contact.String() + ">", Subject: d.subject(), MsgID: "<" + d.report.ID + ">",
	}
	e.Subject = e.Subject[:min(len(e.Subject), 256)]
	return s.deps.Outbox.Send(ctx, "tlsrpt "+d.report.ID+" "+to.String(), e, bytes.NewReader(d.message(c, to, now, packed)))
}

// subject is that of RFC 8460 section 5.3.
func (d *delivery) subject() string {
	return fmt.Sprintf("Report Domain: %s Submitter: %s Report-ID: <%s>", d.domain, d.submitter, d.report.ID)
}

// message writes the report as mail (RFC 8460 section 5.3), CRLF at each line's end.
func (d *delivery) message(c *Config, to smtp.Address, now time.Time, packed []byte) []byte {
	boundary := "tlsrpt_" + d.unique
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("Date: %s", now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	line("From: %s", from(c))
	line("To: <%s>", to)
	line("Subject: Report Domain: %s\r\n\tSubmitter: %s\r\n\tReport-ID: <%s>", d.domain, d.submitter, d.report.ID)
	line("Message-ID: <%s>", d.report.ID)
	line("TLS-Report-Domain: %s", d.domain)
	line("TLS-Report-Submitter: %s", d.submitter)
	line("TLS-Required: No")               // RFC 8689 section 3: for those who carry it on
	line("Auto-Submitted: auto-generated") // RFC 3834 section 5
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"%s\"", boundary)
	line("\r\n--%s", boundary)
	line("Content-Type: text/plain; charset=us-ascii\r\n")
	b.WriteString(d.text())
	line("\r\n--%s", boundary)
	line("Content-Type: %s", tlsrpt.TypeGzip)
	line("Content-Transfer-Encoding: base64")
	line("Content-Disposition: attachment;\r\n\tfilename=\"%s\"\r\n", d.fileName())
	text := base64.StdEncoding.EncodeToString(packed)
	for len(text) > lineOctets {
		line("%s", text[:lineOctets])
		text = text[lineOctets:]
	}
	line("%s", text)
	line("\r\n--%s--", boundary)
	return b.Bytes()
}

// from names the organization, if there is a name.
func from(c *Config) string {
	address := "<" + c.Contact.String() + ">"
	if c.Organization == "" {
		return address
	}
	name := mime.QEncoding.Encode("utf-8", c.Organization)
	if name == c.Organization {
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name + "\r\n\t" + address
}

// text tells people what this is.
func (d *delivery) text() string {
	var good, bad uint64
	for _, p := range d.report.Policies {
		good += p.Summary.Good
		bad += p.Summary.Bad
	}
	return fmt.Sprintf("This is a report on the TLS of SMTP sessions (RFC 8460), made by a machine\r\n"+
		"because %s asks for such reports in the DNS.\r\n\r\n"+
		"Of the sessions with mail hosts of %s\r\non %s (UTC), %d went well and %d did not.\r\n"+
		"The particulars are attached.\r\n", d.domain, d.domain, d.report.Range.Start.Format(time.DateOnly), good, bad)
}
