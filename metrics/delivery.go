package metrics

import "github.com/prometheus/client_golang/prometheus/promauto"

// Delivery counts what stage delivery does.
type Delivery struct{}

func newDelivery(f promauto.Factory) *Delivery {
	return &Delivery{}
}
