package digest

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"

	"tenma/relay/wire/header"
)

// Mail programs that list a folder ask for some header fields as they stand, each
// for a set of its own. So it is kept how the fields of a header stand there: the
// texts of most are in the Digest anyway, and what is added for one is an octet that
// says which it is. Of fields that nobody lists it is kept only that they are
// there, so that it can also be told of any field that it is not.
//
// The record is fieldsVersion and a row of entries, one for each field in order. The
// first octet of an entry is the place of the name in spellings times four and a form, or one of two others.

// fieldsVersion is the first octet of a record.
const fieldsVersion = 1

// Forms of an entry.
const (
	formSame   = iota // the text is in the Digest
	formText          // the text follows: its length, and itself, folding included
	formFolded        // as formSame, with line ends: how many; for each the distance, times two, odd for a tab
	formThere         // it is not kept
	entryRaw   = 0xfe // place of a name that is written in another way; length; all of the field
	entryOther = 0xff // two octets that are made of a name that is not in spellings
)

// spellings are names of fields as they are mostly written, by which entries name
// them: none may ever be taken out or moved, and there can be 63. First come those of
// Digest.sources, in their order.
var spellings = [...]string{
	"Date", "Subject", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "In-Reply-To", "Message-ID", "References",
	"Message-Id", "CC", "Content-Type", "MIME-Version", "Mime-Version", "Content-Transfer-Encoding", "Content-Description",
	"X-Priority", "Priority", "Importance", "Newsgroups", "Lines", "X-Label", "X-TUID", "List-Id", "List-ID", "List-Post",
	"List-Unsubscribe", "List-Subscribe", "Disposition-Notification-To", "Content-Language", "Content-Disposition",
	"Auto-Submitted", "Precedence", "X-Spam-Flag", "X-Original-To", "User-Agent", "X-Mailer",
	"Received", "DKIM-Signature", "Authentication-Results", "Return-Path", "Delivered-To", "Received-SPF", "ARC-Seal",
	"ARC-Message-Signature", "ARC-Authentication-Results", "X-Google-DKIM-Signature", "List-Unsubscribe-Post", "List-Help",
	"X-Spam-Status", "Feedback-ID",
}

// What is kept of fields. Mail has a header of one to six KiB, most of it of
// signatures and of stations that it went through.
const (
	keptFields = 37       // of spellings, those before are kept
	maxText    = 200      // of one that is not in the Digest
	maxFields  = 320      // of all
	maxHeader  = 64 << 10 // a longer header is read from the message
	maxName    = 900      // mime.WriteFields takes no name that is much longer
	maxOthers  = 100      // names that are not in spellings
)

// code is the first octet of an entry.
func code(place, form int) byte { return byte(place<<2 | form) }

// fieldWriter encodes a header.
type fieldWriter struct {
	b       []byte
	sources [11]string
	have    [11]bool
	there   [len(spellings)]bool
	others  []uint16
	texts   int
}

// encodeFields gives the record of a header, nil if there can be none.
func (d *Digest) encodeFields(h header.Section) []byte {
	w := fieldWriter{b: append(make([]byte, 0, 48), fieldsVersion)}
	w.sources, w.have, _, _ = d.sources()
	for f := range h.Fields() {
		if !w.field(f.Raw) {
			return nil
		}
	}
	return w.b
}

// nameOf is the name of a field as mime.WriteFields sees it, with anything that stands
// before a colon; nil: it has none.
func nameOf(raw []byte) []byte {
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return nil
	}
	return bytes.TrimRight(name, " \t")
}

// field adds a field. It is false if that cannot be done.
func (w *fieldWriter) field(raw []byte) bool {
	name := nameOf(raw)
	if len(name) == 0 {
		return true // nobody can ask for it
	}
	if colon := bytes.IndexByte(raw, ':'); colon > maxName {
		return false
	}
	exact := slices.IndexFunc(spellings[:], func(s string) bool { return s == string(name) })
	place := exact
	if exact < 0 {
		place = slices.IndexFunc(spellings[:], func(s string) bool { return len(s) == len(name) && strings.EqualFold(s, string(name)) })
	}
	switch {
	case place < 0:
		return w.other(name)
	case place >= keptFields:
		w.only(place)
	case exact >= 0 && w.spelled(exact, raw):
	case len(raw) > maxText || w.texts+len(raw) > maxFields:
		w.only(place)
	default:
		w.texts += len(raw)
		w.b = append(w.b, entryRaw, byte(place))
		w.b = append(binary.AppendUvarint(w.b, uint64(len(raw))), raw...)
	}
	return true
}

func (w *fieldWriter) other(name []byte) bool {
	n := hash(string(name))
	if !slices.Contains(w.others, n) {
		w.others = append(w.others, n)
		w.b = append(w.b, entryOther, byte(n>>8), byte(n))
	}
	return len(w.others) <= maxOthers
}

// only says that a field is there.
func (w *fieldWriter) only(place int) {
	if !w.there[place] {
		w.there[place] = true
		w.b = append(w.b, code(place, formThere))
	}
}

// spelled adds a field whose name is spelled as usual, if the rest is.
func (w *fieldWriter) spelled(place int, raw []byte) bool {
	text, ok := bytes.CutPrefix(raw[len(spellings[place]):], []byte(": "))
	if text, ok = cutEnd(text, ok); !ok {
		return false
	}
	if from := sourceOf(place); from >= 0 && w.have[from] {
		if w.sources[from] == string(text) {
			w.b = append(w.b, code(place, formSame))
			return true
		}
		if w.folded(place, w.sources[from], text) {
			return true
		}
	}
	if len(text) > maxText || w.texts+len(text) > maxFields {
		return false
	}
	w.texts += len(text)
	w.b = append(w.b, code(place, formText))
	w.b = append(binary.AppendUvarint(w.b, uint64(len(text))), text...)
	return true
}

func cutEnd(text []byte, ok bool) ([]byte, bool) {
	if !ok {
		return nil, false
	}
	return bytes.CutSuffix(text, []byte("\r\n"))
}

// folded adds a field that is in the Digest but for its line ends, each of which is a
// space there (header.Field.Text).
func (w *fieldWriter) folded(place int, source string, text []byte) bool {
	var at []byte
	n, last := uint64(0), 0
	i := 0 // in source
	for j := 0; j < len(text); i++ {
		switch {
		case i == len(source):
			return false
		case text[j] == '\r' && j+2 < len(text) && text[j+1] == '\n' && source[i] == ' ' && (text[j+2] == ' ' || text[j+2] == '\t'):
			step := uint64(i-last) << 1
			if text[j+2] == '\t' {
				step |= 1
			}
			at = binary.AppendUvarint(at, step)
			n, last = n+1, i+1
			j += 3
		case text[j] != source[i]:
			return false
		default:
			j++
		}
	}
	if i != len(source) || len(at) > maxText {
		return false
	}
	w.b = append(w.b, code(place, formFolded))
	w.b = append(binary.AppendUvarint(w.b, n), at...)
	return true
}

// sourceOf tells which of Digest.sources has the text of a field; -1: none.
func sourceOf(place int) int {
	switch {
	case place < 11:
		return place
	case place == 11: // Message-Id
		return 9
	case place == 12: // CC
		return 6
	}
	return -1
}

// hash is of the name of a field, in any case.
func hash(name string) uint16 {
	h := fnv.New32a()
	for i := range len(name) {
		c := name[i]
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		_, _ = h.Write([]byte{c})
	}
	n := h.Sum32()
	return uint16(n) ^ uint16(n>>16)
}
