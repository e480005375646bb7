package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxAnswer bounds what a Client reads of an answer (a thousand messages with
// a thousand recipients each).
const maxAnswer = 256 << 20

// Client speaks to a Server. A refusal is a *Problem; another error means that
// the relay could not be reached, or that something else answered.
type Client struct {
	URL   string // "http://127.0.0.1:2580"
	Token string
	HTTP  *http.Client // nil: http.DefaultClient
}

// Summary asks for the queue at a glance.
func (c *Client) Summary(ctx context.Context) (s Summary, err error) {
	return s, c.do(ctx, http.MethodGet, "queue/summary", nil, &s)
}

// Show asks for one message.
func (c *Client) Show(ctx context.Context, id string) (m Message, err error) {
	return m, c.do(ctx, http.MethodGet, "queue/"+url.PathEscape(id), nil, &m)
}

// List asks for one page of messages. With sel.All and no filter it is the
// whole queue; after is Page.Next of the page before, limit 0 the server's choice.
func (c *Client) List(ctx context.Context, sel Selection, after string, limit int) (p Page, err error) {
	q := url.Values{}
	for name, value := range map[string]string{
		"recipient": sel.Recipient, "domain": sel.Domain, "sender": sel.Sender, "tenant": sel.Tenant,
		"campaign": sel.Campaign, "older_than": sel.OlderThan, "after": after,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	q["id"] = sel.IDs
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return p, c.do(ctx, http.MethodGet, "queue?"+q.Encode(), nil, &p)
}

// Act applies a verb (retry, delete, hold, release) to the messages that sel
// means and gives their number.
func (c *Client) Act(ctx context.Context, verb string, sel Selection) (int, error) {
	var t Touched
	err := c.do(ctx, http.MethodPost, "queue/"+verb, sel, &t)
	return t.Messages, err
}

func (c *Client) do(ctx context.Context, method, path string, body, into any) error {
	var send io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+"/api/v1/"+path, send)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			return ue.Err // without the address, which the caller names
		}
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, into); err != nil {
			return fmt.Errorf("what answers is no tenma: %w", err)
		}
		return nil
	}
	p := &Problem{}
	if json.Unmarshal(text, p) != nil || p.Detail == "" {
		return fmt.Errorf("what answers is no tenma: it says %s", res.Status)
	}
	p.Status = res.StatusCode
	return p
}
