package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// conn is a connection of a protocol in lines.
type conn struct {
	net.Conn
	r   *bufio.Reader
	tag int
}

func dial(address string) (*conn, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: nc, r: bufio.NewReaderSize(nc, 256<<10)}, nil
}

func (c *conn) close() { _ = c.Conn.Close() }

// put sends a line; a failure shows in the reply that does not come.
func (c *conn) put(line string) { _, _ = io.WriteString(c.Conn, line+"\r\n") }

func (c *conn) line() (string, error) {
	s, err := c.r.ReadString('\n')
	return strings.TrimRight(s, "\r\n"), err
}

// replies reads n replies of SMTP or LMTP, all of which must be positive.
func (c *conn) replies(n int) (last string, err error) {
	for n > 0 {
		if last, err = c.line(); err != nil {
			return "", err
		}
		if last == "" || last[0] != '2' && last[0] != '3' {
			return "", fmt.Errorf("the server says %q", last)
		}
		if len(last) < 4 || last[3] != '-' {
			n--
		}
	}
	return last, nil
}

// secure shakes hands: the certificate is nobody's business here.
func (c *conn) secure() error {
	t := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a load on loopback
	if err := t.Handshake(); err != nil {
		return err
	}
	c.Conn, c.r = t, bufio.NewReaderSize(t, 256<<10)
	return nil
}

// openIMAP logs in.
func openIMAP(s server) (*conn, error) {
	c, err := dial(s.imap)
	if err != nil {
		return nil, err
	}
	if _, err := c.line(); err != nil {
		return nil, err
	}
	if s.tls {
		if _, err := c.command("STARTTLS"); err != nil {
			return nil, err
		}
		if err := c.secure(); err != nil {
			return nil, err
		}
	}
	_, err = c.command(fmt.Sprintf("LOGIN %q %q", s.user, s.password))
	return c, err
}

// command runs one command of IMAP to its end, literals skipped, and gives the
// last untagged line.
func (c *conn) command(text string) (last string, err error) {
	c.tag++
	tag := strconv.Itoa(c.tag) + " "
	c.put(tag + text)
	for {
		line, err := c.r.ReadSlice('\n')
		for err == bufio.ErrBufferFull {
			line, err = c.r.ReadSlice('\n') // SEARCH of many messages is one line
		}
		if err != nil {
			return "", err
		}
		if n := literal(line); n >= 0 {
			if _, err := io.CopyN(io.Discard, c.r, n); err != nil {
				return "", err
			}
			continue
		}
		if strings.HasPrefix(string(line[:min(len(line), len(tag))]), tag) {
			if !strings.HasPrefix(string(line), tag+"OK") {
				return "", fmt.Errorf("%s: %s", text, line)
			}
			return last, nil
		}
		if len(line) < 200 {
			last = strings.TrimRight(string(line), "\r\n")
		}
	}
}

// literal gives the octets that follow a line, -1 for none.
func literal(line []byte) int64 {
	text := strings.TrimRight(string(line[max(0, len(line)-16):]), "\r\n")
	open := strings.LastIndexByte(text, '{')
	if open < 0 || !strings.HasSuffix(text, "}") {
		return -1
	}
	n, err := strconv.ParseInt(text[open+1:len(text)-1], 10, 63)
	if err != nil {
		return -1
	}
	return n
}

// openPOP3 logs in.
func openPOP3(s server) (*conn, error) {
	c, err := dial(s.pop3)
	if err != nil {
		return nil, err
	}
	if _, err := c.ok(""); err != nil {
		return nil, err
	}
	if s.tls {
		if _, err := c.ok("STLS"); err != nil {
			return nil, err
		}
		if err := c.secure(); err != nil {
			return nil, err
		}
	}
	if _, err := c.ok("USER " + s.user); err != nil {
		return nil, err
	}
	_, err = c.ok("PASS " + s.password)
	return c, err
}

// ok sends a command of POP3, if it is not "", and wants a positive reply.
func (c *conn) ok(command string) (string, error) {
	if command != "" {
		c.put(command)
	}
	line, err := c.line()
	if err == nil && !strings.HasPrefix(line, "+OK") {
		err = fmt.Errorf("%s: %s", command, line)
	}
	return line, err
}
