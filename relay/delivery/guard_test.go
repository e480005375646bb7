package delivery_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"tenma/relay/mail"
	"tenma/relay/wire/dane"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

// guard is a story's: what it demands stands in lines "demand DOMAIN HOST WORD".
// It also takes the results, if the story wants them ("set results").
type guard struct {
	t       *testing.T
	words   map[string]string // by domain and host
	pki     *pki
	results func(line string)
}

func (g *guard) Demand(_ context.Context, r *mail.Route, h *mail.Host, wish mail.TLSWish) (mail.Safety, error) {
	switch word := g.words[string(r.Domain)+" "+h.Name]; word {
	case "", "opportunistic":
		return mail.Safety{}, nil
	case "verified":
		return mail.Safety{TLS: mail.TLSVerified, Policy: tlsrpt.PolicySTS}, nil
	case "unusable":
		return mail.Safety{TLS: mail.TLSRequired, Policy: tlsrpt.PolicyDANE, Unusable: true}, nil
	case "testing":
		return mail.Safety{Policy: tlsrpt.PolicySTS, Testing: true}, nil
	case "unlisted":
		return mail.Safety{Policy: tlsrpt.PolicySTS, Testing: true, Unlisted: true}, nil
	case "key:good":
		return mail.Safety{TLS: mail.TLSDANE, Policy: tlsrpt.PolicyDANE, DANE: pinned(g.t, &g.pki.good)}, nil
	case "key:bad":
		return mail.Safety{TLS: mail.TLSDANE, Policy: tlsrpt.PolicyDANE, DANE: pinned(g.t, &g.pki.bad)}, nil
	case "unlisted!":
		return mail.Safety{Policy: tlsrpt.PolicySTS}, &smtp.Error{Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 7, 0}, Text: "not in the policy"}, Err: tlsrpt.FaultUnlisted}
	case "unmet!":
		return mail.Safety{}, &smtp.Error{Reply: smtp.Reply{Code: 550, Status: smtp.Status{5, 7, 30}, Text: "cannot be met"}}
	default:
		g.t.Fatalf("demand %s", word)
		return mail.Safety{}, nil
	}
}

func (g *guard) Cached(r *mail.Route, h *mail.Host, wish mail.TLSWish) (mail.Safety, bool) {
	if strings.HasPrefix(string(r.Domain), "forgotten") {
		return mail.Safety{}, false
	}
	s, err := g.Demand(context.Background(), r, h, wish)
	return s, err == nil
}

func (g *guard) Count(r *mail.TLSResult) {
	if r.Policy == tlsrpt.PolicySTS && r.STS == nil {
		g.t.Error("a result of a policy that is not there")
	}
	if g.results != nil {
		if r.Private {
			return
		}
		g.results(strings.TrimSpace(fmt.Sprintf("result %s %s %s %s", r.Domain, r.Host, r.Policy, r.Fault)))
	}
}

func pinned(t *testing.T, c *tls.Certificate) *dane.Set {
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return dane.New([]dane.Record{{Usage: 3, Selector: 1, MatchingType: 1, Data: sum[:]}}, "mx.test")
}

// anyPolicy is what the routes of stories have; the guard decides.
var anyPolicy = &mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"mx.test"}}
