package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// json prints a value for programs.
func (c *console) json(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table prints rows for people; the first is the heading.
func (c *console) table(rows [][]string) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		for i := range r {
			r[i] = clean(r[i])
		}
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(c.out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// width is how wide the terminal is, 0 for no terminal: then nothing is cut.
func (c *console) width() int {
	if f, ok := c.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			return w
		}
	}
	return 0
}

// size is how large the terminal is, 80 by 24 where it cannot be told.
func (c *console) size() (columns, lines int) {
	if f, ok := c.out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			return w, h
		}
	}
	return 80, 24
}

// clean takes out what could steer a terminal: replies and addresses come from
// strangers.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

// cut shortens s to n characters, 0 for no limit.
func cut(s string, n int) string {
	if r := []rune(s); n > 3 && len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return s
}

// maxPassword bounds what is read as a password, in octets.
const maxPassword = 1024

// password reads a password: from file, else from a terminal without echo and
// twice, else one line of the standard input.
func (c *console) password(file string) (string, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		defer f.Close()
		return passwordLine(f)
	}
	f, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return passwordLine(c.in)
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(c.err, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.err)
		return string(b), err
	}
	first, err := ask("Password: ")
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	second, err := ask("Once more: ")
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	if first != second {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return checkPassword(first)
}

// passwordLine takes the first line, since editors and echo end it with one.
func passwordLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPassword+3)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return checkPassword(strings.TrimRight(line, "\r\n"))
}

func checkPassword(s string) (string, error) {
	switch {
	case s == "":
		return "", errors.New("the password is empty; nothing was changed")
	case len(s) > maxPassword:
		return "", fmt.Errorf("the password is longer than %d octets; nothing was changed", maxPassword)
	case !utf8.ValidString(s):
		return "", errors.New("the password is not UTF-8 text; nothing was changed")
	}
	return s, nil
}
