package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tenma/relay/mailbox"
	"tenma/relay/wire/smtp"
)

// Mailboxes is what an operator may know of the mailboxes here.
type Mailboxes interface {
	// Accounts calls fn for each account that has a mailbox, by name, until it
	// says false.
	Accounts(fn func(account string) bool) error
	// Usage is what a mailbox takes; one that nobody has used yet takes nothing.
	Usage(account string) (mailbox.Usage, error)
	// Folders gives all folders of a mailbox that is there.
	Folders(account string) ([]mailbox.Folder, error)
}

// Mailbox is what one mailbox takes, in the API's JSON.
type Mailbox struct {
	Address  string   `json:"address"`
	Messages int64    `json:"messages"`
	Octets   int64    `json:"octets"`
	Quota    int64    `json:"quota" doc:"octets; 0: no limit"`
	Folders  []Folder `json:"folders,omitempty" doc:"only when one mailbox is asked for"`
}

// Folder is one folder of a mailbox.
type Folder struct {
	Name     string `json:"name"`
	Use      string `json:"use,omitempty" doc:"what it is for, as IMAP names it: \\Sent, \\Trash ..."`
	Messages int64  `json:"messages"`
	Unseen   int64  `json:"unseen"`
	Octets   int64  `json:"octets"`
}

// MailboxPage is a page of mailboxes.
type MailboxPage struct {
	Mailboxes []Mailbox `json:"mailboxes"`
	Next      string    `json:"next,omitempty" doc:"after of the next page; left out on the last"`
}

func mailboxCalls() []call {
	return []call{
		{
			method: http.MethodGet, path: "/api/v1/mailboxes", summary: "List the mailboxes here, by address", answer: MailboxPage{},
			query: []parameter{
				{"after", "string", "the next of the page before"},
				{"limit", "integer", fmt.Sprintf("mailboxes in the page, 1 to %d; default %d", listMost, listDefault)},
			},
			serve: (*Server).listMailboxes,
		},
		{
			method: http.MethodGet, path: "/api/v1/mailboxes/{address}", summary: "One mailbox with its folders", answer: Mailbox{}, notFound: true,
			serve: (*Server).showMailbox,
		},
	}
}

var errNoMailboxes = &Problem{Status: http.StatusNotFound, Detail: "this relay keeps no mailboxes"}

func (s *Server) listMailboxes(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit := listDefault
	for name := range q {
		if !slices.Contains([]string{"after", "limit"}, name) {
			return nil, bad("unknown parameter %q", name)
		}
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > listMost {
			return nil, bad("limit is from 1 to %d", listMost)
		}
		limit = n
	}
	if s.deps.Mailboxes == nil {
		return nil, errNoMailboxes
	}
	page := MailboxPage{Mailboxes: []Mailbox{}}
	after := q.Get("after")
	var failed error
	err := s.deps.Mailboxes.Accounts(func(account string) bool {
		if account <= after {
			return true
		}
		if len(page.Mailboxes) == limit {
			page.Next = page.Mailboxes[limit-1].Address
			return false
		}
		var m Mailbox
		if m, failed = MeasureMailbox(s.deps.Mailboxes, account); failed != nil {
			return false
		}
		page.Mailboxes = append(page.Mailboxes, m)
		return r.Context().Err() == nil
	})
	if err == nil {
		err = failed
	}
	return page, err
}

// MeasureMailbox gives what a mailbox takes, without its folders.
func MeasureMailbox(all Mailboxes, account string) (Mailbox, error) {
	u, err := all.Usage(account)
	return Mailbox{Address: account, Messages: u.Messages, Octets: u.Octets, Quota: max(0, u.Limit)}, err
}

// ShowMailbox gives one mailbox with its folders, whatever the case of letters
// in its name. Its error is a *Problem where there is none.
func ShowMailbox(all Mailboxes, name string) (m Mailbox, err error) {
	found := false
	err = all.Accounts(func(account string) bool {
		if strings.EqualFold(account, name) {
			name, found = account, true
		}
		return !found
	})
	switch {
	case err != nil:
		return m, err
	case !found:
		return m, &Problem{Status: http.StatusNotFound, Detail: "there is no mailbox of " + name + " yet: it is made with its first message or login"}
	}
	if m, err = MeasureMailbox(all, name); err != nil {
		return m, err
	}
	folders, err := all.Folders(name)
	for _, f := range folders {
		if !f.NoSelect {
			m.Folders = append(m.Folders, Folder{f.Name, string(f.Use), int64(f.Messages), int64(f.Unseen), f.Octets})
		}
	}
	return m, err
}

func (s *Server) showMailbox(r *http.Request) (any, error) {
	a, err := smtp.ParseMailbox(r.PathValue("address"))
	if err != nil || a.Domain == "" {
		return nil, bad("%q is not an address", r.PathValue("address"))
	}
	if s.deps.Mailboxes == nil {
		return nil, errNoMailboxes
	}
	return ShowMailbox(s.deps.Mailboxes, a.String())
}

// Mailboxes asks for a page of mailboxes; after is Next of the page before.
func (c *Client) Mailboxes(ctx context.Context, after string) (p MailboxPage, err error) {
	q := url.Values{"limit": {strconv.Itoa(listMost)}}
	if after != "" {
		q.Set("after", after)
	}
	return p, c.do(ctx, http.MethodGet, "mailboxes?"+q.Encode(), nil, &p)
}

// Mailbox asks for one mailbox with its folders.
func (c *Client) Mailbox(ctx context.Context, address string) (m Mailbox, err error) {
	return m, c.do(ctx, http.MethodGet, "mailboxes/"+url.PathEscape(address), nil, &m)
}
