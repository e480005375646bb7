package suppress_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/policy/suppress"
	"tenma/relay/policy/suppress/table"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// rig is a list that runs in a bubble.
type rig struct {
	*suppress.List
	t       *testing.T
	store   suppress.Store
	metrics *metrics.Suppress
	events  recorder
	hear    suppress.Recorder
}

type recorder struct{ kinds []mail.EventKind }

func (r *recorder) Record(e *mail.Event) { r.kinds = append(r.kinds, e.Kind) }

// run gives fn a list in a bubble.
func run(t *testing.T, c suppress.Config, fn func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tab, err := table.Open(table.Options{Dir: "list", FS: vfs.NewMem(), Bubble: true})
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{t: t, store: tab, metrics: metrics.NewSuppress(prometheus.NewRegistry())}
		r.List = suppress.New(c, suppress.Deps{Store: tab, Metrics: r.metrics})
		r.hear = r.Listen(&r.events)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		fn(r)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := tab.Close(); err != nil {
			t.Error(err)
		}
	})
}

func address(s string) smtp.Address {
	a, err := suppress.ParseSubject(s)
	if err != nil {
		panic(err)
	}
	return a
}

func entry(t *testing.T, subject, tenant, campaign string, why suppress.Reason) suppress.Entry {
	t.Helper()
	k, err := suppress.NewKey(address(subject), tenant, campaign)
	if err != nil {
		t.Fatal(err)
	}
	return suppress.Entry{Key: k, Reason: why, Creator: "test"}
}

func (r *rig) add(all ...suppress.Entry) {
	r.t.Helper()
	if _, err := r.Add(r.t.Context(), all); err != nil {
		r.t.Fatal(err)
	}
}

// stopped is the reason why mail does not go, 0 if it does.
func (r *rig) stopped(to, tenant, campaign string) suppress.Reason {
	r.t.Helper()
	e, stopped, err := r.Find(address(to), tenant, campaign)
	if err != nil {
		r.t.Fatal(err)
	}
	if !stopped {
		return 0
	}
	return e.Reason
}

// event is one of our own mail to an address at big.test's hosts.
func event(kind mail.EventKind, to string) *mail.Event {
	e := &mail.Event{
		Kind: kind, ID: spool.ID{1}, Lane: "default->mx1.big.test,mx2.big.test", Time: time.Now(),
		Envelope: &mail.Envelope{Trusted: true, Sender: smtp.Address{Local: "news", Domain: "shop.test"}, Recipients: []mail.Recipient{{Address: address(to)}}},
		Outcome:  mail.Outcome{Host: "mx1.big.test", Command: "RCPT", Reply: smtp.Reply{Code: 250}},
	}
	if kind == mail.EventBounce {
		e.Outcome.Reply = smtp.Reply{Code: 550, Status: smtp.Status{5, 1, 1}, Text: "no such user"}
		e.Outcome.Diagnosis = mail.Diagnosis{Class: mail.InvalidRecipient, Severity: mail.Hard, Remedy: mail.Bounce, Rule: "unknown-user"}
	}
	return e
}

// minute plays one of n messages to n addresses at a provider, of which a share
// fails.
func (r *rig) minute(n int, share float64, prefix string) {
	for i := range n {
		kind := mail.EventDelivery
		if int(float64(i+1)*share) != int(float64(i)*share) {
			kind = mail.EventBounce
		}
		r.hear.Record(event(kind, fmt.Sprintf("%s%d@big.test", prefix, i)))
	}
	time.Sleep(time.Minute)
	synctest.Wait()
}

func (r *rig) count(held bool) (n int) {
	r.t.Helper()
	if err := r.store.Scan(held, suppress.Key{}, func(*suppress.Entry) bool { n++; return true }); err != nil {
		r.t.Fatal(err)
	}
	return n
}
