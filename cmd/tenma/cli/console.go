package cli

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

// Console is what a command talks through.
type Console struct {
	In       io.Reader
	Out, Err io.Writer
}

// JSON prints a value for programs.
func (c *Console) JSON(v any) error {
	e := json.NewEncoder(c.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Table prints rows for people; the first is the heading.
func (c *Console) Table(rows [][]string) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		for i := range r {
			r[i] = Clean(r[i])
		}
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(c.Out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// Width is how wide the terminal is, 0 for no terminal: then nothing is cut.
func (c *Console) Width() int {
	if f, ok := c.Out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			return w
		}
	}
	return 0
}

// Size is how large the terminal is, 80 by 24 where it cannot be told.
func (c *Console) Size() (columns, lines int) {
	if f, ok := c.Out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			return w, h
		}
	}
	return 80, 24
}

// Clean takes out what could steer a terminal: replies and addresses come from
// strangers.
func Clean(s string) string {
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

// Cut shortens s to n characters, 0 for no limit.
func Cut(s string, n int) string {
	if r := []rune(s); n > 3 && len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return s
}

// maxPassword bounds what is read as a password, in octets.
const maxPassword = 1024

// Password reads a password: from file, else from a terminal without echo and
// twice, else one line of the standard input.
func (c *Console) Password(file string) (string, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		defer f.Close()
		return passwordLine(f)
	}
	f, ok := c.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return passwordLine(c.In)
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(c.Err, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.Err)
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

// Count is a number of things: "1 folder", "2 folders".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// ErrTold says that a command failed and has said all about it.
var ErrTold = errors.New("failed")

// UsageError is a command line that can be read but makes no sense.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// Misuse makes a UsageError.
func Misuse(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }
