package tlsrpt

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"tenma/dnscache"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

const (
	// asksAtOnce and maxAsks bound the questions that wait, and those of one turn.
	asksAtOnce = 16
	maxAsks    = 512
	// askTime bounds one question.
	askTime = 10 * time.Second
	// askAgain is when a domain whose name servers do not answer is asked again.
	askAgain = time.Hour
)

// ask finds out which of today's domains want reports. The counts of the others
// are forgotten: they are most.
func (s *Stage) ask(ctx context.Context) {
	var g errgroup.Group
	g.SetLimit(asksAtOnce)
	for _, a := range s.book.asking(time.Now(), maxAsks) {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			_, err := s.places(ctx, a.domain)
			switch {
			case err == nil:
				s.book.answered(a, wanted, time.Time{})
			case errors.Is(err, dnscache.ErrTemporary), ctx.Err() != nil:
				s.book.answered(a, unasked, time.Now().Add(askAgain))
			default:
				s.book.answered(a, unwanted, time.Time{})
			}
			return nil
		})
	}
	_ = g.Wait() // none fails
}

// places looks up where a domain wants its reports. The error wraps
// dnscache.ErrTemporary where nobody knows.
func (s *Stage) places(ctx context.Context, d smtp.Domain) ([]tlsrpt.Place, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	texts, err := s.deps.Resolver.LookupTXT(ctx, tlsrpt.RecordName(string(d)))
	if err != nil {
		return nil, err
	}
	return tlsrpt.ParseRecord(texts.Records)
}
