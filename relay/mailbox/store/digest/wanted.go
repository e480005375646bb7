package digest

import (
	"slices"
	"strings"
)

// Wanted are names of header fields that are asked for.
type Wanted struct {
	names  []string
	places [len(spellings)]bool
	others []uint16
}

// NewWanted makes it of names, in any case.
func NewWanted(names []string) *Wanted {
	w := &Wanted{names: names}
	for _, name := range names {
		known := false
		for i, s := range spellings {
			if strings.EqualFold(s, name) {
				w.places[i], known = true, true
			}
		}
		if !known {
			w.others = append(w.others, hash(name))
		}
	}
	return w
}

func (w *Wanted) has(name string) bool {
	return name != "" && slices.ContainsFunc(w.names, func(s string) bool { return len(s) == len(name) && strings.EqualFold(s, name) })
}

// AppendFields appends what mime.WriteFields writes of a message's header for these
// names. ok is false if only the message can tell.
func (d *Digest) AppendFields(to []byte, w *Wanted) (text []byte, ok bool) {
	if d.kept&keptLayout == 0 || !plain(d.prefix) {
		return to, false
	}
	sources, have, rest, ok := d.sources()
	_, record, whole := cutParts(rest)
	if !ok || !whole || record == "" || record[0] != fieldsVersion {
		return to, false
	}
	from := len(to)
	for field := range strings.Lines(d.prefix) {
		if name, _, ok := strings.Cut(field, ":"); ok && w.has(strings.TrimRight(name, " \t")) {
			to = append(to, field...)
		}
	}
	r := partReader{s: record[1:]}
	for r.s != "" {
		var ok bool
		if to, ok = w.entry(to, &r, &sources, &have); !ok || r.bad {
			return to[:from], false
		}
	}
	return append(to, "\r\n"...), !r.bad
}

// entry takes the next entry, and appends its field if it is wanted. It is false if
// that cannot be done.
func (w *Wanted) entry(to []byte, r *partReader, sources *[11]string, have *[11]bool) ([]byte, bool) {
	code := r.octets(1)
	if r.bad {
		return to, false
	}
	switch code[0] {
	case entryOther:
		b := r.octets(2)
		return to, !r.bad && !slices.Contains(w.others, uint16(b[0])<<8|uint16(b[1]))
	case entryRaw:
		place := r.octets(1)
		raw := r.octets(r.number())
		if r.bad || int(place[0]) >= len(spellings) {
			return to, false
		}
		if w.places[place[0]] {
			to = append(to, raw...)
		}
		return to, true
	}
	place, form := int(code[0]>>2), code[0]&3
	if place >= len(spellings) {
		return to, false
	}
	wanted, from := w.places[place], sourceOf(place)
	if form == formThere {
		return to, !wanted
	}
	if form != formText && (from < 0 || !have[from]) {
		return to, false
	}
	var text string
	if form == formText {
		text = r.octets(r.number())
	} else {
		text = sources[from]
	}
	if wanted {
		to = append(append(to, spellings[place]...), ": "...)
	}
	if form == formFolded {
		last := 0
		for n := r.number(); n > 0 && !r.bad; n-- {
			step := r.number()
			at := last + int(step>>1)
			if at >= len(text) || at < last {
				return to, false
			}
			if wanted {
				to = append(append(to, text[last:at]...), "\r\n "...)
				if step&1 != 0 {
					to[len(to)-1] = '\t'
				}
			}
			last = at + 1
		}
		text = text[last:]
	}
	if wanted {
		to = append(append(to, text...), "\r\n"...)
	}
	return to, true
}

// plain tells that the fields that go before a message are those that every delivery
// adds (RFC 5321 section 4.4), which change nothing of what is kept of the message.
func plain(prefix string) bool {
	for line := range strings.Lines(prefix) {
		if !strings.HasPrefix(line, "Return-Path:") && !strings.HasPrefix(line, "Delivered-To:") {
			return false
		}
	}
	return prefix == "" || strings.HasSuffix(prefix, "\r\n")
}
