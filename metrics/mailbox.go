package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Mailbox counts what stage mailbox does.
type Mailbox struct {
	// Deliveries to recipients here, by result: "delivered", "unknown" (no such
	// mailbox), "full" (quota), "loop" (forwarded here before), "failed" (disk;
	// tried again).
	Deliveries *prometheus.CounterVec
	Forwarded  prometheus.Counter // messages sent on for accounts and aliases
	Replies    prometheus.Counter // automatic replies
	Warnings   prometheus.Counter // to owners of mailboxes that fill up
}

// NewMailbox makes the collectors and registers them with r, if not nil.
func NewMailbox(r prometheus.Registerer) *Mailbox { return newMailbox(promauto.With(r)) }

func newMailbox(f promauto.Factory) *Mailbox {
	return &Mailbox{
		Deliveries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_mailbox_deliveries_total", Help: "Deliveries to mailboxes here, by result: delivered, unknown, full, loop, failed.",
		}, []string{"result"}),
		Forwarded: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_mailbox_forwarded_total", Help: "Messages sent on to where accounts and aliases here forward them.",
		}),
		Replies: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_mailbox_replies_total", Help: "Automatic replies of accounts whose owners are away.",
		}),
		Warnings: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_mailbox_warnings_total", Help: "Warnings to owners of mailboxes that fill up.",
		}),
	}
}
