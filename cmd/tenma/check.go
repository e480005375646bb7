package main

import (
	"errors"
	"fmt"
	"io"

	"tenma/relay/config"
)

type checkCommand struct {
	settings
	Defaults bool `help:"Print the configuration that stands for no file, to start one from."`
	JSON     bool `name:"json" help:"Print the result as JSON."`
}

// Help is the long text.
func (*checkCommand) Help() string {
	return `Reads the configuration and every file that it names, as "tenma serve" would, and starts nothing.
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
	if x.JSON {
		if err := c.JSON(checkResult{OK: len(all) == 0, Errors: problems(all), Warnings: problems(warnings)}); err != nil {
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
