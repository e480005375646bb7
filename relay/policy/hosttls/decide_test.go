package hosttls

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"tenma/relay/mail"
	"tenma/relay/wire/dane"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
)

// strength ranks demands. None is on a scale of its own: the operator forbids TLS.
var strength = map[mail.TLSDemand]int{
	mail.TLSOpportunistic: 0, mail.TLSRequired: 1, mail.TLSVerified: 2, mail.TLSImplicit: 2, mail.TLSDANE: 2,
}

// Whatever comes together: nothing is weaker than what any of the parties
// demands, and whoever refuses says for how long.
func TestDecideRapid(t *testing.T) {
	usable := dane.New([]dane.Record{{Usage: 3, Selector: 1, MatchingType: 1, Data: make([]byte, 32)}}, "mx.a.test")
	rapid.Check(t, func(t *rapid.T) {
		r := mail.Route{
			TLS:    mail.TLSDemand(rapid.IntRange(0, int(mail.TLSDANE)).Draw(t, "configured")),
			Secure: rapid.Bool().Draw(t, "secure"), Domain: "a.test",
		}
		h := mail.Host{Name: rapid.SampledFrom([]string{"mx.a.test", "mx.b.test"}).Draw(t, "host")}
		if rapid.Bool().Draw(t, "policy") {
			r.STS = &mtasts.Policy{Mode: mtasts.Mode(rapid.IntRange(0, 2).Draw(t, "mode")), MX: []string{"*.a.test"}}
		}
		var records tlsa
		if r.Secure && rapid.Bool().Draw(t, "tlsa") && (r.TLS == mail.TLSOpportunistic || r.TLS == mail.TLSRequired || r.TLS == mail.TLSDANE) {
			records.found = true
			records.set = rapid.SampledFrom([]*dane.Set{nil, usable}).Draw(t, "set")
		}
		wish := mail.TLSWish(rapid.IntRange(0, 2).Draw(t, "wish"))
		require := wish == mail.WishRequired
		enforced := r.STS != nil && r.STS.Mode == mtasts.Enforce && r.TLS != mail.TLSNone
		listed := h.Name == "mx.a.test"

		s, err := decide(&r, &h, wish, records)
		if wish == mail.WishOptional && (r.TLS != mail.TLSDANE || records.set != nil) {
			if err != nil || s.TLS != r.TLS {
				t.Fatalf("%+v, %v: only the configuration may demand something", s, err)
			}
			return
		}
		if err != nil {
			var e *smtp.Error
			if !errors.As(err, &e) || e.Reply.Temporary() == e.Reply.Permanent() || e.Reply.Permanent() && !require {
				t.Fatalf("%v: mail without REQUIRETLS may not fail, only wait", err)
			}
			if records.set != nil && r.TLS != mail.TLSNone {
				t.Fatalf("%v, though there are usable records", err)
			}
			return
		}
		switch {
		case (s.TLS == mail.TLSNone) != (r.TLS == mail.TLSNone):
			t.Fatalf("%+v: TLS is the operator's to forbid", s)
		case s.TLS != mail.TLSNone && strength[s.TLS] < strength[r.TLS]:
			t.Fatalf("%+v is weaker than the configuration", s)
		case require && strength[s.TLS] < 2:
			t.Fatalf("%+v is too weak for REQUIRETLS", s)
		case require && !r.Secure && !(r.STS != nil && r.STS.Mode != mtasts.None && listed):
			t.Fatal("REQUIRETLS, and nothing shows that the host is the domain's")
		case (s.TLS == mail.TLSDANE) != (s.DANE != nil), (s.DANE != nil) != (records.set != nil):
			t.Fatalf("%+v: usable records decide", s)
		case records.found && s.TLS == mail.TLSOpportunistic:
			t.Fatalf("%+v: with records TLS is a must", s)
		case enforced && s.DANE == nil && (!listed || strength[s.TLS] < 2):
			t.Fatalf("%+v breaks the policy", s)
		case s.Testing && (r.STS.Mode != mtasts.Testing || s.Unlisted == listed):
			t.Fatalf("%+v", s)
		}
	})
}
