package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// OneClick counts who follows links to unsubscribe.
type OneClick struct {
	Requests *prometheus.CounterVec // tenma_unsubscribe_requests_total, by result
}

func newOneClick(f promauto.Factory) *OneClick {
	u := &OneClick{Requests: f.NewCounterVec(prometheus.CounterOpts{
		Name: "tenma_unsubscribe_requests_total",
		Help: "Requests by links to unsubscribe, by result: asked (the page was shown), done, again (done before), unclear (not what RFC 8058 sends), unknown (no token of ours), failed.",
	}, []string{"result"})}
	for _, r := range []string{"asked", "done", "again", "unclear", "unknown", "failed"} {
		u.Requests.WithLabelValues(r)
	}
	return u
}
