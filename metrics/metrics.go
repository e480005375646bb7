package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Set is every collector of one relay.
type Set struct {
	Ingress  *Ingress
	Intake   *Intake
	Queue    *Queue
	Delivery *Delivery
	Mailbox  *Mailbox
	Maillog  *Maillog
	Bounce   *Bounce
	DNS      *DNS
	Spool    *Spool
}

// New makes the collectors and registers them with r. Registering twice with
// one registry panics.
func New(r prometheus.Registerer) *Set {
	f := promauto.With(r)
	return &Set{
		Ingress:  newIngress(f),
		Intake:   newIntake(f),
		Queue:    newQueue(f),
		Delivery: newDelivery(f),
		Mailbox:  newMailbox(f),
		Maillog:  newMaillog(f),
		Bounce:   newBounce(f),
		DNS:      newDNS(f),
		Spool:    newSpool(f),
	}
}
