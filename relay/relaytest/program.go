package relaytest

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing/synctest"

	"github.com/rogpeppe/go-internal/testscript"

	"tenma/relay/config"
	"tenma/relay/mail"
	"tenma/relay/policy/auth"
	"tenma/relay/wire/smtp"
)

// Program talks to the relay as a person's mail program does, by "imap" or
// "pop3", as text says, line by line:
//
//	C: TEXT              is sent with CRLF
//	S: REGEXP            must match the beginning of a line that comes; lines before it pass
//	S: EOF               is the end
//	S! REGEXP            must match none of the lines that pass before the next S:
//	TLS                  a TLS handshake, whoever signed the certificate
//	HELLO                a TLS handshake that fails
//	LOGIN USER PASSWORD  STARTTLS if need be, and a login that must succeed
//	LITERAL FILE         sends a file as a literal (IMAP), CRLF line ends, after the line before it
//
// Other lines are comments. What comes is copied to out.
func (w *World) Program(protocol string, as Client, inTLS bool, text string, file func(string) string, out io.Writer) error {
	if !as.To.IsValid() {
		as.To = netip.MustParseAddrPort(map[string]string{"imap": "127.0.0.1:2143", "pop3": "127.0.0.1:2110"}[protocol])
	}
	c, err := w.Net.Dial(w.ctx, as.From, as.To)
	if err != nil {
		return err
	}
	p := &program{dialogue: dialogue{conn: c}, protocol: protocol, file: file, out: out}
	defer func() { p.conn.Close() }()
	p.use(c)
	if inTLS {
		if err := p.handshake(); err != nil {
			return err
		}
	}
	for n := 1; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if err := p.line(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

type program struct {
	dialogue
	protocol string
	secure   bool
	never    []*regexp.Regexp // in what comes before the next S:
	file     func(string) string
	out      io.Writer
}

func (p *program) handshake() error {
	t := tls.Client(p.conn, &tls.Config{InsecureSkipVerify: true})
	if err := t.Handshake(); err != nil {
		return err
	}
	p.secure = true
	p.use(t)
	return nil
}

func (p *program) line(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "C:":
		return p.send(rest)
	case "S:":
		return p.expect(rest)
	case "S!":
		re, err := regexp.Compile("^" + rest)
		p.never = append(p.never, re)
		return err
	case "TLS":
		return p.handshake()
	case "HELLO":
		if err := p.handshake(); err == nil {
			return errors.New("the handshake succeeded")
		}
	case "LOGIN":
		user, password, _ := strings.Cut(rest, " ")
		return p.login(user, password)
	case "LITERAL":
		text := strings.ReplaceAll(p.file(rest), "\n", "\r\n")
		if err := p.send(fmt.Sprintf("{%d}", len(text))); err != nil {
			return err
		}
		if err := p.expect(`\+`); err != nil {
			return err
		}
		return p.send(text)
	}
	return nil
}

func (p *program) login(user, password string) error {
	steps := []string{}
	switch p.protocol {
	case "imap":
		if !p.secure {
			steps = append(steps, `S: \* OK`, "C: t STARTTLS", "S: t OK", "TLS")
		}
		steps = append(steps, fmt.Sprintf("C: l LOGIN %q %q", user, password), "S: l OK")
	case "pop3":
		if !p.secure {
			steps = append(steps, `S: \+OK`, "C: STLS", `S: \+OK`, "TLS")
		} else {
			steps = append(steps, `S: \+OK`)
		}
		steps = append(steps, "C: USER "+user, `S: \+OK`, "C: PASS "+password, `S: \+OK`)
	}
	for _, s := range steps {
		if err := p.line(s); err != nil {
			return fmt.Errorf("login: %w", err)
		}
	}
	return nil
}

// expect reads lines until one matches.
func (p *program) expect(want string) error {
	re, err := regexp.Compile("^" + want)
	if err != nil {
		return err
	}
	defer func() { p.never = nil }()
	var passed []string
	for {
		line, err := p.in.ReadString('\n')
		switch {
		case err != nil && want == "EOF" && (errors.Is(err, io.EOF) || !errors.Is(err, os.ErrDeadlineExceeded)):
			return nil
		case err != nil:
			return fmt.Errorf("want %q, got %q: %w", want, passed, err)
		}
		line = strings.TrimRight(line, "\r\n")
		fmt.Fprintln(p.out, line)
		for _, never := range p.never {
			if never.MatchString(line) {
				return fmt.Errorf("not wanted: %q", line)
			}
		}
		if re.MatchString(line) {
			return nil
		}
		passed = append(passed, line)
	}
}

// cmdProgram makes the commands imap and pop3.
func cmdProgram(protocol string) command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		flags := flag.NewFlagSet(protocol, flag.ContinueOnError)
		var as Client
		flags.TextVar(&as.From, "from", netip.Addr{}, "")
		flags.TextVar(&as.To, "to", netip.AddrPort{}, "")
		inTLS := flags.Bool("tls", false, "")
		ts.Check(flags.Parse(args))
		need(ts, neg, flags.Args(), 1)
		synctest.Wait()
		ts.Check(world(ts).Program(protocol, as, *inTLS, ts.ReadFile(flags.Arg(0)), ts.ReadFile, ts.Stdout()))
		synctest.Wait()
	}
}

// cmdLog prints the relay's program log.
func cmdLog(ts *testscript.TestScript, neg bool, _ []string) {
	synctest.Wait()
	fmt.Fprint(ts.Stdout(), ts.ReadFile("program.log"))
}

// cmdSettings changes what was chosen for an account, as "tenma user" does.
func cmdSettings(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	c, _, err := config.Load(ts.MkAbs("relay.toml"))
	ts.Check(err)
	d, err := auth.Open(c.Auth)
	ts.Check(err)
	a, err := smtp.ParseMailbox(args[0])
	ts.Check(err)
	ts.Check(d.Change(a, func(s *mail.Settings) error {
		for _, arg := range args[1:] {
			key, value, _ := strings.Cut(arg, "=")
			switch key {
			case "forward":
				to, err := smtp.ParseMailbox(value)
				if err != nil {
					return err
				}
				s.Forward = append(s.Forward, to)
			case "keep":
				s.Keep = true
			case "vacation":
				s.Vacation = &mail.Vacation{Text: value + "\n"}
			case "quota":
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					return err
				}
				s.Quota = n
			case "pop3-days":
				n, err := strconv.Atoi(value)
				if err != nil {
					return err
				}
				s.POP3Days = n
			case "send-as":
				s.SendAs = append(s.SendAs, value)
			default:
				return fmt.Errorf("no setting %q", key)
			}
		}
		return nil
	}))
}
