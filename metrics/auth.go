package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Auth counts what the judge of logins does, over all protocols.
type Auth struct {
	// Failures of logins, by protocol (smtp, imap, pop3) and reason, in the
	// words of the log; both are closed lists.
	Failures *prometheus.CounterVec
	// Holds counts how often a client was held off because it guesses.
	Holds prometheus.Counter
}

// NewAuth makes the collectors and registers them with r, if not nil.
func NewAuth(r prometheus.Registerer) *Auth { return newAuth(promauto.With(r)) }

func newAuth(f promauto.Factory) *Auth {
	return &Auth{
		Failures: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_auth_failures_total",
			Help: "Failed logins, by protocol (smtp, imap, pop3) and by reason as in the log: wrong password, unknown user, held off and so on.",
		}, []string{"protocol", "reason"}),
		Holds: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_auth_holds_total", Help: "Failed logins after which the client is held off for a while.",
		}),
	}
}
