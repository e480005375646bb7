package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"tenma/cmd/tenma/cli"
	"tenma/relay/bounce"
	"tenma/relay/bounce/classify"
	"tenma/relay/bounce/incoming"
	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

type classifyCommand struct {
	Files []string `arg:"" optional:"" name:"file" help:"Messages that came back, or texts of replies, one a line; - is the standard input, and so is nothing."`
	Rules string   `placeholder:"FILE" help:"Rules to ask before the program's own."`
	JSON  bool     `name:"json" help:"Print an object a line for each file."`
}

// maxClassified bounds a file: what is larger is no report.
const maxClassified = 64 << 20

// classified is what is printed of a file.
type classified struct {
	File       string                `json:"file"`
	Kind       string                `json:"kind"` // report, complaint, auto-reply, reply, other
	MessageID  string                `json:"message_id,omitempty"`
	EnvelopeID string                `json:"envelope_id,omitempty"`
	ReturnPath string                `json:"return_path,omitempty"`
	Reporter   string                `json:"reporting_mta,omitempty"`
	Feedback   string                `json:"feedback_type,omitempty"`
	Recipients []classifiedRecipient `json:"recipients"`
}

type classifiedRecipient struct {
	Address  string `json:"address"`
	Original string `json:"original_recipient,omitempty"`
	Class    string `json:"class"`
	Severity string `json:"severity"`
	Action   string `json:"action"`
	Told     string `json:"reported_action,omitempty"`
	Status   string `json:"status,omitempty"`
	Code     int    `json:"code,omitempty"`
	Command  string `json:"command,omitempty"`
	Host     string `json:"host,omitempty"`
	Text     string `json:"text,omitempty"`
	Wait     string `json:"wait,omitempty"`
	Rule     string `json:"rule,omitempty"`
}

// Run is the command.
func (x *classifyCommand) Run(c *console) error {
	rules, err := x.rules()
	if err != nil {
		return err
	}
	reader := bounce.NewReader(rules)
	files := x.Files
	if len(files) == 0 {
		files = []string{"-"}
	}
	rows := [][]string{{"FILE", "RECIPIENT", "CLASS", "SEVERITY", "ACTION", "STATUS", "CODE", "TEXT"}}
	var failed error
	for _, name := range files {
		text, err := c.readSome(name)
		if err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		found := classifyText(text, reader, rules)
		found.File = name
		if x.JSON {
			lines := json.NewEncoder(c.Out)
			lines.SetEscapeHTML(false)
			if err := lines.Encode(found); err != nil {
				return err
			}
			continue
		}
		if len(found.Recipients) == 0 {
			rows = append(rows, []string{name, "", "-", "-", "-", "", "", "tells of no delivery"})
		}
		for _, r := range found.Recipients {
			code := ""
			if r.Code != 0 {
				code = strconv.Itoa(r.Code)
			}
			rows = append(rows, []string{name, r.Address, r.Class, r.Severity, r.Action, r.Status, code, cli.Cut(r.Text, 60)})
		}
	}
	if !x.JSON && len(rows) > 1 {
		if err := c.Table(rows); err != nil {
			return err
		}
	}
	return failed
}

func (x *classifyCommand) rules() (*classify.Classifier, error) {
	if x.Rules == "" {
		return classify.New(), nil
	}
	text, err := os.ReadFile(x.Rules)
	if err != nil {
		return nil, fmt.Errorf("reading rules: %w", err)
	}
	rules, err := classify.Load(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.Rules, err)
	}
	return rules, nil
}

// readSome reads a file, or the standard input.
func (c *console) readSome(name string) ([]byte, error) {
	in := c.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxClassified))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return text, nil
}

// classifyText tells what a message or some replies mean.
func classifyText(text []byte, reader *bounce.Reader, rules *classify.Classifier) *classified {
	if !looksLikeMessage(text) {
		return classifyReplies(text, rules)
	}
	m, err := reader.Read(bytes.NewReader(text), int64(len(text)))
	if err != nil { // reading from memory does not fail
		return &classified{Kind: incoming.Other.String()}
	}
	found := &classified{
		Kind: m.Kind.String(), MessageID: m.Original.MessageID, EnvelopeID: m.EnvelopeID, ReturnPath: m.Original.ReturnPath,
		Reporter: m.ReportingMTA, Recipients: []classifiedRecipient{},
	}
	if m.Feedback != nil {
		found.Feedback = m.Feedback.Type
	}
	for i, t := range m.Recipients {
		r := diagnosed(m.Diagnoses[i])
		r.Address, r.Original, r.Told, r.Status, r.Code, r.Command, r.Host, r.Text = t.Address, t.Original, string(t.Action), t.Status.String(), t.Code, t.Command, t.Host, oneLine(t.Text)
		found.Recipients = append(found.Recipients, r)
	}
	return found
}

func diagnosed(d mail.Diagnosis) classifiedRecipient {
	r := classifiedRecipient{Class: d.Class.String(), Severity: d.Severity.String(), Action: d.Remedy.String(), Rule: d.Rule}
	if d.Wait > 0 {
		r.Wait = d.Wait.String()
	}
	return r
}

// looksLikeMessage reports that a text starts with a header.
func looksLikeMessage(text []byte) bool {
	h, _ := header.Split(text)
	for _, name := range []string{"From", "Date", "Subject", "Received", "Return-Path", "Message-ID", "MIME-Version", "Content-Type", "To"} {
		if h.Count(name) > 0 {
			return true
		}
	}
	return false
}

// classifyReplies tells what replies mean, one a line or in several lines as SMTP
// has them (RFC 5321 section 4.2.1).
func classifyReplies(text []byte, rules *classify.Classifier) *classified {
	found := &classified{Kind: "reply", Recipients: []classifiedRecipient{}}
	whole := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if whole != "" {
			whole += "\n"
		}
		whole += line
		if len(line) > 3 && line[3] == '-' && replyDigits(line) > 0 {
			continue // more to come
		}
		found.Recipients = append(found.Recipients, classifyReply(whole, rules))
		whole = ""
	}
	if whole != "" {
		found.Recipients = append(found.Recipients, classifyReply(whole, rules))
	}
	return found
}

func classifyReply(text string, rules *classify.Classifier) classifiedRecipient {
	q := classify.Reply{Text: text, Code: replyDigits(text)}
	rest := text
	if q.Code != 0 {
		rest = strings.TrimLeft(text[3:], "- ")
	}
	var words string
	if q.Status, words, _ = smtp.ParseStatus(rest); q.Status != (smtp.Status{}) {
		rest = words
	}
	r := diagnosed(rules.Classify(q))
	r.Code, r.Status, r.Text = q.Code, q.Status.String(), oneLine(rest)
	return r
}

// replyDigits reads the reply code at the start of a line, 0 if it has none.
func replyDigits(s string) int {
	if len(s) < 3 || len(s) > 3 && s[3] != ' ' && s[3] != '-' {
		return 0
	}
	code, err := strconv.Atoi(s[:3])
	if err != nil || code < 200 || code > 599 {
		return 0
	}
	return code
}
