package intake

import (
	"slices"
	"strconv"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// copySize is what each copy of a message is charged with while it waits for the
// spool, in octets: envelope, draft and what the spool makes of them.
const copySize = 2 << 10

// entry is one entry of the spool in the making.
type entry struct {
	draft spool.Draft
	env   *mail.Envelope
}

// ask finds out whether each recipient is to get a copy of its own, by who wants
// something in it, and for the fields that are the same for all. h is the header
// section as it will be stored.
func (r *reception) ask(h header.Section) {
	if r.server.deps.Fields != nil {
		r.fields = r.server.deps.Fields(r.e, h)
	}
	for _, p := range r.server.deps.PerRecipient {
		if form := p.Copies(r.e, h); form != nil {
			r.forms = append(r.forms, form)
		}
	}
	if len(r.forms) > 0 {
		r.charge(int64(len(r.e.Recipients)) * copySize)
	}
}

// chargePrefixes charges for what each copy has in front of the body besides our own
// few fields: what inspections said, and a header section that is kept apart. Both
// stand in the envelope and in its stored form; with a thousand recipients the longest
// section would take half a gigabyte.
func (r *reception) chargePrefixes() {
	if len(r.forms) > 0 {
		r.charge(2 * int64(len(r.e.Recipients)) * int64(len(r.judgement.Header)+len(r.own)))
	}
}

// entries makes what the spool gets of a message whose first entry is begun: that
// alone, or one for each recipient over the one body that the first brings. All
// are stored in one Commit, so that a 250 is for all of them, and a dedupe key of
// the first for the whole.
//
// The first has the id that the client hears; the ids of the others derive from it,
// and each envelope names it (mail.Envelope.Batch). They are messages of their own
// from here on: each has its Reception in the mail log, its attempts, its DSN.
func (r *reception) entries(first spool.Draft, now time.Time) []entry {
	r.complete(now)
	if r.judgement.Hold {
		first.State = stored.AppendState(nil, &mail.State{Held: true})
	}
	if len(r.forms) == 0 {
		r.finish(r.e, first.ID, nil)
		return []entry{r.entry(first, r.e)}
	}
	all := make([]entry, 0, len(r.e.Recipients))
	for i := range r.e.Recipients {
		e, d := *r.e, first
		e.Recipients = slices.Clone(r.e.Recipients[i : i+1])
		if len(r.e.Recipients) > 1 {
			e.Batch = first.ID
		}
		if i > 0 {
			d.ID, d.Body, d.Staged, d.Share = first.ID.Derive("copy "+strconv.Itoa(i)), nil, nil, first.ID
		}
		var fields []byte
		for _, form := range r.forms {
			fields = append(fields, form(d.ID, &e)...)
		}
		if e.Sender.IsNull() { // since an inspection changed it: stays null (RFC 5321 section 4.5.5)
			e.ReturnPath = smtp.Address{}
		}
		r.finish(&e, d.ID, fields)
		all = append(all, r.entry(d, &e))
	}
	return all
}

func (r *reception) entry(d spool.Draft, e *mail.Envelope) entry {
	d.Envelope = stored.AppendEnvelope(make([]byte, 0, 384+len(e.Prefix)+64*len(e.Recipients)), e)
	return entry{d, e}
}
