package incoming

import (
	"regexp"
	"strconv"
	"strings"

	"tenma/relay/wire/smtp"
)

var (
	// A reply code where replies have one: at the start of a line, or behind a
	// colon, a bracket or a word that announces it.
	replyCode = regexp.MustCompile(`(?im)(?:^[ \t]*|[:;<(\[#,>"] ?|<-- ?|\b(?:said|error|code|reply|reason|response|responsecode|returned|with|error_code ?:) ?:? ?)([45]\d\d)(?:[ ,;:.)\]-]|$)`)
	// What follows three digits of a telephone number: "(480) 624-2500".
	telephone = regexp.MustCompile(`^\)?[ .-]?\d{3}[ .-]\d{4}`)
	// An enhanced status that is no part of an address or a version.
	statusCode = regexp.MustCompile(`(?:^|[^\d.])([245]\.\d{1,3}\.\d{1,3})(?:[^\d.]|\.(?:[^\d]|$)|$)`)
)

// reply is what a piece of text has of a reply.
type reply struct {
	code   int
	status smtp.Status
	text   string // from the code on, to the end of the paragraph
	at     int    // of the code in the piece; -1: it has none
}

func findReply(s string) (r reply) {
	r.at = -1
	rest := s
	for from := 0; ; {
		at := replyCode.FindStringSubmatchIndex(s[from:])
		if at == nil {
			break
		}
		start, end := from+at[2], from+at[3]
		if rest := telephone.FindString(s[end:min(len(s), end+len(") 000-0000"))]); rest != "" {
			from = end + len(rest)
			continue
		}
		r.at = start
		r.code, _ = strconv.Atoi(s[start:end])
		rest = s[start:]
		break
	}
	rest, _, _ = strings.Cut(rest, "\n\n")
	r.text = strings.TrimSpace(rest)
	if at := statusCode.FindStringSubmatch(rest); at != nil {
		r.status, _, _ = smtp.ParseStatus(at[1])
	}
	if r.code != 0 && r.status[0] != 0 && int(r.status[0]) != r.code/100 && r.status[0] == 2 {
		r.status = smtp.Status{} // an address or a version after all
	}
	return r
}

// stages of the dialogue, as reporters name them.
var stages = []struct {
	words   *regexp.Regexp
	command string
}{
	{regexp.MustCompile(`(?i)(?:in reply to|after|in response to) (?:the )?end of (?:message )?data|failed after i sent the message|after sending (?:the )?message|after end of data`), "."},
	{regexp.MustCompile(`(?i)(?:in reply to|after|in response to)(?: the| pipelined| sending)* (?:"?rcpt)|does not like recipient|did not like our rcpt|\[rcpt_to\]|\bin rcpt to\b|smtp:rcpt|error.{0,20} rcpt to|following rcpt|sent <<< rcpt|>>> rcpt`), "RCPT"},
	{regexp.MustCompile(`(?i)(?:in reply to|after|in response to)(?: the| pipelined| sending)* (?:"?mail from|mail\b)|sender was rejected|did not like our mail|\[mail_from\]|\bin mail from\b|smtp:mail|following mail|sent <<< mail|>>> mail`), "MAIL"},
	{regexp.MustCompile(`(?i)(?:in reply to|after|in response to)(?: the| pipelined| sending)* (?:"?data\b)|failed on data command|did not like our data|\[data\]|smtp command\s+data\b|following data|sent <<< data|>>> data`), "DATA"},
	{regexp.MustCompile(`(?i)(?:in reply to|after|in response to)(?: the| sending)* (?:"?(?:helo|ehlo))|my name was rejected|did not like our (?:helo|ehlo)|>>> (?:helo|ehlo)`), "EHLO"},
	{regexp.MustCompile(`(?i)refused to talk to me|after initial connection|connected to \S+ but greeting failed|in reply to (?:the )?(?:initial|banner|connect)`), "CONNECT"},
}

// Transcripts of a dialogue. Programs mark who speaks in many ways, some by arrows
// the other way round, behind a date or a name; some not at all.
var (
	sent     = regexp.MustCompile(`(?im)^[^\n]{0,60}?(?:>>>|-->|<<<|\bsen[dt]:|\bC:)[ \t]*(helo|ehlo|starttls|auth|mail|rcpt|data|bdat|quit)\b`)
	got      = regexp.MustCompile(`(?im)^[^\n]{0,60}?(?:<<<|<--|>>>|\brecv:|\bS:|replied:)[ \t]*[45]\d\d[ -]`)
	needRcpt = regexp.MustCompile(`(?i)<<< [45]\d\d[ -].*(?:rcpt|recipient)`)
	unmarked = regexp.MustCompile(`(?im)^[ \t]*(mail|rcpt|data)\b[^\n]*\n[ \t]*[45]\d\d[ -]`)
	// What Postfix adds to a reply; commandIn has read it.
	inReply = regexp.MustCompile(`(?i)\s*\(in\s+reply\s+to\s[^)]{0,60}\)?`)
)

// commandIn tells which command was answered with a failure, "" if the text does
// not. Of a transcript it is the one before the first failure; but what looks like
// an answer to DATA was one to RCPT where the next complains of no recipients:
// then both were sent at once.
func commandIn(s string) string {
	if at := got.FindStringIndex(s); at != nil {
		before := sent.FindAllStringSubmatch(s[:at[0]], -1)
		switch {
		case len(before) > 0:
		case strings.Contains(s[:at[0]], "while talking to"):
			return "CONNECT"
		default: // a piece of a transcript
			return ""
		}
		command := strings.ToUpper(before[len(before)-1][1])
		if command == "DATA" && needRcpt.MatchString(s[at[1]:]) {
			return "RCPT"
		}
		if command == "HELO" {
			return "EHLO"
		}
		return command
	}
	flat := strings.Join(strings.Fields(s), " ") // reporters fold their lines anywhere
	for _, st := range stages {
		if st.words.MatchString(flat) {
			return st.command
		}
	}
	if at := unmarked.FindStringSubmatch(s); at != nil {
		return strings.ToUpper(at[1])
	}
	return ""
}
