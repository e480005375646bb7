package tlsrpt

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/dnscache"
	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

// rig is a stage with fakes around it.
type rig struct {
	*Stage
	t    *testing.T
	stop func()

	mu      sync.Mutex
	records map[string]string // TXT records by domain; "?": no answer
	asked   int
	mails   map[string]string // messages by key: the outbox
	refuse  error             // of the outbox
	posted  []string          // JSON of reports, by HTTPS
	answer  func(verified bool) (int, error)
	kept    []byte
}

var contact = smtp.Address{Local: "tls", Domain: "sender.test"}

// newRig makes a rig; start runs its stage.
func newRig(t *testing.T) *rig {
	return &rig{
		t: t, records: map[string]string{}, mails: map[string]string{},
		answer: func(bool) (int, error) { return 200, nil },
	}
}

// start runs a stage, which knows what an earlier one kept.
func (r *rig) start() {
	r.Stage = New(Config{Contact: contact, Hostname: "relay.test"}, Deps{
		Resolver: r, Outbox: r, Verified: client{r, true}, Unverified: client{r, false}, Keeper: r,
		Metrics: metrics.New(prometheus.NewRegistry()).TLSRPT, Seed: 1,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	}
	synctest.Wait()
}

// set changes what the fakes do.
func (r *rig) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// seen is what the fakes have seen so far.
type seen struct {
	posted       []string
	mails, asked int
}

func (r *rig) seen() seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return seen{slices.Clone(r.posted), len(r.mails), r.asked}
}

// bookkeeping gives what the book holds: open and closed accounts, and octets.
func (r *rig) bookkeeping() (open, closed, octets int) {
	b := r.book
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open), len(b.closed), b.octets
}

// account is that of a domain today.
func (r *rig) account(d smtp.Domain) *account {
	b := r.book
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open[d]
}

// pass lets time pass, until all that is to be done then is done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) LookupTXT(_ context.Context, name string) (a dnscache.Answer[string], err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	switch text := r.records[strings.TrimPrefix(name, "_smtp._tls.")]; text {
	case "":
		return a, dnscache.ErrNotFound
	case "?":
		return a, fmt.Errorf("%w: silence", dnscache.ErrTemporary)
	default:
		a.Records = []string{text}
		return a, nil
	}
}

func (r *rig) Send(_ context.Context, key string, e *mail.Envelope, body io.WriterTo) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return r.refuse
	}
	var b bytes.Buffer
	if _, err := body.WriteTo(&b); err != nil {
		return err
	}
	if e.Sender != contact || len(e.Recipients) != 1 || e.Recipients[0].Notify != mail.NotifyNever || !e.OptionalTLS || time.Until(e.Expire) != 24*time.Hour {
		r.t.Errorf("%+v", e)
	}
	if r.mails[key] == "" { // as the spool's dedupe key does
		r.mails[key] = "to " + e.Recipients[0].Address.String() + "\r\n" + b.String()
	}
	return nil
}

func (r *rig) Load() ([]byte, error) { return r.kept, nil }
func (r *rig) Save(text []byte) error {
	r.kept = bytes.Clone(text)
	return nil
}

type client struct {
	r        *rig
	verified bool
}

func (c client) Do(q *http.Request) (*http.Response, error) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	code, err := c.r.answer(c.verified)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(q.Body)
	if err != nil {
		c.r.t.Error(err)
		return nil, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		c.r.t.Error(err)
	}
	if code/100 == 2 {
		c.r.posted = append(c.r.posted, string(text))
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader("thank you"))}, nil
}

// session is one that came to a fault, or to none.
func session(d string, fault tlsrpt.Fault) *mail.TLSResult {
	return &mail.TLSResult{
		Domain: smtp.Domain(d), Host: "mx." + d, Fault: fault,
		Local: netip.MustParseAddr("192.0.2.1"), Peer: netip.MustParseAddrPort("203.0.113.2:25"),
	}
}

// totals gives the sums of the reports that were posted, "DOMAIN good bad".
func (r *rig) totals() (all []string) {
	r.t.Helper()
	for _, text := range r.seen().posted {
		var report tlsrpt.Report
		if err := json.Unmarshal([]byte(text), &report); err != nil {
			r.t.Fatal(err)
		}
		var good, bad uint64
		for _, p := range report.Policies {
			good += p.Summary.Good
			bad += p.Summary.Bad
		}
		all = append(all, fmt.Sprintf("%s %s %d %d", report.Range.Start.Format(time.DateOnly), report.Policies[0].Policy.Domain, good, bad))
	}
	return all
}

var (
	errDown = errors.New("connection refused")
	errCert = &tls.CertificateVerificationError{Err: errors.New("it ran out")}
)
