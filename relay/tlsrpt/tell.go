package tlsrpt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tenma/dnscache"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

const (
	// tellsAtOnce is how many domains are told at a time.
	tellsAtOnce = 8
	// firstRetry and lastRetry bound the time between two tries, which doubles.
	firstRetry = 5 * time.Minute
	lastRetry  = 4 * time.Hour
	// retryFor is how long a report is tried (RFC 8460 section 5.5).
	retryFor = 24 * time.Hour
)

// errRefused is wrapped where a place does not want the report, now or later.
var errRefused = errors.New("refused")

// tell sends the reports that are due, and reports whether there were any.
func (s *Stage) tell(ctx context.Context, c *Config) bool {
	due := s.book.telling(time.Now())
	var mu sync.Mutex
	var over []*account
	var g errgroup.Group
	g.SetLimit(tellsAtOnce)
	for _, a := range due {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if s.tellOne(ctx, c, a) {
				mu.Lock()
				defer mu.Unlock()
				over = append(over, a)
			}
			return nil
		})
	}
	_ = g.Wait() // none fails
	s.book.told(over)
	return len(due) > 0
}

// tellOne sends one report to the places that lack it; true: that is all.
func (s *Stage) tellOne(ctx context.Context, c *Config, a *account) (over bool) {
	now := time.Now()
	if a.since.IsZero() {
		a.since = now
	}
	places, err := s.places(ctx, a.domain)
	switch {
	case ctx.Err() != nil:
		return false
	case errors.Is(err, dnscache.ErrTemporary):
		return s.later(a, now)
	case err != nil:
		return true // it wants none, by now
	}
	r := newDelivery(c, a)
	held := context.WithoutCancel(ctx) // what has been begun is finished: half of a POST may be a whole one over there
	left := false
	for _, p := range places {
		name := p.String()
		if slices.Contains(a.done, name) {
			continue
		}
		switch err := s.send(held, c, r, p); {
		case err == nil:
			a.done, a.sent = append(a.done, name), true
			s.deps.Log.Info("a TLS report is on its way", "domain", string(a.domain), "to", name, "report", r.report.ID)
		case errors.Is(err, errRefused):
			a.done = append(a.done, name)
			s.deps.Log.Info("a TLS report was refused", "domain", string(a.domain), "to", name, "report", r.report.ID, "error", err)
		default:
			left = true
			s.deps.Log.Info("a TLS report could not be sent yet", "domain", string(a.domain), "to", name, "report", r.report.ID, "error", err)
		}
	}
	if left {
		return s.later(a, now)
	}
	return true
}

// later puts a report off; true: it has been tried for long enough.
func (s *Stage) later(a *account, now time.Time) (over bool) {
	if now.Sub(a.since) >= retryFor {
		if !a.sent {
			s.deps.Log.Info("a TLS report was given up: nobody took it within a day", "domain", string(a.domain))
		}
		return true
	}
	a.due = now.Add(min(firstRetry<<min(a.tries, 10), lastRetry))
	a.tries++
	return false
}

// send brings a report to one place.
func (s *Stage) send(ctx context.Context, c *Config, d *delivery, p tlsrpt.Place) error {
	protocol, err := "smtp", error(nil)
	if p.URL != nil {
		protocol = "https"
		err = s.post(ctx, d, p.URL)
	} else {
		err = s.mailTo(ctx, c, d, p.Mailbox)
	}
	result := "sent"
	if err != nil {
		result = "failed"
	}
	s.deps.Metrics.Reports.WithLabelValues(protocol, result).Inc()
	return err
}

// delivery is one report in the form in which it goes out.
type delivery struct {
	domain    smtp.Domain
	submitter smtp.Domain
	unique    string // letters and digits
	report    tlsrpt.Report
}

// newDelivery makes the report of an account. It is the same at each try, whatever
// was restarted in between, so that receivers know a repeat by its id.
func newDelivery(c *Config, a *account) *delivery {
	d := &delivery{domain: a.domain, submitter: c.Contact.Domain}
	sum := sha256.Sum256([]byte(a.day.Format(time.DateOnly) + " " + string(a.domain) + " " + c.Hostname + " " + string(d.submitter)))
	d.unique = hex.EncodeToString(sum[:8])
	d.report = tlsrpt.Report{
		Organization: c.Organization, Range: tlsrpt.Day(a.day), Contact: c.Contact.String(),
		ID:       a.day.Format("20060102") + "." + d.unique + "@" + string(d.submitter),
		Policies: a.report(),
	}
	if d.report.Organization == "" {
		d.report.Organization = string(d.submitter)
	}
	return d
}

// fileName is that of the report (RFC 8460 section 5.1).
func (d *delivery) fileName() string {
	return tlsrpt.FileName(string(d.submitter), string(d.domain), d.report.Range, d.unique)
}
