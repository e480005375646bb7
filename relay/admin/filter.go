package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenma/relay/queue"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

const (
	listDefault = 100  // messages in a page
	listMost    = 1000 // a page of a megabyte or so
	maxWord     = 512  // octets of a filter's value: an address and some
)

func listParameters() []parameter {
	return []parameter{
		{"id", "string", "message id; may stand several times"},
		{"recipient", "string", "address, any case"},
		{"domain", "string", "of a recipient"},
		{"sender", "string", "address, or @domain"},
		{"tenant", "string", ""},
		{"campaign", "string", ""},
		{"older_than", "string", "duration such as 90m or 72h"},
		{"after", "string", "the next of the page before"},
		{"limit", "integer", fmt.Sprintf("messages in the page, 1 to %d; default %d", listMost, listDefault)},
	}
}

// bad is an error of the client's, told as a 400.
func bad(format string, args ...any) error {
	return &Problem{Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}

// listFilter reads the query of a listing. A parameter that is not known is an
// error: a typing mistake must not list, or later delete, everything.
func listFilter(q url.Values) (queue.Filter, error) {
	known := listParameters()
	for name, values := range q {
		if !slices.ContainsFunc(known, func(p parameter) bool { return p.name == name }) {
			return queue.Filter{}, bad("unknown parameter %q", name)
		}
		if len(values) > 1 && name != "id" {
			return queue.Filter{}, bad("parameter %q stands %d times", name, len(values))
		}
	}
	sel := Selection{
		IDs: q["id"], Recipient: q.Get("recipient"), Domain: q.Get("domain"), Sender: q.Get("sender"),
		Tenant: q.Get("tenant"), Campaign: q.Get("campaign"), OlderThan: q.Get("older_than"),
	}
	f, err := sel.fields()
	if err != nil {
		return f, err
	}
	f.All = empty(f)
	f.Limit = listDefault
	if text := q.Get("limit"); text != "" {
		f.Limit, err = strconv.Atoi(text)
		if err != nil || f.Limit < 1 || f.Limit > listMost {
			return f, bad("limit must be from 1 to %d", listMost)
		}
	}
	if text := q.Get("after"); text != "" {
		f.After, err = parseID(text)
	}
	return f, err
}

// filter is the Filter of a verb, which must say what it means.
func (s Selection) filter() (queue.Filter, error) {
	f, err := s.fields()
	switch {
	case err != nil:
		return f, err
	case empty(f) && !s.All:
		return f, bad(`nothing is selected: give "ids", a filter, or "all": true`)
	case !empty(f) && s.All:
		return f, bad(`"all" and a filter contradict each other`)
	}
	f.All = s.All
	return f, nil
}

func (s Selection) fields() (queue.Filter, error) {
	f := queue.Filter{Recipient: s.Recipient, Sender: s.Sender, Tenant: s.Tenant, Campaign: s.Campaign}
	for _, text := range s.IDs {
		id, err := parseID(text)
		if err != nil {
			return f, err
		}
		f.IDs = append(f.IDs, id)
	}
	for _, word := range []string{s.Recipient, s.Sender, s.Domain, s.Tenant, s.Campaign} {
		if len(word) > maxWord {
			return f, bad("a filter is longer than %d octets", maxWord)
		}
	}
	if s.Recipient != "" {
		if _, err := smtp.ParseMailbox(s.Recipient); err != nil {
			return f, bad("recipient %q is not an address", s.Recipient)
		}
	}
	if s.Sender != "" && !strings.HasPrefix(s.Sender, "@") {
		if _, err := smtp.ParseMailbox(s.Sender); err != nil {
			return f, bad("sender %q is neither an address nor @domain", s.Sender)
		}
	}
	if s.Domain != "" {
		d, err := smtp.ParseDomain(strings.TrimPrefix(s.Domain, "@"))
		if err != nil {
			return f, bad("domain %q is not a domain name", s.Domain)
		}
		f.Domain = string(d)
	}
	if s.OlderThan != "" {
		d, err := time.ParseDuration(s.OlderThan)
		if err != nil || d <= 0 {
			return f, bad("older_than %q is not a duration such as 90m or 72h", s.OlderThan)
		}
		f.OlderThan = d
	}
	return f, nil
}

// empty reports a filter that says nothing yet.
func empty(f queue.Filter) bool {
	return len(f.IDs) == 0 && f.Recipient == "" && f.Domain == "" && f.Sender == "" && f.Tenant == "" && f.Campaign == "" && f.OlderThan == 0
}

func parseID(text string) (spool.ID, error) {
	id, err := spool.ParseID(text)
	if err != nil {
		if len(text) > 40 {
			text = text[:40] + "..."
		}
		return id, bad("%q is not a message id, which has 26 letters and digits", text)
	}
	return id, nil
}

// readJSON reads a bounded body of one JSON value, strictly.
func readJSON(r *http.Request, into any) error {
	// Only a script of the same origin, or no browser, can send this type
	// without asking first: a second lock beside the bearer token.
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return &Problem{Status: http.StatusUnsupportedMediaType, Detail: "the body must be application/json, and Content-Type must say so"}
	}
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, errMore := d.Token(); errMore == io.EOF {
			return nil
		}
		return bad("more than one JSON value in the body")
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &Problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body is larger than %d octets", large.Limit)}
	}
	return bad("the body is not as described: %s", strings.TrimPrefix(err.Error(), "json: "))
}
