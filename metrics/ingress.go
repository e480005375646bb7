package metrics

import "github.com/prometheus/client_golang/prometheus/promauto"

// Ingress counts what stage ingress does.
type Ingress struct{}

func newIngress(f promauto.Factory) *Ingress {
	return &Ingress{}
}
