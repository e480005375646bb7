package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/dnscache"
	"tenma/relay/config"
	"tenma/relay/policy/milter"
)

type checkCommand struct {
	settings
	Defaults bool `help:"Print the configuration that stands for no file, to start one from."`
	Offline  bool `help:"Ask no DNS server whether it validates, and no mail filter whether it is there."`
	JSON     bool `name:"json" help:"Print the result as JSON."`
}

// Help is the long text.
func (*checkCommand) Help() string {
	return `Reads the configuration and every file that it names, as "tenma serve" would, and starts nothing.
Then the DNS servers are asked, for two seconds at most, whether they validate (DNSSEC), on which DANE rests,
and each mail filter whether it is there. One that is not is told, and no error: it may be started later.
Each error and warning is one line: FILE:LINE:COLUMN: TEXT. Exits 1 if there is an error.`
}

type checkProblem struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
}

type checkResult struct {
	OK       bool           `json:"ok"`
	Errors   []checkProblem `json:"errors"`
	Warnings []checkProblem `json:"warnings"`
	// DNSSEC is "secure", "insecure", "silent" (no answer), or "" where nobody was
	// asked; Detail says why.
	DNSSEC string `json:"dnssec,omitempty"`
	Detail string `json:"dnssec_detail,omitempty"`
	// Filters are the mail filters that were asked, in the order of the file.
	Filters []checkFilter `json:"filters,omitempty"`
}

type checkFilter struct {
	Name  string `json:"name"`
	Error string `json:"error,omitempty"` // why it does not answer
}

// filterTime is how long all mail filters together are waited for.
const filterTime = 5 * time.Second

// filters asks each mail filter whether it is there and speaks its protocol.
func (x *checkCommand) filters(cfg *config.Config) (all []checkFilter) {
	if x.Offline || len(cfg.Milter.Filters) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), filterTime)
	defer cancel()
	found := milter.New(cfg.Milter, milter.Deps{}).Probe(ctx)
	for _, f := range cfg.Milter.Filters {
		one := checkFilter{Name: f.Name}
		if err := found[f.Name]; err != nil {
			one.Error = err.Error()
		}
		all = append(all, one)
	}
	return all
}

// dnssecTime is how long servers are waited for.
const dnssecTime = 2 * time.Second

// dnssec asks the DNS servers of a configuration whether they validate, as the
// relay does when it starts.
func (x *checkCommand) dnssec(cfg *config.Config) (word, detail string) {
	if x.Offline || cfg.HostTLS.NoDANE {
		return "", ""
	}
	cfg.DNS.Timeout = min(cmp.Or(cfg.DNS.Timeout, dnssecTime), dnssecTime)
	dns, err := dnscache.New(cfg.DNS, dnscache.Deps{})
	if err == nil {
		err = dns.Validates(context.Background(), cfg.HostTLS.Probe)
	}
	switch {
	case err == nil:
		return "secure", ""
	case errors.Is(err, dnscache.ErrInsecure):
		return "insecure", err.Error()
	}
	return "silent", err.Error()
}

// told is what dnssec found, for people.
func told(word, detail string) string {
	switch word {
	case "secure":
		return "the DNS servers validate: DANE is used\n"
	case "":
		return ""
	}
	return "the DNS servers are not shown to validate: DANE is not used (" + cli.Clean(detail) + ")\n"
}

// Run is the command.
func (x *checkCommand) Run(c *console) error {
	if x.Defaults {
		_, err := io.WriteString(c.Out, config.DefaultText())
		return err
	}
	cfg, warnings, err := x.Read()
	var all config.Errors
	var one *config.Problem
	switch {
	case err == nil:
	case errors.As(err, &all):
	case errors.As(err, &one):
		all = config.Errors{one}
	default:
		return err
	}
	var word, detail string
	var filters []checkFilter
	if len(all) == 0 {
		word, detail = x.dnssec(cfg)
		filters = x.filters(cfg)
	}
	if x.JSON {
		if err := c.JSON(checkResult{OK: len(all) == 0, Errors: problems(all), Warnings: problems(warnings), DNSSEC: word, Detail: detail, Filters: filters}); err != nil {
			return err
		}
	} else {
		_ = c.refused(all, warnings) // prints; what it returns is decided below
	}
	if len(all) > 0 {
		return errTold
	}
	if !x.JSON {
		name := x.Config
		if name == "" {
			name = "the built-in configuration"
		}
		fmt.Fprintf(c.Out, "%s is fine: %s, %s listeners, data in %s\n", name, cfg.Hostname, counts(cfg), cfg.DataDir)
		fmt.Fprint(c.Out, told(word, detail))
		for _, f := range filters {
			if f.Error == "" {
				fmt.Fprintf(c.Out, "mail filter %s answers\n", f.Name)
			} else {
				fmt.Fprintf(c.Out, "mail filter %s does not answer: %s\n", f.Name, cli.Clean(f.Error))
			}
		}
	}
	return nil
}

func problems(in []*config.Problem) []checkProblem {
	out := []checkProblem{}
	for _, p := range in {
		out = append(out, checkProblem{p.File, p.Line, p.Column, p.Text})
	}
	return out
}

// counts tells how many listeners there are: "1 SMTP, 2 IMAP and 1 HTTP".
func counts(cfg *config.Config) string {
	text := fmt.Sprintf("%d SMTP", len(cfg.Ingress.Listeners))
	if n := len(cfg.IMAP.Listeners); n > 0 {
		text += fmt.Sprintf(", %d IMAP", n)
	}
	if n := len(cfg.POP3.Listeners); n > 0 {
		text += fmt.Sprintf(", %d POP3", n)
	}
	return text + fmt.Sprintf(" and %d HTTP", len(cfg.Admin.Listeners))
}
