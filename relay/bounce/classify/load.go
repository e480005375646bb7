package classify

import (
	_ "embed" // rules.toml
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

//go:embed rules.toml
var embedded string

// file is a file of rules.
type file struct {
	Without []string    `toml:"without"` // names of the program's own rules that do not count
	Rules   []ruleEntry `toml:"rule"`
	// Words are what "{name}" stands for in a phrase.
	Words map[string][]string `toml:"words"`
}

// ruleEntry is a [[rule]]. All conditions that are given must hold; of a list,
// one.
type ruleEntry struct {
	Name     string   `toml:"name"`
	Class    string   `toml:"class"`
	Severity string   `toml:"severity"`
	Action   string   `toml:"action"`
	Text     []string `toml:"text"`    // phrases, "*" for some words
	Not      []string `toml:"not"`     // phrases that must not occur
	Status   []string `toml:"status"`  // "5.1.1", "x.1.1", "5.7.x", "none"
	Code     []string `toml:"code"`    // "550", "55x", "4xx", "none"
	Command  []string `toml:"command"` // "RCPT", ...; "" where nobody knows
	From     string   `toml:"from"`    // "remote" or "ours"; "": either
	Wordless bool     `toml:"wordless"`
	Vague    bool     `toml:"vague"`
}

// Bounds of a file of rules, far above what anybody writes.
const (
	MaxFile  = 1 << 20 // octets
	maxRules = 10_000
	// maxPhrases is how many phrases there may be, and how many one may stand for.
	maxPhrases, maxVariants = 100_000, 1_000
)

// Config is what a Classifier is told.
type Config struct {
	Rules string // the text of a file of rules; "": only the program's own
}

// New gives a Classifier with the program's own rules.
func New() *Classifier {
	c, err := Load("")
	if err != nil {
		panic("classify: the embedded rules: " + err.Error()) // tests read them
	}
	return c
}

// Load gives a Classifier with the rules of a file, in TOML, before the program's
// own. An error says what is wrong, and in which line or rule.
func Load(text string) (*Classifier, error) {
	own, err := parse(text)
	if err != nil {
		return nil, err
	}
	builtIn, err := parse(embedded)
	if err != nil {
		return nil, err
	}
	left := map[string]bool{}
	for _, name := range own.Without {
		left[name] = true
	}
	words := maps.Clone(builtIn.Words) // a site's rules may use both
	maps.Copy(words, own.Words)
	c := &Classifier{}
	for i := range own.Rules {
		if err := c.add(&own.Rules[i], words); err != nil {
			return nil, err
		}
	}
	for i := range builtIn.Rules {
		r := &builtIn.Rules[i]
		if left[r.Name] {
			delete(left, r.Name)
			continue
		}
		if err := c.add(r, builtIn.Words); err != nil {
			return nil, err
		}
	}
	for name := range left {
		return nil, fmt.Errorf("without: there is no rule %q", name)
	}
	return c, nil
}

func parse(text string) (*file, error) {
	if len(text) > MaxFile {
		return nil, fmt.Errorf("a file of rules has at most %d octets", MaxFile)
	}
	f := &file{}
	d := toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(f); err != nil {
		var at *toml.DecodeError
		var strict *toml.StrictMissingError
		switch {
		case errors.As(err, &strict) && len(strict.Errors) > 0:
			row, column := strict.Errors[0].Position()
			return nil, fmt.Errorf("line %d, column %d: there is no key %q", row, column, strings.Join(strict.Errors[0].Key(), "."))
		case errors.As(err, &at):
			row, column := at.Position()
			return nil, fmt.Errorf("line %d, column %d: %w", row, column, err)
		}
		return nil, err
	}
	if len(f.Rules) > maxRules {
		return nil, fmt.Errorf("a file has at most %d rules", maxRules)
	}
	seen := map[string]bool{}
	for _, r := range f.Rules {
		if r.Name == "" || seen[r.Name] {
			return nil, fmt.Errorf("rule %q: each rule needs a name of its own", r.Name)
		}
		seen[r.Name] = true
	}
	return f, nil
}

func (c *Classifier) add(e *ruleEntry, words map[string][]string) error {
	u, err := e.compile(words)
	if err != nil {
		return fmt.Errorf("rule %q: %w", e.Name, err)
	}
	if c.phrases += len(u.text) + len(u.not); c.phrases > maxPhrases {
		return fmt.Errorf("rule %q: all rules together have at most %d phrases", e.Name, maxPhrases)
	}
	switch {
	case e.Vague:
		c.vague = append(c.vague, u)
	case u.text != nil:
		c.worded = append(c.worded, u)
	default:
		c.plain = append(c.plain, u)
	}
	return nil
}

func (e *ruleEntry) compile(words map[string][]string) (u rule, err error) {
	u = rule{command: e.Command, wordless: e.Wordless, diagnosis: mail.Diagnosis{Rule: e.Name}}
	if u.diagnosis.Class, err = mail.ParseClass(e.Class); err != nil {
		return u, err
	}
	if u.diagnosis.Severity, err = mail.ParseSeverity(e.Severity); err != nil {
		return u, err
	}
	if u.diagnosis.Remedy, err = mail.ParseRemedy(e.Action); err != nil {
		return u, err
	}
	switch e.From {
	case "":
	case "remote":
		u.from = remote
	case "ours":
		u.from = ours
	default:
		return u, fmt.Errorf(`from is "remote" or "ours", not %q`, e.From)
	}
	if u.text, err = phrases(e.Text, words); err != nil {
		return u, err
	}
	if u.not, err = phrases(e.Not, words); err != nil {
		return u, err
	}
	for _, s := range e.Status {
		p, err := parseStatusPattern(s)
		if err != nil {
			return u, err
		}
		u.status = append(u.status, p)
	}
	for _, s := range e.Code {
		p, err := parseCodePattern(s)
		if err != nil {
			return u, err
		}
		u.code = append(u.code, p)
	}
	if u.text == nil && u.not != nil {
		return u, errors.New("not needs text beside it")
	}
	if u.text != nil && u.wordless {
		return u, errors.New("wordless goes without text")
	}
	if u.text == nil && e.Vague {
		return u, errors.New("vague needs text beside it")
	}
	return u, nil
}

// statusPattern is an enhanced status with wild places; all wild: any status.
type statusPattern [3]int

const wild = -1

func parseStatusPattern(s string) (p statusPattern, err error) {
	if s == "none" {
		return statusPattern{}, nil
	}
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return p, fmt.Errorf(`%q is no status: write "5.1.1", "x.1.1", "5.7.x" or "none"`, s)
	}
	for i, part := range parts {
		if part == "x" {
			p[i] = wild
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > 999 || i == 0 && n != 2 && n != 4 && n != 5 { // RFC 3463 section 2
			return p, fmt.Errorf(`%q is no status: write "5.1.1", "x.1.1", "5.7.x" or "none"`, s)
		}
		p[i] = n
	}
	return p, nil
}

func (p statusPattern) fits(s smtp.Status) bool {
	if s == (smtp.Status{}) {
		return p == statusPattern{}
	}
	for i := range p {
		if p[i] != wild && p[i] != int(s[i]) {
			return false
		}
	}
	return true
}

// codePattern is a reply code with digits that may be wild; zero stands for no
// code.
type codePattern [3]byte

func parseCodePattern(s string) (p codePattern, err error) {
	if s == "none" {
		return codePattern{}, nil
	}
	if len(s) != 3 || strings.Trim(s, "0123456789x") != "" {
		return p, fmt.Errorf(`%q is no reply code: write "550", "55x", "4xx" or "none"`, s)
	}
	copy(p[:], s)
	return p, nil
}

func (p codePattern) fits(code int) bool {
	if code == 0 {
		return p == codePattern{}
	}
	if p == (codePattern{}) || code < 100 || code > 999 {
		return false
	}
	for i := 2; i >= 0; i-- {
		if p[i] != 'x' && int(p[i]-'0') != code%10 {
			return false
		}
		code /= 10
	}
	return true
}
