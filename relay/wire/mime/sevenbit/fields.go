package sevenbit

import (
	"bytes"
	"strings"

	"tenma/relay/wire/header"
)

// rewrite gives a header section, with its empty line if it has one, in ASCII
// and with a new label. Fields that pass keep every octet.
func rewrite(text []byte, st *step) ([]byte, error) {
	end, body, ok := header.End(text, 0)
	if !ok {
		end, body = len(text), len(text)
	}
	out := make([]byte, 0, len(text)+256)
	var typed, versioned, labelled bool
	for f := range header.Section(text[:end]).Fields() {
		switch {
		case st.to != "" && f.Is("Content-Transfer-Encoding"):
			if !labelled {
				out = appendLabel(out, st.to)
			}
			labelled = true // another one would contradict it
			continue
		case f.Is("Content-Type"):
			typed = true
		case f.Is("MIME-Version"):
			versioned = true
		}
		if st.need.passes(f.Raw) {
			out = append(out, f.Raw...)
			continue
		}
		var err error
		if out, err = st.need.appendField(out, f); err != nil {
			return nil, err
		}
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, "\r\n"...)
	}
	if st.message && !versioned { // RFC 2045 section 4
		out = append(out, "MIME-Version: 1.0\r\n"...)
	}
	if st.message && !typed && st.to != "7bit" { // RFC 2045 section 5.2: without it ASCII
		out = append(out, "Content-Type: text/plain; charset="+st.charset+"\r\n"...)
	}
	if st.to != "" && !labelled {
		out = appendLabel(out, st.to)
	}
	return append(out, text[end:body]...), nil
}

func appendLabel(b []byte, label string) []byte {
	return append(append(append(b, "Content-Transfer-Encoding: "...), label...), "\r\n"...)
}

// syntax is how a field may say what is beyond ASCII.
type syntax uint8

const (
	unstructured syntax = iota // encoded words anywhere (RFC 2047 section 5, (1))
	addresses                  // encoded words in display names and comments (section 5, (2) and (3))
	parameters                 // RFC 2231
	technical                  // not at all
)

// syntaxOf tells by the name. Unknown fields are unstructured.
func syntaxOf(f header.Field) syntax {
	is := func(names ...string) bool {
		for _, n := range names {
			if f.Is(n) {
				return true
			}
		}
		return false
	}
	switch {
	case is("Content-Type", "Content-Disposition"):
		return parameters
	case is("From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Bcc",
		"Disposition-Notification-To", "Errors-To", "Return-Receipt-To", "Mail-Reply-To", "Mail-Followup-To"):
		return addresses
	case is("Message-ID", "In-Reply-To", "References", "Resent-Message-ID", "Content-ID", "Date", "Resent-Date", "Received", "Return-Path",
		"MIME-Version", "Content-Transfer-Encoding", "DKIM-Signature", "ARC-Message-Signature", "ARC-Seal", "ARC-Authentication-Results",
		"Authentication-Results", "List-Unsubscribe", "List-Unsubscribe-Post", "Delivered-To", "Content-Location", "Content-Base"):
		return technical
	}
	return unstructured
}

// appendField writes a field that does not pass in a form that does. What only
// machines read, and what is no field at all, loses the octets that were never
// allowed there.
func (n Need) appendField(b []byte, f header.Field) ([]byte, error) {
	name := f.Name()
	if name == nil || !isASCII(string(name)) {
		return n.appendScrubbed(b, f.Raw), nil
	}
	start := len(b)
	b = append(append(b, name...), ':')
	text := strings.ReplaceAll(f.Text(), "\x00", "")
	var err error
	switch kind := syntaxOf(f); {
	case n != SevenBits || kind == technical: // it is only folded
		b = append(append(b, ' '), text...)
	case kind == unstructured:
		b = appendWords(append(b, ' '), text)
	case kind == addresses:
		b, err = appendAddresses(append(b, ' '), text)
	default:
		b, err = appendParams(append(b, ' '), text)
	}
	if err != nil {
		return nil, err
	}
	folded := appendFolded(nil, b[start:])
	return append(n.appendScrubbed(b[:start], folded), "\r\n"...), nil
}

// lineGoal is where fields are folded (RFC 5322 section 2.1.1).
const lineGoal = 78

// appendFolded breaks a field in lines before white space (RFC 5322 section
// 2.2.3), where it has some.
func appendFolded(b, field []byte) []byte {
	for len(field) > lineGoal {
		at := bytes.LastIndexByte(field[:lineGoal], ' ')
		if at < 1 || len(bytes.TrimSpace(field[:at])) == 0 || field[at-1] == ':' {
			if at = bytes.IndexByte(field[min(lineGoal, len(field)):], ' '); at < 0 {
				break
			}
			at += lineGoal
		}
		if len(bytes.TrimSpace(field[at:])) == 0 {
			break // a line of white space alone would end the section for some
		}
		b = append(append(b, field[:at]...), "\r\n"...)
		field = field[at:]
	}
	return append(b, field...)
}

// appendScrubbed writes text with question marks for what does not pass, and
// breaks lines that are too long whatever they hold.
func (n Need) appendScrubbed(b, text []byte) []byte {
	col := bytes.LastIndexByte(b, '\n') + 1
	col = len(b) - col
	for _, c := range text {
		if c != '\r' && c != '\n' && col >= MaxLine {
			b, col = append(b, "\r\n\t"...), 1
		}
		b = append(b, n.clean(c))
		if col++; c == '\n' {
			col = 0
		}
	}
	return b
}
