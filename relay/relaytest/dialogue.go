package relaytest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/xdg-go/scram"
)

// Client says from where and to where a dialogue is led; zero fields are the
// relay's first listener, and loopback.
type Client struct {
	From netip.Addr
	To   netip.AddrPort
}

// Dialogue talks to the relay as text says, line by line:
//
//	C: TEXT              is sent with CRLF
//	S: REGEXP            must match the beginning of a line of the next reply
//	S: EOF               is the end
//	S! REGEXP            must match no line of that reply, which is then read
//	TLS                  a TLS handshake, whoever signed the certificate
//	PLAIN USER PASSWORD  sends AUTH PLAIN
//	SCRAM USER PASSWORD  logs in by SCRAM-SHA-256, and wants a 235
//
// Other lines are comments.
func (w *World) Dialogue(text string) error { return w.DialogueAs(Client{}, text) }

// DialogueAs is Dialogue with the choice of addresses.
func (w *World) DialogueAs(as Client, text string) error {
	if !as.To.IsValid() {
		as.To = netip.MustParseAddrPort("127.0.0.1:2525")
	}
	c, err := w.Net.Dial(w.ctx, as.From, as.To)
	if err != nil {
		return err
	}
	d := &dialogue{conn: c}
	defer func() { d.conn.Close() }()
	d.use(c)
	for n := 1; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if err := d.line(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

type dialogue struct {
	conn net.Conn
	in   *bufio.Reader
}

func (d *dialogue) use(c net.Conn) {
	c.SetDeadline(time.Now().Add(time.Hour))
	d.conn, d.in = c, bufio.NewReader(c)
}

func (d *dialogue) send(line string) error {
	_, err := d.conn.Write([]byte(line + "\r\n"))
	return err
}

func (d *dialogue) line(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	user, password, _ := strings.Cut(rest, " ")
	switch verb {
	case "C:":
		return d.send(rest)
	case "S:":
		return d.expect(rest, true)
	case "S!":
		return d.expect(rest, false)
	case "PLAIN":
		return d.send("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
	case "SCRAM":
		return d.scram(user, password)
	case "TLS":
		t := tls.Client(d.conn, &tls.Config{InsecureSkipVerify: true})
		if err := t.Handshake(); err != nil {
			return err
		}
		d.use(t)
	}
	return nil
}

func (d *dialogue) scram(user, password string) error {
	client, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		return err
	}
	conv := client.NewConversation()
	step, err := conv.Step("")
	command := "AUTH SCRAM-SHA-256 "
	for err == nil {
		if err := d.send(command + base64.StdEncoding.EncodeToString([]byte(step))); err != nil {
			return err
		}
		command = ""
		reply, err := d.in.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.HasPrefix(reply, "235") && conv.Valid() {
			return nil
		}
		challenge, ok := strings.CutPrefix(strings.TrimSpace(reply), "334 ")
		if !ok {
			return fmt.Errorf("SCRAM: %q", reply)
		}
		text, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			return err
		}
		if step, err = conv.Step(string(text)); err != nil {
			return err
		}
	}
	return err
}

// reply reads one reply.
func (d *dialogue) reply() ([]string, error) {
	var all []string
	for {
		line, err := d.in.ReadString('\n')
		if err != nil {
			return all, err
		}
		line = strings.TrimRight(line, "\r\n")
		all = append(all, line)
		if len(line) < 4 || line[3] != '-' {
			return all, nil
		}
	}
}

func (d *dialogue) expect(want string, match bool) error {
	re, err := regexp.Compile("^" + want)
	if err != nil {
		return err
	}
	all, err := d.reply()
	switch {
	case err != nil && want == "EOF" && match:
		return nil
	case err != nil:
		return fmt.Errorf("want %q: %w", want, err)
	}
	for _, line := range all {
		if re.MatchString(line) {
			if match {
				return nil
			}
			return fmt.Errorf("not wanted: %q", line)
		}
	}
	if match {
		return fmt.Errorf("want %q, got %q", want, all)
	}
	return nil
}
