package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Set is every collector of one relay.
type Set struct {
	Auth      *Auth
	Ingress   *Ingress
	Intake    *Intake
	Queue     *Queue
	Delivery  *Delivery
	Mailbox   *Mailbox
	IMAP      *IMAP
	POP3      *POP3
	Maillog   *Maillog
	Bounce    *Bounce
	Returned  *Returned
	Rendition *Rendition
	DNS       *DNS
	Spool     *Spool
	HostTLS   *HostTLS
	TLSRPT    *TLSRPT
	DKIM      *DKIM
	Suppress  *Suppress
	OneClick  *OneClick
	Verdict   *Verdict
	Milter    *Milter
}

// New makes the collectors and registers them with r. Registering twice with
// one registry panics.
func New(r prometheus.Registerer) *Set {
	f := promauto.With(r)
	return &Set{
		Auth:      newAuth(f),
		Ingress:   newIngress(f),
		Intake:    newIntake(f),
		Queue:     newQueue(f),
		Delivery:  newDelivery(f),
		Mailbox:   newMailbox(f),
		IMAP:      newIMAP(f),
		POP3:      newPOP3(f),
		Maillog:   newMaillog(f),
		Bounce:    newBounce(f),
		Returned:  newReturned(f),
		Rendition: newRendition(f),
		DNS:       newDNS(f),
		Spool:     newSpool(f),
		HostTLS:   newHostTLS(f),
		TLSRPT:    newTLSRPT(f),
		DKIM:      newDKIM(f),
		Suppress:  newSuppress(f),
		OneClick:  newOneClick(f),
		Verdict:   newVerdict(f),
		Milter:    newMilter(f),
	}
}
