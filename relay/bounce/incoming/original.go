package incoming

import (
	"regexp"
	"strings"

	"tenma/relay/wire/header"
)

var (
	// Lines by which reporters announce the original.
	announces = regexp.MustCompile(`(?im)^[ \t>*#=_-]*(?:` +
		`-{2,} ?(?:the )?(?:original|returned|unsent|undelivered|enclosed|attached|failed|bounced|below|included)\b.*` +
		`|-{2,} ?(?:this is a copy|the header|message header|header|start of|copy of|forwarded|begin).*` +
		`|original (?:message|mail)(?: (?:header|info|text|as))?.{0,20}(?:follow|:|-{3})` +
		`|(?:the )?(?:original )?(?:message|mail) (?:headers?|text|body)? ?follows?\b.*` +
		`|(?:below|included|enclosed|here|following) (?:this line )?is (?:a |the )?(?:copy|original|header|message).*` +
		`|(?:below|following) this line is .*` +
		`|(?:a|the) copy of (?:the|your) (?:original )?message .*(?:below|follow|enclosed|attached).*` +
		`|original message headers:?` +
		`|the following is (?:a copy|the original).*` +
		`)[ \t]*$`)
	// Lines that only the header of a message has.
	received = regexp.MustCompile(`(?im)^[ \t>]*(?:received: (?:from|by|\()|return-path: ?<|x-google-smtp-source:|dkim-signature: )`)
	// The fields of a feedback report that has lost its MIME structure, beginning
	// with the first of them.
	feedbackType = regexp.MustCompile(`(?im)^(?:feedback-type: ?[a-z-]+[ \t]*\n(?:user-agent|version|source-ip):|(?:user-agent|version): ?.+\nfeedback-type: ?[a-z])`)
	status       = regexp.MustCompile(`(?im)^(?:reporting-mta|final-recipient) ?:`)
)

// statusInText finds the fields of a delivery status in the text, where a message
// has lost its MIME structure, or never had one.
func (p *pieces) statusInText() {
	at := status.FindStringIndex(p.text)
	if at == nil || !strings.Contains(strings.ToLower(p.text), "final-recipient") {
		return
	}
	p.status = []byte(p.text[at[0]:])
	if end := received.FindIndex(p.status); end != nil {
		p.status = p.status[:end[0]]
	}
	p.behind = p.text[at[0]:]
	p.text = p.text[:at[0]]
}

// cutOriginal separates what a reporter says from the original behind it.
func cutOriginal(text, behind string) (report, original string) {
	cut := len(text)
	for _, re := range []*regexp.Regexp{announces, received} {
		if at := re.FindStringIndex(text); at != nil && at[0] < cut && strings.TrimSpace(text[:at[0]]) != "" {
			cut = at[0]
		}
	}
	return text[:cut], text[cut:] + behind
}

// original fills in what is known of the original.
func (p *pieces) original(o *Original) {
	h := p.returned
	if h == nil {
		h = headerIn(p.behind)
	}
	o.Header = h
	o.MessageID = clip(h.Text("Message-ID"), maxWords)
	o.To = clip(h.Text("To"), maxWords)
	o.ReturnPath = clip(strings.Trim(h.Text("Return-Path"), "<> "), maxWords)
}

var fieldStart = regexp.MustCompile(`(?m)^[ \t>]*(?i:received|return-path|from|to|date|subject|message-id|mime-version|x-[a-z0-9-]+): `)

// headerIn finds the header of a message in text, which may be indented.
func headerIn(text string) header.Section {
	at := fieldStart.FindStringIndex(text)
	if at == nil {
		return nil
	}
	text = text[at[0]:]
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t>"))]
	var h []byte
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(line, indent)
		if strings.TrimSpace(line) == "" {
			break
		}
		h = append(h, line...)
	}
	return h
}
