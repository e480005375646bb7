package admin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fakeExplain knows all domains but one.
func fakeExplain(ctx context.Context, target, tenant string) (Explanation, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return Explanation{}, errors.New("it may take for ever")
	}
	if target == "odd" {
		return Explanation{}, errors.New("odd is no domain")
	}
	return Explanation{Target: target, Tenant: tenant, Queue: &Lane{Lane: "l"}}, nil
}

func TestExplain(t *testing.T) {
	s := started(t, &fakeQueue{})
	long := strings.Repeat("x", maxWord+1)
	for query, want := range map[string]int{
		"?target=example.test": 200, "?target=odd": 400, "": 400, "?target=": 400, "?target=" + long: 400,
		"?target=a&target=b": 400, "?domain=example.test": 400, "?target=a&other=b": 400,
		"?target=a&tenant=b": 200, "?target=a&tenant=b&tenant=c": 400, "?target=a&tenant=" + long: 400,
	} {
		if w := ask(s, "GET", "/api/v1/explain"+query, "", bearer); w.Code != want {
			t.Errorf("%s: %d %s, want %d", query, w.Code, w.Body, want)
		}
	}
	if w := ask(s, "GET", "/api/v1/explain?target=example.test", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", w.Code)
	}
	web := httptest.NewServer(s.handler)
	defer web.Close()
	c := &Client{URL: web.URL, Token: testToken}
	if x, err := c.Explain(t.Context(), "jörg@bücher.test", "shop"); err != nil || x.Target != "jörg@bücher.test" || x.Tenant != "shop" || x.Queue.Lane != "l" {
		t.Errorf("%+v, %v", x, err)
	}
	var p *Problem
	if _, err := c.Explain(t.Context(), "odd", ""); !errors.As(err, &p) || p.Detail != "odd is no domain" {
		t.Errorf("%v", err)
	}
	s.deps.Explain = nil
	if w := ask(s, "GET", "/api/v1/explain?target=example.test", "", bearer); w.Code != http.StatusNotFound {
		t.Errorf("with nobody to explain: %d", w.Code)
	}
}
