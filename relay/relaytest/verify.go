package relaytest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/rogpeppe/go-internal/testscript"

	words "tenma/relay/wire/dkim"
	"tenma/relay/wire/dkim/arc"
	"tenma/relay/wire/header"
)

// cmdVerify prints for each message that a receiver got a line for each DKIM
// signature, or "none", and one for a chain of ARC: what became of it, its length
// and who sealed last.
func cmdVerify(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	w := world(ts)
	lookup := func(domain string) ([]string, error) {
		if txt := w.keys[domain]; txt != nil {
			return txt, nil
		}
		return nil, fmt.Errorf("no record %s", domain)
	}
	for _, m := range w.Got(args[0]) {
		found, err := dkim.VerifyWithOptions(bytes.NewReader(m.Data), &dkim.VerifyOptions{LookupTXT: lookup})
		ts.Check(err)
		for _, v := range found {
			if v.Err != nil {
				fmt.Fprintf(ts.Stdout(), "fail %s: %v\n", v.Domain, v.Err)
			} else {
				fmt.Fprintf(ts.Stdout(), "pass %s\n", v.Domain)
			}
		}
		if len(found) == 0 {
			fmt.Fprintln(ts.Stdout(), "none")
		}
		if told := chain(m.Data, lookup); told != "" {
			fmt.Fprintln(ts.Stdout(), told)
		}
	}
}

// chain tells of the chain of a message, "" if it has none.
func chain(msg []byte, lookup func(string) ([]string, error)) string {
	section, body := header.Split(msg)
	c := arc.Read(section)
	var b words.Bodies
	var sum [sha256.Size]byte
	if m := c.Message(); m != nil {
		b.Want(m)
		b.Write(body)
		sum = b.Of(m)
	}
	status, err := c.Validate(context.Background(), words.Index(section), sum, func(_ context.Context, claim *words.Claim) (*words.Key, error) {
		txt, err := lookup(claim.KeyName())
		if err != nil {
			return nil, err
		}
		return words.ParseKey(txt[0])
	}, time.Now())
	switch status {
	case arc.None:
		return ""
	case arc.Pass:
		return fmt.Sprintf("arc pass %d %s", len(c.Sets), c.Sets[len(c.Sets)-1].Sealer())
	}
	return fmt.Sprintf("arc fail %d: %v", c.Last, err)
}
