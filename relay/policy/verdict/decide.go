package verdict

import (
	"errors"
	"slices"
	"strings"
	"time"

	"blitiri.com.ar/go/spf"

	"tenma/relay/wire/authres"
	"tenma/relay/wire/dkim"
	"tenma/relay/wire/dkim/arc"
	"tenma/relay/wire/smtp"
)

// refusal decides by what was found whether the message is taken; nil: it is.
func (i *Inspection) refusal() *smtp.Error {
	d := &i.found.dmarc
	if i.config.DMARC != Reject || i.vouchedFor() {
		return nil
	}
	switch {
	case d.result == "temperror" && d.open, d.result == "fail" && d.wish == wishReject && d.open:
		// RFC 7489 section 6.6.3: a message of which nobody knows is deferred.
		return smtp.Errorf(451, smtp.Status{4, 4, 3}, "The DNS of %s does not tell whether this comes from there, try again later", d.author)
	case d.result == "fail" && d.wish == wishReject:
		// RFC 7372 section 3.3
		return smtp.Errorf(550, smtp.Status{5, 7, 26}, "Neither SPF nor DKIM shows that this comes from %s, which wants such mail refused (DMARC)", d.author)
	}
	return nil
}

// vouchedFor reports that a listed forwarder has seen the author pass DMARC. From
// it to us the message went through listed forwarders alone: each could have
// written the results of those before it.
func (i *Inspection) vouchedFor() bool {
	if i.found.chain != arc.Pass {
		return false
	}
	for _, set := range slices.Backward(i.chain.Sets) {
		if !slices.Contains(i.config.Forwarders, smtp.Domain(set.Sealer())) {
			return false
		}
		_, value, _ := strings.Cut(string(set.Results.Value()), ";") // i=
		_, results, _ := authres.Parse(value)
		for _, r := range results {
			// For this author: the message may have gone through there for another one,
			// and a From field been added to it that nobody signed.
			if r.Method == "dmarc" && r.Value == "pass" && strings.EqualFold(r.Get("header.from"), string(i.found.dmarc.author)) {
				return true
			}
		}
	}
	return false
}

// results puts what was found into the words of RFC 8601.
func (i *Inspection) results() []authres.Result {
	f := &i.found
	null := i.e.Sender.Domain == "" // then EHLO is all there is
	var all []authres.Result
	if !null {
		all = append(all, authres.Result{Method: "spf", Value: string(f.spf.Result), Properties: []authres.Property{{Name: "smtp.mailfrom", Value: i.mailFromText()}}})
	}
	if null || f.helo.Result != spf.None { // hardly anybody has a record for it
		all = append(all, authres.Result{Method: "spf", Value: string(f.helo.Result), Properties: []authres.Property{{Name: "smtp.helo", Value: string(f.helo.Domain)}}})
	}
	for _, s := range f.dkim {
		all = append(all, authres.Result{Method: "dkim", Value: string(resultOf(s.err)), Reason: reasonOf(s.err), Properties: []authres.Property{
			{Name: "header.d", Value: string(s.claim.Domain)},
			{Name: "header.s", Value: s.claim.Selector},
			{Name: "header.b", Value: s.claim.Tags.Packed("b")[:min(8, len(s.claim.Tags.Packed("b")))]}, // RFC 6008 section 4
		}})
	}
	if len(f.dkim) == 0 {
		all = append(all, authres.Result{Method: "dkim", Value: "none"})
	}
	r := authres.Result{Method: "dmarc", Value: f.dmarc.result, Properties: []authres.Property{{Name: "header.from", Value: string(f.dmarc.author)}}}
	if f.dmarc.result == "fail" {
		r.Properties = append(r.Properties, authres.Property{Name: "policy.dmarc", Value: string(f.dmarc.wish)})
	}
	all = append(all, r)
	// Of a chain that could not be judged nothing is said: it may still be whole.
	if i.chain.Last > 0 && f.chain != "" {
		all = append(all, authres.Result{Method: "arc", Value: string(f.chain), Reason: reasonOf(f.broken), Properties: []authres.Property{
			{Name: "smtp.remote-ip", Value: i.e.Client.Addr().Unmap().String()}, // RFC 8617 section 10.2
		}})
	}
	return all
}

// mailFromText is the sender as it may stand in a field: its domain alone where the
// local part has letters beyond ASCII.
func (i *Inspection) mailFromText() string {
	if a := i.e.Sender; !a.NeedsUTF8() {
		return a.String()
	}
	return string(i.e.Sender.Domain)
}

// resultOf gives the result of a signature.
func resultOf(err error) dkim.Result {
	if f, ok := errors.AsType[*dkim.Fault](err); ok {
		return f.Result
	}
	return dkim.Pass
}

func reasonOf(err error) string {
	if f, ok := errors.AsType[*dkim.Fault](err); ok {
		return f.Reason
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// count tells the metrics.
func (i *Inspection) count(results []authres.Result, refusal *smtp.Error, took time.Duration) {
	m := i.adviser.deps.Metrics
	m.Seconds.Observe(took.Seconds())
	for _, r := range results {
		m.Results.WithLabelValues(r.Method, r.Value).Inc()
	}
	switch {
	case refusal == nil:
	case refusal.Reply.Permanent():
		m.Refused.Inc()
	default:
		m.Deferred.Inc()
	}
}
