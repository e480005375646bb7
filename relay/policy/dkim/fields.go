package dkim

import (
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

// signed gives what the signature covers of a header section: the names for
// the h= tag, and the fields of those names, unfolded, one a line. Relaxed
// canonicalisation makes the same of an unfolded field as of the original, and
// the signing library is spared the fields that do not matter.
func signed(section header.Section) (names []string, fields []byte) {
	var always [len(alwaysSigned)]int
	var there [len(signedIfThere)]int
	for f := range section.Fields() {
		if !count(f, alwaysSigned[:], always[:]) && !count(f, signedIfThere[:], there[:]) {
			continue
		}
		fields = append(fields, f.Name()...)
		fields = append(fields, ':')
		fields = append(fields, f.Text()...)
		fields = append(fields, '\r', '\n')
	}
	l := list{names: make([]string, 0, 2*len(alwaysSigned)+8)}
	for i, name := range alwaysSigned {
		l.add(name, always[i])
	}
	for i, name := range signedIfThere {
		if there[i] > 0 {
			l.add(name, there[i])
		}
	}
	return l.names, fields
}

// count finds f's name among names.
func count(f header.Field, names []string, counts []int) bool {
	for i, name := range names {
		if f.Is(name) {
			counts[i]++
			return true
		}
	}
	return false
}

// list is the h= tag in the making.
type list struct {
	names []string
	line  int // length of the current line
}

// add names each of n fields and one that is not there.
func (l *list) add(name string, n int) {
	for range min(n, maxInstances) {
		l.names = append(l.names, name)
		l.line += len(name) + 1
	}
	if n > maxInstances {
		return // the next one named would be there
	}
	// The name of an absent field is compared with nothing, so it may carry the
	// fold that white space around a colon allows (RFC 6376 section 3.5, h=).
	if l.line+len(name) > lineGoal {
		l.names = append(l.names, "\r\n\t"+name)
		l.line = 1
	} else {
		l.names = append(l.names, name)
	}
	l.line += len(name) + 1
}
