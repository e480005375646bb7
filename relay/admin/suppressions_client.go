package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Suppressions asks for one page of the suppression list; after is Next of the
// page before.
func (c *Client) Suppressions(ctx context.Context, w SuppressionSelection, after string, limit int) (p SuppressionPage, err error) {
	q := url.Values{}
	for name, value := range map[string]string{
		"address": w.Address, "tenant": w.Tenant, "campaign": w.Campaign, "reason": w.Reason, "rule": w.Rule, "provider": w.Provider, "after": after,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if w.Since != nil {
		q.Set("since", w.Since.UTC().Format(time.RFC3339))
	}
	if w.Held {
		q.Set("held", "true")
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return p, c.do(ctx, http.MethodGet, "suppressions?"+q.Encode(), nil, &p)
}

// Suppress adds entries, MaxEntries at most.
func (c *Client) Suppress(ctx context.Context, all []Suppression) (a AddedSuppressions, err error) {
	return a, c.do(ctx, http.MethodPost, "suppressions", NewSuppressions{all}, &a)
}

// Unsuppress removes the entry of an address or domain for a scope, or all.
func (c *Client) Unsuppress(ctx context.Context, address, tenant, campaign string, all bool) (int, error) {
	q := url.Values{"address": {address}}
	for name, value := range map[string]string{"tenant": tenant, "campaign": campaign} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if all {
		q.Set("all", "true")
	}
	var t TouchedEntries
	err := c.do(ctx, http.MethodDelete, "suppressions?"+q.Encode(), nil, &t)
	return t.Entries, err
}

// ChangeSuppressions applies a verb (undo, release) and gives the number of
// entries that it changed.
func (c *Client) ChangeSuppressions(ctx context.Context, verb string, w SuppressionSelection) (int, error) {
	var t TouchedEntries
	err := c.do(ctx, http.MethodPost, "suppressions/"+verb, w, &t)
	return t.Entries, err
}
