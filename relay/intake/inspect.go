package intake

import (
	"bytes"
	"errors"
	"time"

	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// inspect asks who wants to look at the message, whose header section has been
// judged and is as it will be stored.
func (r *reception) inspect() {
	for _, in := range r.server.deps.Inspectors {
		one := in.Inspect(r.ctx, r.e)
		r.inspections = append(r.inspections, one)
		if _, ok := one.(Editor); ok && r.id.IsZero() {
			r.identify(time.Now()) // it will ask
		}
	}
}

// showHead gives what has arrived of a message that is to be streamed to the spool.
// Where somebody may change the header section, that is kept apart: it will go in
// front with the prefix, and the stored body begins behind it. What is to be stored
// is returned.
func (r *reception) showHead() (rest []byte) {
	rest = r.buf
	for _, in := range r.inspections {
		if _, ok := in.(Editor); ok && r.end > 0 {
			r.own, rest, r.end = bytes.Clone(r.buf[:r.end]), r.buf[r.end:], 0
		}
	}
	for _, in := range r.inspections {
		switch in := in.(type) {
		case nil:
		case Editor:
			in.Section(r.id, nil, r.own)
			in.Write(rest)
		default:
			in.Write(r.buf)
		}
	}
	r.end = 0 // buf will be gone
	return rest
}

// show gives a part of a body that is streamed to the spool to all inspections at
// once: nobody can wait for another's verdict, which comes with the last octet.
func (r *reception) show(p []byte) {
	for _, in := range r.inspections {
		if in != nil {
			in.Write(p)
		}
	}
}

// conclude hears the verdicts. A message in memory is shown to one inspection
// after the other, each of which sees in front of it what those before it had to
// say; a message that has been streamed has been seen by all.
func (r *reception) conclude() {
	for i, in := range r.inspections {
		if in == nil {
			continue
		}
		if r.stage == nil {
			r.showWhole(in)
		}
		r.inspections[i] = nil
		j, err := in.Verdict()
		if err != nil {
			r.server.deps.Metrics.Refused.Verdict.Inc()
			r.err = refusal(err)
			return
		}
		r.judgement.Header = append(j.Header, r.judgement.Header...)
		r.judgement.Hold = r.judgement.Hold || j.Hold
		if j.Section != nil {
			r.replace(j.Section)
		}
		if r.judgement.Discard = j.Discard; j.Discard {
			return
		}
	}
}

// head is the header section as it will be stored.
func (r *reception) head() []byte {
	if r.own != nil {
		return r.own
	}
	return r.buf[:r.end]
}

// showWhole shows a message that is in memory.
func (r *reception) showWhole(in Inspection) {
	if e, ok := in.(Editor); ok {
		e.Section(r.id, r.judgement.Header, r.head())
		e.Whole(r.buf[r.end:])
		return
	}
	in.Write(r.judgement.Header)
	in.Write(r.own)
	in.Write(r.buf)
}

// replace puts another header section in the place of the message's own, before the
// message is stored (promise 2 of package relay). One that is kept apart already, or
// that does not fit into memory with the body any more, goes in front.
func (r *reception) replace(section []byte) {
	before := len(r.head())
	switch need := len(section) + len(r.buf) - r.end; {
	case r.own != nil:
		r.own = section
	case need > spool.MaxInline:
		r.own, r.buf, r.end = section, r.buf[r.end:], 0
	default:
		r.rewrite(section, need)
	}
	r.size += int64(len(section) - before)
	r.section = readSection(section, r.section.headless)
}

// rewrite makes the header section in buf another one, so that need octets are there.
func (r *reception) rewrite(section []byte, need int) {
	if need > cap(r.buf) {
		if r.grow(need); r.err != nil {
			return
		}
	}
	had := len(r.buf)
	r.buf = r.buf[:max(had, need)]
	copy(r.buf[len(section):], r.buf[r.end:had])
	r.end = copy(r.buf, section)
	r.buf = r.buf[:need]
}

// refusal is what the client hears of an inspection's error.
func refusal(err error) error {
	if e, ok := errors.AsType[*smtp.Error](err); ok {
		return e
	}
	return &smtp.Error{Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 7, 0}, Text: "The message cannot be judged now, try again later"}, Err: err}
}
