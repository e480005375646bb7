package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Explanation tells how mail for a domain would go, step by step.
type Explanation struct {
	Target string `json:"target" doc:"as asked: a domain or an address"`
	Domain string `json:"domain" doc:"as the DNS has it: lower case, A-labels; empty for the postmaster without a domain"`
	Tenant string `json:"tenant,omitempty" doc:"whose mail it would be, if that was asked"`
	Live   bool   `json:"live" doc:"told by the running relay, from its caches and queue; false: by the command itself, from the configuration and the DNS"`
	Fate   string `json:"fate" doc:"deliver, local, discard, defer or fail: what would become of a message now, up to the first connection"`
	Reply  string `json:"reply,omitempty" doc:"why it is deferred or fails, as log and DSN would say it"`
	Kind   string `json:"kind" doc:"mx, host, local or discard"`
	Lane   string `json:"lane,omitempty" doc:"SOURCE->SITE: mail in one lane shares connections and limits"`
	TLS    string `json:"tls,omitempty" doc:"opportunistic, none, required, verified or implicit: what the route demands"`

	MX     []ExplainedMX    `json:"mx" doc:"the MX records, lowest preference first"`
	TTL    int64            `json:"ttl,omitempty" doc:"seconds for which the MX answer is kept"`
	Secure bool             `json:"secure" doc:"the MX answer was validated (DNSSEC)"`
	Hosts  []ExplainedHost  `json:"hosts" doc:"in the order in which they are tried; those of one preference in random order"`
	Source ExplainedSource  `json:"source"`
	Limits []ExplainedLimit `json:"limits"`
	Retry  []string         `json:"retry" doc:"waits after the 1st, 2nd ... attempt; the last repeats"`
	Expire string           `json:"expire" doc:"when trying ends"`
	Queue  *Lane            `json:"queue,omitempty" doc:"the lane as it is now; absent: nothing is in it, or no relay runs"`
	Steps  []ExplainedStep  `json:"steps" doc:"all of it as text, in order"`
}

// ExplainedStep is one step of a decision.
type ExplainedStep struct {
	Step  string `json:"step"`
	Found string `json:"found"`
	Why   string `json:"why"`
}

// ExplainedMX is an MX record.
type ExplainedMX struct {
	Preference int    `json:"preference"`
	Host       string `json:"host" doc:"empty: the null MX"`
	Used       bool   `json:"used"`
	Why        string `json:"why,omitempty" doc:"it is not used"`
}

// ExplainedHost is a next hop.
type ExplainedHost struct {
	Name       string             `json:"name"`
	Port       int                `json:"port"`
	Preference int                `json:"preference"`
	Used       bool               `json:"used" doc:"it would be tried"`
	TLS        string             `json:"tls,omitempty" doc:"what is demanded of it, by the route, its TLSA records or the domain's MTA-STS policy"`
	Why        string             `json:"why,omitempty" doc:"it is not used"`
	Addresses  []ExplainedAddress `json:"addresses" doc:"those that are used come first, in the order in which they are tried"`
	TTL        int64              `json:"ttl,omitempty" doc:"seconds for which the addresses are kept"`
}

// ExplainedAddress is an address of a next hop.
type ExplainedAddress struct {
	Address string `json:"address"`
	Used    bool   `json:"used"`
	Why     string `json:"why,omitempty" doc:"it is not used"`
}

// ExplainedSource is who we are to the next hop.
type ExplainedSource struct {
	Name      string        `json:"name"`
	EHLO      string        `json:"ehlo" doc:"the name that is said"`
	Addresses []ReversedPTR `json:"addresses" doc:"public addresses that connections come from, as far as this host can tell"`
}

// ReversedPTR is what the DNS says of an address of ours.
type ReversedPTR struct {
	Address string   `json:"address"`
	Names   []string `json:"names" doc:"from PTR records"`
	OK      bool     `json:"ok" doc:"one of the names leads back to the address"`
	Note    string   `json:"note,omitempty" doc:"what is wrong, or unwise"`
}

// ExplainedLimit is a limit in force.
type ExplainedLimit struct {
	Setting string `json:"setting" doc:"key of the configuration"`
	Value   string `json:"value"`
	Means   string `json:"means"`
}

// explainTime bounds an explanation: each lookup has its own, shorter one.
const explainTime = 30 * time.Second

func explainCalls() []call {
	return []call{{
		method: http.MethodGet, path: "/api/v1/explain", summary: "How mail for a domain or address would go, and why",
		query: []parameter{{"target", "string", "domain or address; must be there"}, {"tenant", "string", "whose mail it would be"}}, answer: Explanation{},
		serve: (*Server).explain,
	}}
}

func (s *Server) explain(r *http.Request) (any, error) {
	q := r.URL.Query()
	for name, values := range q {
		if name != "target" && name != "tenant" || len(values) != 1 {
			return nil, bad("explain takes target, and may take tenant, once each")
		}
	}
	target := q.Get("target")
	switch {
	case s.deps.Explain == nil:
		return nil, &Problem{Status: http.StatusNotFound, Detail: "this relay explains nothing"}
	case target == "" || len(target) > maxWord || len(q.Get("tenant")) > maxWord:
		return nil, bad("target is a domain or an address")
	}
	ctx, cancel := context.WithTimeout(r.Context(), explainTime)
	defer cancel()
	x, err := s.deps.Explain(ctx, target, q.Get("tenant"))
	if err != nil {
		return nil, bad("%s", err)
	}
	return x, nil
}

// Explain asks how mail for a domain or address would go, mail of a tenant if that
// is not "".
func (c *Client) Explain(ctx context.Context, target, tenant string) (x Explanation, err error) {
	q := url.Values{"target": {target}}
	if tenant != "" {
		q.Set("tenant", tenant)
	}
	return x, c.do(ctx, http.MethodGet, "explain?"+q.Encode(), nil, &x)
}
