package rules

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// Notice is a message of the relay's own.
type Notice struct {
	From, To   smtp.Address
	Name       string // of From, in ASCII without quotes; "": none
	Subject    string
	Text       string // UTF-8, lines ended by LF
	Date       time.Time
	MessageID  string // with brackets
	Automatic  string // the value of Auto-Submitted (RFC 3834 section 5)
	InReplyTo  string // "": none
	References string // "": none
}

// maxSubject bounds a subject in octets, maxReferences the References of a
// reply.
const (
	maxSubject    = 200
	maxReferences = 900 // RFC 5322 section 2.1.1: 998 on a line
)

// Bytes writes the message, CRLF at each line's end.
func (n *Notice) Bytes() []byte {
	var b bytes.Buffer
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	field("Date", n.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	from := "<" + n.From.String() + ">"
	if n.Name != "" {
		from = n.Name + " " + from
	}
	field("From", from)
	field("To", "<"+n.To.String()+">")
	// Encoded words stand on lines of their own (RFC 2047 section 2).
	field("Subject", strings.ReplaceAll(mime.BEncoding.Encode("utf-8", header.Decode(n.Subject, maxSubject)), " =?", "\r\n =?"))
	field("Message-ID", n.MessageID)
	field("In-Reply-To", n.InReplyTo)
	field("References", n.References)
	field("Auto-Submitted", n.Automatic)
	field("MIME-Version", "1.0")
	text := strings.ReplaceAll(strings.ToValidUTF8(n.Text, "\ufffd"), "\r\n", "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if plain(text) {
		field("Content-Type", "text/plain; charset=us-ascii")
		b.WriteString("\r\n")
		b.WriteString(strings.ReplaceAll(text, "\n", "\r\n"))
		return b.Bytes()
	}
	field("Content-Type", "text/plain; charset=utf-8")
	field("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // to memory
	_ = w.Close()
	return b.Bytes()
}

// plain reports text that needs no encoding (RFC 2045 section 2.7).
func plain(text string) bool {
	line := 0
	for i := range len(text) {
		c := text[i]
		if line++; c == '\n' {
			line = 0
		}
		if c >= 0x7f || c < ' ' && c != '\n' && c != '\t' || line > 78 {
			return false
		}
	}
	return true
}

// Reply composes the automatic reply of an account to a. messageID is the
// reply's own.
func Reply(v *mail.Vacation, account smtp.Address, a Arrival, messageID string, now time.Time) []byte {
	n := Notice{
		From: account, To: a.Sender, Date: now, MessageID: messageID, Automatic: "auto-replied", // RFC 3834 section 5.1
		Subject: v.Subject, Text: v.Text,
	}
	if n.Subject == "" {
		n.Subject = strings.TrimSpace("Automatic reply: " + header.Decode(a.Header.Text("Subject"), maxSubject-20))
	}
	if id := messageIDs(a.Header.Text("Message-ID")); len(id) == 1 { // RFC 5322 section 3.6.4
		n.InReplyTo = id[0]
		before := messageIDs(a.Header.Text("References"))
		if before == nil {
			if before = messageIDs(a.Header.Text("In-Reply-To")); len(before) > 1 {
				before = nil
			}
		}
		n.References = threaded(append(before, id[0]))
	}
	return n.Bytes()
}

// threaded joins ids; of too many it leaves out the oldest but the first.
func threaded(ids []string) string {
	for len(ids) > 2 && len(strings.Join(ids, " ")) > maxReferences {
		ids = append(ids[:1], ids[2:]...)
	}
	joined := strings.Join(ids, "\r\n ")
	if len(joined) > 2*maxReferences {
		return ids[len(ids)-1]
	}
	return joined
}

// maxIDs bounds the ids that are read of one field, maxID the length of one.
const (
	maxIDs = 100
	maxID  = 250
)

// messageIDs gives the message ids of a field, nothing if there is anything
// else in it.
func messageIDs(text string) []string {
	var ids []string
	for word := range strings.FieldsSeq(text) {
		if len(word) > maxID || len(word) < 3 || word[0] != '<' || word[len(word)-1] != '>' || strings.ContainsAny(word[1:len(word)-1], "<>") || !printable(word) || len(ids) == maxIDs {
			return nil
		}
		ids = append(ids, word)
	}
	return ids
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// NearlyFull warns the owner of a mailbox that it fills up.
func NearlyFull(account smtp.Address, used, limit int64) Notice {
	n := quotaNotice(account)
	n.Subject = fmt.Sprintf("Your mailbox is %d %% full", percent(used, limit))
	n.Text = fmt.Sprintf(`Hello,

your mailbox %s takes %s of the %s that it may have.
When it is full, new mail can no longer be delivered to you.

To make room, please delete mail that you no longer need, the largest
messages first, and then empty the trash. Mail in "Sent" and "Junk" counts too.
If you need all of it, ask your administrator for more room.
`, account, size(used), size(limit))
	return n
}

// Full tells the owner of a mailbox that mail could not be delivered.
func Full(account smtp.Address, used, limit int64) Notice {
	n := quotaNotice(account)
	n.Subject = "Your mailbox is full"
	n.Text = fmt.Sprintf(`Hello,

your mailbox %s is full: it takes %s of the %s that it may have.
A message to you could not be delivered just now. Its sender's mail system will
try again for some days; what does not fit until then goes back to the sender.

To get your mail again, please delete what you no longer need, the largest
messages first, and then empty the trash. Mail in "Sent" and "Junk" counts too.
If you need all of it, ask your administrator for more room.
`, account, size(used), size(limit))
	return n
}

func quotaNotice(account smtp.Address) Notice {
	return Notice{
		From: smtp.Address{Local: "postmaster", Domain: account.Domain}, Name: "Mail Delivery System",
		To: account, Automatic: "auto-generated",
	}
}

// percent tells how much of a limit is used.
func percent(used, limit int64) int64 { return int64(float64(used) * 100 / float64(max(limit, 1))) }

// size gives octets as people say them.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d kB", (n+1023)>>10)
}
