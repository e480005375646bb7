package admin

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"tenma/relay/policy/suppress"
	"tenma/relay/wire/smtp"
)

// Suppressions is what an operator can do with the suppression list; it is
// suppress.List's.
type Suppressions interface {
	Page(s suppress.Selection, after suppress.Key, limit int) (page []suppress.Entry, next suppress.Key, more bool, err error)
	Add(ctx context.Context, all []suppress.Entry) (suppress.Done, error)
	Delete(ctx context.Context, a smtp.Address, tenant, campaign string, all bool) (int, error)
	Undo(ctx context.Context, s suppress.Selection, dry bool) (int, error)
	Release(ctx context.Context, s suppress.Selection) (int, error)
}

// MaxEntries bounds the entries that one call adds.
const MaxEntries = 1000

// Suppression is an entry of the suppression list in the API's JSON.
type Suppression struct {
	Address  string     `json:"address" doc:"an address in lower case, or a domain: all of its addresses"`
	Tenant   string     `json:"tenant,omitempty" doc:"whose mail it stops; absent: all mail"`
	Campaign string     `json:"campaign,omitempty" doc:"of the tenant; absent: all of the tenant's mail"`
	Reason   string     `json:"reason" doc:"hard_bounce, returned, complaint, unsubscribe, manual or import"`
	Created  *time.Time `json:"created,omitempty"`
	Expires  *time.Time `json:"expires,omitempty" doc:"absent: never; for a new entry, as the configuration has it"`
	Rule     string     `json:"rule,omitempty" doc:"of the classifier, which called the failure hard"`
	Detail   string     `json:"detail,omitempty" doc:"the reply or report, or an operator's words; 512 octets at most"`
	Message  string     `json:"message,omitempty" doc:"id of the message that it came of"`
	Creator  string     `json:"creator,omitempty" doc:"who made it; relay: by itself"`
	Provider string     `json:"provider,omitempty" doc:"the party that refused the address, by its mail hosts; dns: the domain is not there; returned: a report that came back later"`
	Held     bool       `json:"held,omitempty" doc:"without effect: made in a storm of failures"`
}

// SuppressionPage is one page of the list.
type SuppressionPage struct {
	Entries []Suppression `json:"entries" doc:"by domain and local part; a page may be short or empty and not be the last"`
	Next    string        `json:"next,omitempty" doc:"pass as after to read on; absent at the end"`
}

// NewSuppressions are entries to be added.
type NewSuppressions struct {
	Entries []Suppression `json:"entries" doc:"1,000 at most; reason is manual where none is given, creator api"`
}

// AddedSuppressions tells what came of them. Those that are bad were left out.
type AddedSuppressions struct {
	Added    int        `json:"added"`
	Replaced int        `json:"replaced" doc:"there was an entry for the address and scope"`
	Bad      []BadEntry `json:"bad"`
}

// BadEntry is an entry that cannot be added.
type BadEntry struct {
	Index int    `json:"index" doc:"in entries, from 0"`
	Error string `json:"error"`
}

