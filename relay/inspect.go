package relay

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"

	"tenma/relay/intake"
	"tenma/relay/mail"
	"tenma/relay/policy/returns"
	"tenma/relay/policy/verdict"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// judge shows strangers' mail to the adviser verdict.
type judge struct {
	*verdict.Adviser
	returns *returns.Adviser
}

func (j judge) Inspect(ctx context.Context, e *mail.Envelope) intake.Inspection {
	if cameBack(j.returns.Domain(), e) {
		return nil
	}
	if i := j.Begin(ctx, e); i != nil {
		return i
	}
	return nil
}

// cameBack reports mail about our mail. It needs no judge: its proof is the address to
// which it comes, and the hosts that return mail often pass no check of their own.
func cameBack(domain smtp.Domain, e *mail.Envelope) bool {
	return domain != "" && !slices.ContainsFunc(e.Recipients, func(r mail.Recipient) bool { return r.Address.Domain != domain })
}

// unwanted joins what reports fields that go before a message is stored.
func unwanted(all ...func(*mail.Envelope, header.Field) bool) func(*mail.Envelope, header.Field) bool {
	return func(e *mail.Envelope, f header.Field) bool {
		for _, is := range all {
			if is(e, f) {
				return true
			}
		}
		return false
	}
}

// percent draws numbers from 0 to 99.
func percent(seed uint64) func() int {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, seed))
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return r.IntN(100)
	}
}
