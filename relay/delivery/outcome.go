package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"

	"tenma/relay/delivery/client"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// finding is what happened to a recipient, before it is judged.
type finding struct {
	command string
	reply   smtp.Reply // the remote's; Code 0 if err says why there is none
	err     error
	sent    bool // the end of the body had been handed to the network
	untried bool // it happened to another message, or is our own shutdown
}

// because makes the finding the reason of another one.
func (f *finding) because(what error) error {
	switch {
	case f.err != nil:
		return fmt.Errorf("%w at %s: %w", what, f.command, f.err)
	case f.reply.Code != 0:
		return fmt.Errorf("%w at %s: %s", what, f.command, f.reply)
	}
	return what
}

// Errors of an attempt that no remote made.
var (
	errRode    = errors.New("sent behind another message, whose connection was lost")
	errServed  = errors.New("the connection ended before this message began")
	errStopped = errors.New("the relay is stopping")
	errOurs    = errors.New("cannot read the stored message")
	errExtra   = fmt.Errorf("%w: more replies than commands", client.ErrProtocol)
)

// judge makes an Outcome of a finding. It is the only place that does, so that
// log, retry and DSN rest on one set of rules:
//
//   - 2yz to the final dot is sent. 4yz is deferred, 5yz is failed.
//   - A refused session is not a refused message: 5yz to the banner, EHLO,
//     STARTTLS or AUTH defers, as it mostly tells of our address's reputation,
//     an overload or a wrong password, which change while the mail waits.
//     The exceptions are 521 and 556, by which a host declares that it never
//     takes mail (RFC 7504 section 3); they fail.
//   - 552 to RCPT is 452 (RFC 5321 section 4.5.3.1.10).
//   - 502 and 503 tell that the two sides have lost each other, and 530 in a
//     session that is in plaintext only because TLS broke is about TLS: they
//     defer.
//   - 2yz or 3yz where no such reply may come, and what is no reply at all,
//     defers.
//   - No reply defers; if the end of the body had been sent, Detail says that
//     the message may have arrived.
func judge(at *place, f finding) mail.Outcome {
	o := mail.Outcome{Reply: f.reply, Command: f.command, Host: at.host, Peer: at.peer, Local: at.local, TLS: at.tls, Untried: f.untried}
	if f.err != nil {
		o.Host = ""
		o.Reply = compose(at, f)
		o.Detail = f.err.Error()
		if f.sent {
			o.Detail += "; the whole message had been sent, so that it may arrive twice"
		}
		return o
	}
	final := f.command == cmdDot || f.command == cmdBdat
	opening := f.command == cmdConnect || f.command == cmdEHLO || f.command == cmdStartTLS || f.command == cmdAuth
	switch code := f.reply.Code; {
	case final && code/100 == 2:
		o.DSN = at.dsn
	case code/100 == 4:
	case code/100 != 5:
		o.Host = ""
		o.Reply = smtp.Reply{Code: 451, Status: smtp.Status{4, 5, 0}, Text: "unexpected reply to " + f.command}
		o.Detail = at.host + " said " + f.reply.String()
	case opening && code != 521 && code != 556:
		soften(&o, "it refused the session, not the message")
	case code == 552 && f.command == cmdRcpt:
		soften(&o, "552 to RCPT means 452")
	case code == 502 || code == 503:
		soften(&o, "the command was out of order, not the message")
	case code == 530 && at.fellBack:
		soften(&o, "TLS is broken, not the message")
	}
	return o
}

// soften turns a permanent reply into the temporary one that it means.
func soften(o *mail.Outcome, why string) {
	o.Detail = "the reply was " + o.Reply.String() + "; " + why
	o.Reply.Code = 451
	if o.Reply.Status[0] == 5 {
		o.Reply.Status[0] = 4
	}
	if f := o.Command; f == cmdRcpt && o.Reply.Status == (smtp.Status{}) {
		o.Reply.Code, o.Reply.Status = 452, smtp.Status{4, 5, 3}
	}
}

// compose gives the reply that stands for an error. The texts reach senders in
// DSNs and disclose nothing but the remote's name.
func compose(at *place, f finding) smtp.Reply {
	own := new(smtp.Error)
	who := at.host
	if who == "" {
		who = "the next host"
	}
	switch {
	case errors.As(f.err, &own):
		return own.Reply
	case f.untried:
		return smtp.Reply{Code: 451, Status: smtp.Status{4, 4, 2}, Text: "not tried yet"}
	case errors.Is(f.err, errOurs):
		return smtp.Reply{Code: 451, Status: smtp.Status{4, 3, 0}, Text: "local error, the message is kept"}
	case errors.Is(f.err, client.ErrProtocol), errors.Is(f.err, client.ErrInjected), errors.Is(f.err, client.ErrText):
		return smtp.Reply{Code: 451, Status: smtp.Status{4, 5, 0}, Text: "protocol error in the answer of " + who + " to " + f.command}
	case f.command == cmdDNS:
		return smtp.Reply{Code: 451, Status: smtp.Status{4, 4, 3}, Text: "address of " + who + " could not be looked up"}
	case f.command == cmdConnect && dialling(f.err):
		return smtp.Reply{Code: 451, Status: smtp.Status{4, 4, 1}, Text: "no connection to " + who + at.atPort() + unreached(f.err)}
	case f.command == cmdStartTLS:
		return smtp.Reply{Code: 451, Status: smtp.Status{4, 7, 5}, Text: "TLS with " + who + " failed"}
	case timeout(f.err):
		return smtp.Reply{Code: 451, Status: smtp.Status{4, 4, 2}, Text: who + " did not answer " + f.command + " in time"}
	case errors.Is(f.err, io.EOF), errors.Is(f.err, io.ErrUnexpectedEOF):
		return smtp.Reply{Code: 451, Status: smtp.Status{4, 4, 2}, Text: who + " closed the connection at " + f.command}
	}
	return smtp.Reply{Code: 451, Status: smtp.Status{4, 4, 2}, Text: "connection to " + who + " lost at " + f.command}
}

// dialError marks an error of opening a socket.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

func dialling(err error) bool {
	var d dialError
	return errors.As(err, &d)
}

// atPort names the port where it is not the one that everybody expects.
func (p *place) atPort() string {
	if !p.peer.IsValid() || p.peer.Port() == 25 {
		return ""
	}
	return " port " + strconv.Itoa(int(p.peer.Port()))
}

// unreached says in a few words why there is no connection: whoever looks at
// the queue wants to know whether nobody listens or nobody is there.
func unreached(err error) string {
	switch {
	case timeout(err):
		return ": no answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return ": connection refused"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return ": unreachable"
	}
	return ""
}

func timeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