// SuppressionSelection says which entries an undo or a release means: those that
// failures made and for which all holds that is set.
type SuppressionSelection struct {
	Since    *time.Time `json:"since,omitempty" doc:"made then or later; must be there but for held entries"`
	Address  string     `json:"address,omitempty" doc:"an address, or a domain with its addresses"`
	Tenant   string     `json:"tenant,omitempty"`
	Campaign string     `json:"campaign,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Rule     string     `json:"rule,omitempty"`
	Provider string     `json:"provider,omitempty"`
	Held     bool       `json:"held,omitempty" doc:"entries that are held, and no others"`
	DryRun   bool       `json:"dry_run,omitempty" doc:"only count"`
}

// TouchedEntries tells how many entries a verb changed.
type TouchedEntries struct {
	Entries int `json:"entries"`
}

func suppressionCalls() []call {
	return []call{
		{
			method: http.MethodGet, path: "/api/v1/suppressions", summary: "List the suppression list", answer: SuppressionPage{},
			query: []parameter{
				{"address", "string", "an address, or a domain with its addresses"},
				{"tenant", "string", ""},
				{"campaign", "string", ""},
				{"reason", "string", "hard_bounce, returned, complaint, unsubscribe, manual or import"},
				{"rule", "string", "of the classifier"},
				{"provider", "string", "the party that refused the address"},
				{"since", "string", "made then or later, as RFC 3339"},
				{"held", "boolean", "entries that are held, and no others"},
				{"after", "string", "the next of the page before"},
				{"limit", "integer", fmt.Sprintf("entries in the page, 1 to %d; default %d", listMost, listDefault)},
			},
			serve: (*Server).listSuppressions,
		},
		{
			method: http.MethodPost, path: "/api/v1/suppressions", summary: "Add to the suppression list", body: NewSuppressions{}, answer: AddedSuppressions{},
			serve: (*Server).addSuppressions,
		},
		{
			method: http.MethodDelete, path: "/api/v1/suppressions", summary: "Remove the entry of an address or domain", answer: TouchedEntries{},
			query: []parameter{
				{"address", "string", "an address or domain, exactly; must be there"},
				{"tenant", "string", "of the entry; absent: the entry for all mail"},
				{"campaign", "string", "of the entry"},
				{"all", "boolean", "the entries of every scope"},
			},
			serve: (*Server).deleteSuppression,
		},
		{
			method: http.MethodPost, path: "/api/v1/suppressions/undo", summary: "Remove what failures made", body: SuppressionSelection{}, answer: TouchedEntries{},
			serve: (*Server).undoSuppressions,
		},
		{
			method: http.MethodPost, path: "/api/v1/suppressions/release", summary: "Put held entries in force", body: SuppressionSelection{}, answer: TouchedEntries{},
			serve: (*Server).releaseSuppressions,
		},
	}
}

// suppressions gives the suppression list, or says that there is none.
func (s *Server) suppressions() (Suppressions, error) {
	if s.deps.Suppressions == nil {
		return nil, &Problem{Status: http.StatusNotFound, Detail: "this relay keeps no suppression list"}
	}
	return s.deps.Suppressions, nil
}

// onlyKnown refuses parameters that a call does not have, and repeated ones.
func onlyKnown(q url.Values, known []parameter) error {
	for name, values := range q {
		if !slices.ContainsFunc(known, func(p parameter) bool { return p.name == name }) {
			return bad("unknown parameter %q", name)
		}
		if len(values) > 1 {
			return bad("parameter %q stands %d times", name, len(values))
		}
	}
	return nil
}

func truth(q url.Values, name string) (bool, error) {
	text := q.Get(name)
	if text == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, bad("%s is true or false", name)
	}
	return b, nil
}

func (s *Server) listSuppressions(r *http.Request) (any, error) {
	list, err := s.suppressions()
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	if err := onlyKnown(q, suppressionCalls()[0].query); err != nil {
		return nil, err
	}
	w := SuppressionSelection{
		Address: q.Get("address"), Tenant: q.Get("tenant"), Campaign: q.Get("campaign"), Reason: q.Get("reason"), Rule: q.Get("rule"), Provider: q.Get("provider"),
	}
	if w.Held, err = truth(q, "held"); err != nil {
		return nil, err
	}
	if text := q.Get("since"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, bad("since is a time such as 2026-01-31T12:00:00Z")
		}
		w.Since = &t
	}
	sel, err := w.selection()
	if err != nil {
		return nil, err
	}
	limit := listDefault
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > listMost {
			return nil, bad("limit must be from 1 to %d", listMost)
		}
	}
	after, err := parseCursor(q.Get("after"))
	if err != nil {
		return nil, err
	}
	found, next, more, err := list.Page(sel, after, limit)
	page := SuppressionPage{Entries: []Suppression{}}
	for i := range found {
		page.Entries = append(page.Entries, wireSuppression(&found[i]))
	}
	if more {
		page.Next = cursor(&next)
	}
	return page, err
}

// cursor names a place in the list, for the next page.
func cursor(k *suppress.Key) string {
	parts := [][]byte{[]byte(k.Domain), []byte(k.Local), []byte(k.Tenant), []byte(k.Campaign)}
	return base64.RawURLEncoding.EncodeToString(bytes.Join(parts, []byte{0}))
}

func parseCursor(text string) (k suppress.Key, err error) {
	if text == "" {
		return k, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	parts := bytes.Split(b, []byte{0})
	if err != nil || len(parts) != 4 || len(text) > 4*maxWord {
		return k, bad("after is the next of the page before")
	}
	return suppress.Key{Domain: smtp.Domain(parts[0]), Local: string(parts[1]), Tenant: string(parts[2]), Campaign: string(parts[3])}, nil
}

func (w *SuppressionSelection) selection() (s suppress.Selection, err error) {
	s = suppress.Selection{Tenant: w.Tenant, Campaign: w.Campaign, Rule: w.Rule, Provider: w.Provider, Held: w.Held}
	if w.Address != "" {
		if s.Address, err = suppress.ParseSubject(w.Address); err != nil {
			return s, bad("%q is neither an address nor a domain", clipped(w.Address))
		}
	}
	if w.Reason != "" {
		if s.Reason, err = suppress.ParseReason(w.Reason); err != nil {
			return s, bad("%s", err)
		}
	}
	if w.Since != nil {
		s.Since = *w.Since
	}
	return s, nil
}

func clipped(s string) string { return s[:min(len(s), 80)] }

func (s *Server) addSuppressions(r *http.Request) (any, error) {
	list, err := s.suppressions()
	if err != nil {
		return nil, err
	}
	var in NewSuppressions
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if n := len(in.Entries); n == 0 || n > MaxEntries {
		return nil, bad("entries has %d entries; from 1 to %d are taken", n, MaxEntries)
	}
	out := AddedSuppressions{Bad: []BadEntry{}}
	var all []suppress.Entry
	for i := range in.Entries {
		e, err := in.Entries[i].entry()
		if err != nil {
			out.Bad = append(out.Bad, BadEntry{i, err.Error()})
			continue
		}
		all = append(all, e)
	}
	if len(all) > 0 {
		done, err := list.Add(r.Context(), all)
		if err != nil {
			return nil, err
		}
		out.Added, out.Replaced = done.Added, done.Replaced
		s.deps.Log.Info("suppressions added by operator", "added", done.Added, "replaced", done.Replaced, "first", in.Entries[0].Address, "client", r.RemoteAddr)
	}
	return out, nil
}

// entry reads an entry that is to be added.
func (w *Suppression) entry() (e suppress.Entry, err error) {
	a, err := suppress.ParseSubject(w.Address)
	if err != nil {
		return e, fmt.Errorf("%q is neither an address nor a domain", clipped(w.Address))
	}
	if e.Key, err = suppress.NewKey(a, w.Tenant, w.Campaign); err != nil {
		return e, err
	}
	e.Reason = suppress.Manual
	if w.Reason != "" {
		if e.Reason, err = suppress.ParseReason(w.Reason); err != nil {
			return e, err
		}
	}
	e.Rule, e.Detail, e.Message, e.Creator, e.Provider, e.Held = w.Rule, w.Detail, w.Message, w.Creator, w.Provider, w.Held
	if e.Creator == "" {
		e.Creator = "api"
	}
	if w.Created != nil {
		e.Created = *w.Created
	}
	if w.Expires != nil {
		e.Expires = *w.Expires
	}
	return e, e.Check()
}

func (s *Server) deleteSuppression(r *http.Request) (any, error) {
	list, err := s.suppressions()
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	if err := onlyKnown(q, suppressionCalls()[2].query); err != nil {
		return nil, err
	}
	a, err := suppress.ParseSubject(q.Get("address"))
	if err != nil {
		return nil, bad("address %q is neither an address nor a domain", clipped(q.Get("address")))
	}
	all, err := truth(q, "all")
	if err != nil {
		return nil, err
	}
	tenant, campaign := q.Get("tenant"), q.Get("campaign")
	if _, err := suppress.NewKey(a, tenant, campaign); err != nil {
		return nil, bad("%s", err)
	}
	if all && tenant != "" {
		return nil, bad("all and a tenant contradict each other")
	}
	n, err := list.Delete(r.Context(), a, tenant, campaign, all)
	if n > 0 {
		s.deps.Log.Info("suppressions deleted by operator", "entries", n, "address", a.String(), "tenant", tenant, "campaign", campaign, "client", r.RemoteAddr)
	}
	return TouchedEntries{n}, err
}

func (s *Server) undoSuppressions(r *http.Request) (any, error) {
	return s.suppressionVerb(r, "undone", func(list Suppressions, w *SuppressionSelection, sel suppress.Selection) (int, error) {
		if !w.Held && w.Since == nil {
			return 0, bad("since is missing: undo removes what failures made since a time")
		}
		return list.Undo(r.Context(), sel, w.DryRun)
	})
}

func (s *Server) releaseSuppressions(r *http.Request) (any, error) {
	return s.suppressionVerb(r, "released", func(list Suppressions, w *SuppressionSelection, sel suppress.Selection) (int, error) {
		if w.DryRun {
			sel.Held = true
			return list.Undo(r.Context(), sel, true)
		}
		return list.Release(r.Context(), sel)
	})
}

func (s *Server) suppressionVerb(r *http.Request, done string, act func(Suppressions, *SuppressionSelection, suppress.Selection) (int, error)) (any, error) {
	list, err := s.suppressions()
	if err != nil {
		return nil, err
	}
	var w SuppressionSelection
	if err := readJSON(r, &w); err != nil {
		return nil, err
	}
	sel, err := w.selection()
	if err != nil {
		return nil, err
	}
	n, err := act(list, &w, sel)
	if n > 0 && !w.DryRun {
		s.deps.Log.Info("suppressions "+done+" by operator", "entries", n, "rule", w.Rule, "provider", w.Provider, "held", w.Held, "client", r.RemoteAddr)
	}
	return TouchedEntries{n}, err
}

func wireSuppression(e *suppress.Entry) Suppression {
	return Suppression{
		Address: e.Subject(), Tenant: e.Tenant, Campaign: e.Campaign, Reason: e.Reason.String(), Created: stamp(e.Created), Expires: stamp(e.Expires),
		Rule: e.Rule, Detail: e.Detail, Message: e.Message, Creator: e.Creator, Provider: e.Provider, Held: e.Held,
	}
}
