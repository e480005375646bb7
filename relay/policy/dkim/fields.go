package dkim

import (
	"strings"

	"tenma/relay/wire/dkim"
	"tenma/relay/wire/header"
)

// alwaysSigned are the fields that every signature names, whether or not the
// message has them, once more than it has them: so none can be added, changed
// or taken away (RFC 6376 sections 5.4.1 and 8.15; List-Unsubscribe-Post by RFC
// 8058 section 4, Feedback-ID as Gmail asks).
var alwaysSigned = [...]string{
	"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID",
}

// signedIfThere are named only where the message has them: a mailing list or a
// forwarder may add them later.
var signedIfThere = [...]string{
	"Sender", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Date", "Resent-Message-ID",
	"List-Id", "List-Help", "List-Subscribe", "List-Post", "List-Owner", "List-Archive",
	"Content-ID", "Content-Description", "Content-Disposition",
}

const (
	// maxInstances bounds how many fields of one name are signed, so that no
	// line of the signature can pass 998 octets (RFC 5322 section 2.1.1).
	maxInstances = 30
	// lineGoal is where the list is folded if it can be (section 2.1.1 of RFC
	// 5322 recommends 78).
	lineGoal = 72
)

// signed gives what the signature covers of a header section: the names for the
// h= tag, appended to names, and the fields in relaxed form and in that order,
// appended to fields. Of fields with one name the last comes first (RFC 6376
// section 5.4.2).
func signed(section header.Section, names, fields []byte) (h, canonical []byte) {
	type field struct {
		value  []byte
		before int // where the field of the same name before it is, from 1
	}
	all := make([]field, 0, 32)
	var last, count [len(alwaysSigned) + len(signedIfThere)]int
	for f := range section.Fields() {
		if i := covered(f.Name()); i >= 0 {
			all = append(all, field{f.Value(), last[i]})
			last[i] = len(all)
			count[i]++
		}
	}
	l := list{text: names}
	for i := range last {
		name := nameOf(i)
		for n, at := 0, last[i]; at > 0 && n < maxInstances; n++ {
			fields = dkim.AppendField(fields, name, all[at-1].value)
			at = all[at-1].before
		}
		if count[i] > 0 || i < len(alwaysSigned) {
			l.add(name, count[i])
		}
	}
	return l.text, fields
}

// nameOf gives the name with number i, of both lists in turn.
func nameOf(i int) string {
	if i < len(alwaysSigned) {
		return alwaysSigned[i]
	}
	return signedIfThere[i-len(alwaysSigned)]
}

// covered gives the number of a field's name, -1 for one that is not signed.
func covered(name []byte) int {
	for i, n := range alwaysSigned {
		if len(n) == len(name) && strings.EqualFold(n, string(name)) {
			return i
		}
	}
	for i, n := range signedIfThere {
		if len(n) == len(name) && strings.EqualFold(n, string(name)) {
			return len(alwaysSigned) + i
		}
	}
	return -1
}

// list is the h= tag in the making.
type list struct {
	text []byte
	line int // length of the current line
}

// add names each of n fields and one that is not there.
func (l *list) add(name string, n int) {
	for range min(n, maxInstances) {
		l.name(name)
	}
	if n > maxInstances {
		return // the next one named would be there
	}
	// The name of an absent field is compared with nothing, so it may carry the
	// fold that white space around a colon allows (RFC 6376 section 3.5, h=).
	if l.line+len(name) > lineGoal {
		l.text = append(l.text, ":\r\n\t"...)
		l.text = append(l.text, name...)
		l.line = len(name) + 1
		return
	}
	l.name(name)
}

func (l *list) name(name string) {
	if len(l.text) > 0 {
		l.text = append(l.text, ':')
	}
	l.text = append(l.text, name...)
	l.line += len(name) + 1
}
