package source

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/xdg-go/scram"
)

// dialTimeout bounds making a connection, TLS included.
const dialTimeout = 30 * time.Second

// fatalError is one that every other connection would meet too.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

func fatal(format string, args ...any) error { return fatalError{fmt.Errorf(format, args...)} }

// offer is what a server said to EHLO.
type offer struct{ pipelining, chunking, starttls, eight bool }

func (o *offer) note(text []byte) {
	word, _, _ := bytes.Cut(text, []byte(" "))
	for name, field := range map[string]*bool{"PIPELINING": &o.pipelining, "CHUNKING": &o.chunking, "STARTTLS": &o.starttls, "8BITMIME": &o.eight} {
		if bytes.EqualFold(word, []byte(name)) {
			*field = true
		}
	}
}

// connect makes a connection that is ready for MAIL.
func (s *Source) connect(ctx context.Context) (c *conn, o offer, err error) {
	dialCtx, cancel := context.WithTimeout(ctx, min(dialTimeout, s.cfg.Timeout))
	defer cancel()
	raw, err := s.dial(dialCtx)
	if err != nil {
		return nil, o, err
	}
	made := newConn(raw, s.cfg.Timeout)
	c = made
	defer func() {
		if err != nil {
			raw.Close()
			c = nil
		}
	}()
	defer context.AfterFunc(ctx, func() { made.expire(s.cfg.Grace) })()
	c.extend(time.Now())
	if s.cfg.TLS == TLSImplicit {
		if err := s.secure(dialCtx, c); err != nil {
			return nil, o, err
		}
	}
	if _, err := c.expect("the greeting", 220, nil); err != nil {
		return nil, o, err
	}
	if o, err = s.hello(c); err != nil {
		return nil, o, err
	}
	if s.cfg.TLS == TLSStart {
		if !o.starttls {
			return nil, o, fatal("the server does not offer STARTTLS")
		}
		if err := c.ask("STARTTLS", 220); err != nil {
			return nil, o, err
		}
		if c.begin < c.end { // RFC 3207 section 5: what came before TLS is not the server's
			return nil, o, errors.New("the server sent more than its reply to STARTTLS")
		}
		if err := s.secure(dialCtx, c); err != nil {
			return nil, o, err
		}
		if o, err = s.hello(c); err != nil {
			return nil, o, err
		}
	}
	if s.cfg.User != "" {
		if err := s.login(c); err != nil {
			return nil, o, err
		}
	}
	switch {
	case s.cfg.Pipelining != PipelineOff && !o.pipelining:
		return nil, o, fatal("the server does not offer PIPELINING; take pipeline=off")
	case s.cfg.BDAT && !o.chunking:
		return nil, o, fatal("the server does not offer CHUNKING, which bdat needs")
	}
	return c, o, nil
}

// hello greets the server.
func (s *Source) hello(c *conn) (o offer, err error) {
	verb := "EHLO "
	if s.cfg.LMTP {
		verb = "LHLO "
	}
	c.small(verb + s.cfg.Hello + "\r\n")
	if err := c.flush(time.Now()); err != nil {
		return o, err
	}
	_, err = c.expect(verb[:4], 250, o.note)
	return o, err
}

// secure puts TLS on the connection.
func (s *Source) secure(ctx context.Context, c *conn) error {
	t := tls.Client(c.Conn, s.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		var unknown *tls.CertificateVerificationError
		if errors.As(err, &unknown) {
			return fatal("TLS: %w", err)
		}
		return fmt.Errorf("TLS: %w", err)
	}
	if t.ConnectionState().DidResume {
		s.count.resumed.Add(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Conn = t
	return nil
}

// ask sends a command and wants the reply want.
func (c *conn) ask(command string, want int) error {
	c.small(command + "\r\n")
	if err := c.flush(time.Now()); err != nil {
		return err
	}
	verb, _, _ := strings.Cut(command, " ")
	_, err := c.expect(verb, want, nil)
	return err
}

// expect reads the reply to a command that must be want. Its last line is
// valid until the next read.
func (c *conn) expect(what string, want int, each func([]byte)) ([]byte, error) {
	code, last, err := c.reply(each)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if code != want {
		return nil, fmt.Errorf("%s: %s", what, cutText(last))
	}
	return last, nil
}

// login logs in (RFC 4954). A refusal for good is fatal: every session has
// the same name and password.
func (s *Source) login(c *conn) error {
	step := func(line string) (challenge string, done bool, err error) {
		c.small(line + "\r\n")
		if err := c.flush(time.Now()); err != nil {
			return "", false, err
		}
		code, last, err := c.reply(nil)
		switch {
		case err != nil:
			return "", false, fmt.Errorf("AUTH: %w", err)
		case code == 235:
			return "", true, nil
		case code == 334:
			text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(last[min(4, len(last)):])))
			if err != nil {
				return "", false, fmt.Errorf("AUTH: the challenge: %w", err)
			}
			return string(text), false, nil
		case code >= 500:
			return "", false, fatal("AUTH: %s", cutText(last))
		}
		return "", false, fmt.Errorf("AUTH: %s", cutText(last))
	}
	b64 := base64.StdEncoding.EncodeToString
	var answers []func(challenge string) (string, error)
	say := func(text string) func(string) (string, error) {
		return func(string) (string, error) { return text, nil }
	}
	first := "AUTH LOGIN"
	switch s.cfg.Mechanism {
	case "LOGIN":
		answers = append(answers, say(s.cfg.User), say(s.cfg.Password))
	case "SCRAM-SHA-256": // RFC 7677
		conv := s.scram.NewConversation()
		opening, err := conv.Step("")
		if err != nil {
			return fatal("AUTH: %w", err)
		}
		first = "AUTH SCRAM-SHA-256 " + b64([]byte(opening))
		answers = append(answers, conv.Step, conv.Step)
	default: // RFC 4616
		first = "AUTH PLAIN " + b64([]byte("\x00"+s.cfg.User+"\x00"+s.cfg.Password))
	}
	challenge, done, err := step(first)
	for _, answer := range answers {
		if err != nil || done {
			break
		}
		text, aerr := answer(challenge)
		if aerr != nil {
			return fatal("AUTH: %w", aerr)
		}
		challenge, done, err = step(b64([]byte(text)))
	}
	if err == nil && !done {
		err = errors.New("AUTH: the server asks on and on")
	}
	return err
}

// newScram makes the client that all sessions share: it remembers the key that
// it derived from the password.
func newScram(c *Config) (*scram.Client, error) {
	if c.Mechanism != "SCRAM-SHA-256" {
		return nil, nil
	}
	return scram.SHA256.NewClient(c.User, c.Password, "")
}

// readRoots reads certificates in PEM.
func readRoots(path string) (*x509.CertPool, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the CA's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s has no certificate in PEM", path)
	}
	return pool, nil
}
