package incoming

import (
	"bytes"
	"html"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"tenma/relay/wire/arf"
	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

// pieces are the parts of a message that matter here.
type pieces struct {
	r        io.ReaderAt
	head     header.Section
	text     string // what is written for people, up to the original
	behind   string // the rest of that text: the original, if it is in the text
	page     string // HTML, where there is no text
	status   []byte // delivery status
	feedback *arf.Report
	returned header.Section // header of the original, if it has a part of its own
	inner    mime.Range     // the first message within
	closed   bool           // what comes now is the original's, or a footer
}

func collect(r io.ReaderAt, size int64) (*pieces, error) {
	root, err := mime.Parse(r, size, mime.Limits{Depth: 10, Parts: 200, Header: 64 << 10, Texts: 256 << 10})
	if err != nil {
		return nil, err
	}
	p := &pieces{r: r}
	head, err := p.octets(root.Header)
	if err != nil {
		return nil, err
	}
	p.head = section(head)
	if err := p.walk(root, 0); err != nil {
		return nil, err
	}
	if strings.TrimSpace(p.text) == "" {
		p.text = p.page
	}
	if strings.TrimSpace(p.text) == "" && p.status == nil && p.feedback == nil { // a multipart whose delimiters are lost
		b, err := p.octets(root.Body)
		if err != nil {
			return nil, err
		}
		p.text = strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "\ufffd")
	}
	p.text = strings.ReplaceAll(p.text, "\r\n", "\n")
	if p.status == nil {
		p.statusInText()
	}
	if at := feedbackType.FindStringIndex(p.text); at != nil && p.feedback == nil {
		p.feedback = feedback([]byte(p.text[at[0]:]))
	}
	p.text, p.behind = cutOriginal(p.text, p.behind)
	return p, nil
}

// walk takes the pieces of a part in their order.
func (p *pieces) walk(part *mime.Part, depth int) error {
	if part.Multipart() {
		for _, child := range part.Children {
			if err := p.walk(child, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case part.Is("message", "delivery-status"), part.Is("message", "global-delivery-status"):
		b, err := p.content(part, maxPart)
		if err != nil {
			return err
		}
		p.status = append(append(p.status, '\n'), b...)
		p.closed = true
	case part.Is("message", "feedback-report"):
		b, err := p.content(part, maxPart)
		if err != nil {
			return err
		}
		if p.feedback == nil {
			p.feedback = feedback(b)
		}
		p.closed = true
	case part.Message() && depth > 0:
		inner := part.Children[0]
		if p.inner == (mime.Range{}) {
			p.inner = mime.Range{Start: inner.Header.Start, End: inner.Body.End}
		}
		b, err := p.octets(inner.Header)
		if err != nil {
			return err
		}
		p.keepOriginal(b)
	case depth > 0 && (part.Is("text", "rfc822-headers") || part.Is("message", "*") && !part.Is("message", "external-body")):
		b, err := p.content(part, maxPart)
		if err != nil {
			return err
		}
		p.keepOriginal(b)
	case part.Is("text", "html"):
		if p.page == "" && !p.closed {
			b, err := p.content(part, maxText)
			if err != nil {
				return err
			}
			p.page = stripTags(string(b))
		}
	case part.Is("text", "*"), part.Is("application", "json"), depth == 0:
		if !p.closed && len(p.text) < maxText {
			b, err := p.content(part, maxText)
			if err != nil {
				return err
			}
			p.text += string(b) + "\n"
		}
	}
	return nil
}

// feedback reads a report of whose kind the message leaves no doubt.
func feedback(b []byte) *arf.Report {
	if f, err := arf.Parse(b); err == nil {
		return f
	}
	return &arf.Report{Type: arf.Other, Incidents: 1}
}

func (p *pieces) keepOriginal(b []byte) {
	if p.returned == nil {
		p.returned = section(b)
	}
	p.closed = true
}

// section is the header at the start of b.
func section(b []byte) header.Section {
	h, _ := header.Split(bytes.TrimLeft(b, "\r\n"))
	return h
}

// octets gives a range of the message, as much of it as counts.
func (p *pieces) octets(at mime.Range) ([]byte, error) {
	b := make([]byte, min(at.Len(), maxPart))
	n, err := p.r.ReadAt(b, at.Start)
	if err == io.EOF && n == len(b) {
		err = nil
	}
	return b[:n], err
}

// content gives the body of a part as UTF-8.
func (p *pieces) content(part *mime.Part, limit int64) ([]byte, error) {
	raw := io.NewSectionReader(p.r, part.Body.Start, part.Body.Len())
	b, err := io.ReadAll(io.LimitReader(mime.DecodeText(raw, part.Encoding, part.Param("charset")), limit))
	if err != nil {
		return nil, err
	}
	if bytes.Contains(b, []byte("\x1b$")) { // as old Japanese systems write, without saying so
		if b, err = io.ReadAll(mime.DecodeText(bytes.NewReader(b), "", "iso-2022-jp")); err != nil {
			return nil, err
		}
	}
	return bytes.ToValidUTF8(b, []byte("\ufffd")), nil
}

var (
	hidden = regexp.MustCompile(`(?is)<(?:style|script|head|title)\b.*?</(?:style|script|head|title)>`)
	breaks = regexp.MustCompile(`(?i)<(?:br|p|div|tr|li|h\d|/p|/div|/tr)\b[^>]*>`)
	tags   = regexp.MustCompile(`<[^>@]*>`)
)

// stripTags makes text of HTML, an address in brackets included.
func stripTags(page string) string {
	page = breaks.ReplaceAllString(hidden.ReplaceAllString(page, " "), "\n")
	return html.UnescapeString(tags.ReplaceAllString(page, " "))
}

// clip cuts s at the start of a character.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
