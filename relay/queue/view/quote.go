package view

import (
	"context"
	"strings"

	"tenma/relay/mail"
	"tenma/spool"
)

// mostQuoted is how many lanes Quote looks up, each for one read of the spool:
// as many as a person looks through.
const mostQuoted = 200

// Quote gives lanes of mail whose route is not known ("?domain") the last words
// of their oldest message: such a lane has had no attempt that it could tell of,
// and is forgotten between two look-ups. What cannot be read stays empty.
func (s *Summary) Quote(ctx context.Context, e spool.Engine) {
	asked := 0
	for i := range s.Lanes {
		l := &s.Lanes[i]
		domain, lookup := strings.CutPrefix(string(l.Lane), "?")
		if !lookup || l.first.IsZero() {
			continue
		}
		if asked++; asked > mostQuoted {
			return
		}
		entry, err := e.Get(ctx, l.first)
		if err != nil {
			continue // it has gone meanwhile
		}
		m, err := Decode(&entry)
		if err != nil {
			continue
		}
		for i, r := range m.State.Recipients {
			if r.Fate == mail.Deferred && matchAddress("@"+domain, m.Envelope.Recipients[i].Address) {
				l.quote(&r)
				break
			}
		}
	}
}

func (l *LaneSummary) quote(r *mail.RecipientState) {
	switch {
	case r.Reply.Code == 0:
	case r.Host == "":
		l.LastReply = r.Reply.String()
	default:
		l.LastReply = r.Host + ": " + r.Reply.String()
	}
}
