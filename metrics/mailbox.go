package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Mailbox counts what stage mailbox does.
type Mailbox struct {
	// Deliveries to recipients here, by result: "delivered", "unknown" (no such
	// mailbox), "failed" (disk; tried again).
	Deliveries *prometheus.CounterVec
}

// NewMailbox makes the collectors and registers them with r, if not nil.
func NewMailbox(r prometheus.Registerer) *Mailbox { return newMailbox(promauto.With(r)) }

func newMailbox(f promauto.Factory) *Mailbox {
	return &Mailbox{
		Deliveries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_mailbox_deliveries_total", Help: "Deliveries to mailboxes here, by result: delivered, unknown, failed.",
		}, []string{"result"}),
	}
}
