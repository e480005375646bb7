package relay

import (
	"bytes"
	"context"
	"net/netip"

	"tenma/dnscache"
	"tenma/relay/intake"
	"tenma/relay/mail"
	"tenma/relay/policy/milter"
	"tenma/spool"
)

// filters lets mail filters look at messages on their way in: intake knows when to ask
// them, package milter how.
type filters struct{ *milter.Adviser }

func (f filters) Inspect(ctx context.Context, e *mail.Envelope) intake.Inspection {
	if !f.Asks(e) {
		return nil
	}
	return &filtering{ctx: ctx, adviser: f.Adviser, msg: milter.Message{Envelope: e}}
}

// filtering is one message that filters see.
type filtering struct {
	ctx     context.Context
	adviser *milter.Adviser
	msg     milter.Message
	body    []byte             // where all of it is in memory
	stream  *milter.Inspection // where it is not; nil as well where no filter wants it any more
	begun   bool               // stream has been made
}

func (f *filtering) Section(id spool.ID, ahead, section []byte) {
	f.msg.ID, f.msg.Ahead, f.msg.Section = id.String(), ahead, section
}

func (f *filtering) Whole(rest []byte) { f.body = afterHead(rest) }

func (f *filtering) Write(p []byte) (int, error) {
	n := len(p)
	if !f.begun {
		f.begun, f.stream = true, f.adviser.Begin(f.ctx, f.msg)
		p = afterHead(p)
	}
	if f.stream != nil {
		f.stream.Write(p)
	}
	return n, nil
}

// afterHead takes off the empty line between header section and body.
func afterHead(rest []byte) []byte {
	return bytes.TrimPrefix(rest, []byte("\r\n"))
}

func (f *filtering) Verdict() (mail.Judgement, error) {
	var v milter.Verdict
	switch {
	case !f.begun:
		v = f.adviser.Inspect(f.ctx, f.msg, f.body)
	case f.stream != nil:
		v = f.stream.End()
	}
	if v.Refuse != nil {
		return mail.Judgement{}, v.Refuse
	}
	return mail.Judgement{Header: v.Added, Section: v.Header, Hold: v.Hold != "", Discard: v.Discard != ""}, nil
}

func (f *filtering) Drop() {
	if f.stream != nil {
		f.stream.Abort()
	}
}

// clientNames finds what clients are called.
type clientNames struct{ dns *dnscache.Cache }

// maxNames bounds the names of one address that are looked at: a few are odd already,
// and whoever owns the address could list thousands.
const maxNames = 4

func (c clientNames) Name(ctx context.Context, a netip.Addr) string {
	names, err := c.dns.LookupPTR(ctx, a)
	if err != nil {
		return ""
	}
	for i, name := range names.Records {
		if i >= maxNames {
			break
		}
		back, err := c.dns.LookupAddrs(ctx, name)
		if err != nil {
			continue
		}
		for _, b := range back.Records {
			if b.Unmap() == a {
				return name
			}
		}
	}
	return ""
}
