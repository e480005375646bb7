package load

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// SinkStats is what a sink counts: its answer to GET /stats. Times are Unix
// nanoseconds of the sink's clock, 0 for none yet.
type SinkStats struct {
	Run        string `json:"run"`        // whose messages are counted
	Total      int64  `json:"total"`      // messages of the run, each copy
	Unique     int64  `json:"unique"`     // different numbers among them
	Duplicates int64  `json:"duplicates"` // Total - Unique
	Untagged   int64  `json:"untagged"`   // other messages: without a Tag, or of another run
	Refused    int64  `json:"refused"`    // recipients and messages that were answered 4yz or 5yz
	Conns      int64  `json:"conns"`      // connections taken
	PeakConns  int64  `json:"peak_conns"` // at a time
	Signatures int64  `json:"signatures"` // DKIM-Signature fields
	Bytes      int64  `json:"bytes"`      // of all messages
	First      int64  `json:"first_ns"`   // first arrival of the run
	Last       int64  `json:"last_ns"`    // last arrival
}

// Arrival is what a sink knows of one message of a run.
type Arrival struct {
	N     uint32 // its number
	Count uint32 // copies that arrived
	First int64  // the first of them, Unix nanoseconds
}

// arrivalSize is the length of an Arrival in the answer to GET /arrivals: N,
// Count and First one after the other, little-endian.
const arrivalSize = 16

// maxArrivals bounds the answer to GET /arrivals, in octets.
const maxArrivals = arrivalSize * MaxMessages

// Append appends the record that stands in the answer to GET /arrivals.
func (a Arrival) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, a.N)
	b = binary.LittleEndian.AppendUint32(b, a.Count)
	return binary.LittleEndian.AppendUint64(b, uint64(a.First))
}

// ParseArrivals reads records that Append wrote.
func ParseArrivals(b []byte) ([]Arrival, error) {
	if len(b)%arrivalSize != 0 {
		return nil, fmt.Errorf("%d octets are no whole number of arrivals of %d", len(b), arrivalSize)
	}
	all := make([]Arrival, 0, len(b)/arrivalSize)
	for ; len(b) > 0; b = b[arrivalSize:] {
		a := Arrival{N: binary.LittleEndian.Uint32(b), Count: binary.LittleEndian.Uint32(b[4:]), First: int64(binary.LittleEndian.Uint64(b[8:]))}
		if a.N >= MaxMessages {
			return nil, fmt.Errorf("message number %d, above %d", a.N, MaxMessages-1)
		}
		all = append(all, a)
	}
	return all, nil
}

// Control speaks to a sink's control port:
//
//	POST /reset?run=NAME     forget everything; NAME's messages are counted from now on
//	GET  /stats              SinkStats as JSON
//	GET  /arrivals?run=NAME  Arrival records in any order
//
// Its methods may be called at any time.
type Control struct {
	base   string
	client *http.Client
}

// NewControl takes the address of the port: "http://127.0.0.1:2599", or
// without "http://".
func NewControl(address string) (*Control, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("a sink's control port is http://HOST:PORT, not %q", address)
	}
	return &Control{base: strings.TrimRight(u.Scheme+"://"+u.Host+u.Path, "/"), client: &http.Client{Timeout: time.Minute}}, nil
}

// Reset starts counting the messages of a run, from nothing.
func (c *Control) Reset(ctx context.Context, run string) error {
	_, err := c.ask(ctx, http.MethodPost, "/reset?run="+url.QueryEscape(run), 1<<20)
	return err
}

// Stats gives the counts.
func (c *Control) Stats(ctx context.Context) (s SinkStats, err error) {
	b, err := c.ask(ctx, http.MethodGet, "/stats", 1<<20)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("the sink's counts: %w", err)
	}
	return s, nil
}

// Arrivals gives every message of the run that arrived.
func (c *Control) Arrivals(ctx context.Context, run string) ([]Arrival, error) {
	b, err := c.ask(ctx, http.MethodGet, "/arrivals?run="+url.QueryEscape(run), maxArrivals)
	if err != nil {
		return nil, err
	}
	return ParseArrivals(b)
}

func (c *Control) ask(ctx context.Context, method, path string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the sink: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking the sink: %w", err)
	case int64(len(b)) > limit:
		return nil, errors.New("the sink's answer is too long")
	case resp.StatusCode/100 != 2:
		return nil, fmt.Errorf("the sink answered %s to %s", resp.Status, path)
	}
	return b, nil
}
