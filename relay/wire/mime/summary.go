package mime

import (
	"strings"
	"time"
	"unicode/utf8"

	"tenma/relay/wire/header"
)

// Summary is of a header what lists, searches and sorts want: texts unfolded
// and decoded to UTF-8.
type Summary struct {
	From, To, Cc, Subject string    // the whole fields; of several From, To or Cc all, with a comma between (DecodeAddresses)
	Sent                  time.Time // of Date, in its zone; zero: none or unreadable
	MessageID, InReplyTo  string
	References            string
	Whole                 bool // nothing is missing of the texts, References aside
}

// Summarize reads a header section, which must be a message's whole one for
// Whole to be true. The texts together have at most limit octets: of those that
// are too long the ends are missing, the sooner the less they are asked for.
func Summarize(h header.Section, limit int) Summary {
	s := Summary{Whole: true}
	var sent bool
	for f := range h.Fields() {
		if len(f.Raw) == 0 {
			continue
		}
		switch f.Raw[0] | 0x20 {
		case 'f':
			s.list(&s.From, f, "from", limit)
		case 't':
			s.list(&s.To, f, "to", limit)
		case 'c':
			s.list(&s.Cc, f, "cc", limit)
		case 's':
			s.first(&s.Subject, f, "subject", limit)
		case 'm':
			s.first(&s.MessageID, f, "message-id", limit)
		case 'i':
			s.first(&s.InReplyTo, f, "in-reply-to", limit)
		case 'r':
			if f.Is("references") && s.References == "" {
				s.References = DecodeHeader(some(f, limit))
			}
		case 'd':
			if !sent && f.Is("date") {
				s.Sent, _ = ParseDate(f.Text())
				sent = true
			}
		}
	}
	s.fit(limit)
	return s
}

func (s *Summary) list(to *string, f header.Field, name string, limit int) {
	if !f.Is(name) {
		return
	}
	text := DecodeAddresses(some(f, limit))
	if *to == "" {
		*to = text
	} else if len(*to) <= limit {
		*to += ", " + text
	}
}

func (s *Summary) first(to *string, f header.Field, name string, limit int) {
	if !f.Is(name) {
		return
	}
	if *to != "" {
		s.Whole = false // a search looks at all
		return
	}
	*to = DecodeHeader(some(f, limit))
}

// some gives a field, or of a very long one as much as can matter.
func some(f header.Field, limit int) string {
	// Nothing that is encoded needs more than six times its length: a letter of
	// three octets in nine of quoted-printable, in words of ten letters with
	// thirty octets around them.
	if enough := 256 + 16*limit; len(f.Raw) > enough {
		f.Raw = f.Raw[:enough]
	}
	return f.Text()
}

// fit cuts the texts so that they have limit octets together. Each gets an
// eighth, and what is over goes to those that need more, in order.
func (s *Summary) fit(limit int) {
	texts := [...]*string{&s.From, &s.Subject, &s.To, &s.MessageID, &s.InReplyTo, &s.Cc, &s.References}
	share, total := limit/8, 0
	for _, t := range texts {
		total += min(len(*t), share)
	}
	spare := limit - total
	for _, t := range texts {
		more := min(max(len(*t)-share, 0), spare)
		spare -= more
		if room := share + more; len(*t) > room {
			for room > 0 && !utf8.RuneStart((*t)[room]) {
				room--
			}
			*t = strings.Clone((*t)[:room])
			s.Whole = s.Whole && t == &s.References
		}
	}
}
