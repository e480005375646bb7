package ingress

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"tenma/relay/ingress/front"
	"tenma/relay/mail"
	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// session is one conversation with a client as go-smtp tells it: who it is,
// and the envelope that it is filling. One goroutine uses it.
type session struct {
	door *door
	smtp *gosmtp.Conn
	conn *front.Conn
	id   string

	account  string
	login    *sasl.Exchange // the last one; nil before AUTH
	env      *mail.Envelope // of the current transaction, nil before MAIL
	messages int            // transactions begun
}

func newSession(d *door, c *gosmtp.Conn, fc *front.Conn) *session {
	n := d.s.sessions.Add(1)
	return &session{door: d, smtp: c, conn: fc, id: fmt.Sprintf("%x-%x", d.s.started.UnixMilli(), n)}
}

// trusted reports that the client may send to any domain.
func (s *session) trusted() bool { return s.conn.Vouched() }

// Reset forgets the transaction (RSET, EHLO, end of a message).
func (s *session) Reset() { s.env = nil }

// Logout ends the session.
func (s *session) Logout() error {
	s.giveUp()
	s.env = nil
	return nil
}

// Mail begins a transaction.
func (s *session) Mail(_ string, opts *gosmtp.MailOptions) error {
	reply, env := s.mail(opts)
	if reply != nil {
		return s.refuse("MAIL", env, reply)
	}
	s.env = env
	s.messages++
	return nil
}

func (s *session) mail(opts *gosmtp.MailOptions) (*smtp.Error, *mail.Envelope) {
	limits := s.conn.Limits()
	env := s.newEnvelope(opts)
	if s.env != nil {
		return smtp.Errorf(503, smtp.Status{5, 5, 1}, "sender already given"), env // RFC 5321 section 4.1.4
	}
	cfg := s.door.config()
	if s.account == "" && (cfg.Submission || cfg.Auth == AuthMust) {
		return smtp.Errorf(530, smtp.Status{5, 7, 0}, "authentication required"), env // RFC 4954 section 6
	}
	if s.messages >= limits.Messages {
		return smtp.Errorf(421, smtp.Status{4, 7, 0}, "too many messages in this connection"), env
	}
	if opts.RequireTLS && s.conn.TLS() == nil {
		// RFC 8689 section 2: it is not offered here, so it is not known here.
		return smtp.Errorf(555, smtp.Status{5, 5, 4}, "REQUIRETLS needs TLS"), env
	}
	if opts.Size > limits.MessageSize {
		return smtp.Errorf(552, smtp.Status{5, 3, 4}, "message too large, the limit is %d", limits.MessageSize), env // RFC 1870 section 6.1
	}
	if len(opts.EnvelopeID) > maxEnvID {
		return smtp.Errorf(501, smtp.Status{5, 5, 4}, "ENVID too long"), env
	}
	sender, reply := s.path("FROM:", opts.UTF8)
	if reply != nil {
		if reply.Reply.Status == (smtp.Status{5, 1, 3}) {
			reply.Reply.Status = smtp.Status{5, 1, 7} // RFC 3463 section 3.2: it is the sender's
		}
		return reply, env
	}
	if sender.Domain == "" && !sender.IsNull() {
		return smtp.Errorf(501, smtp.Status{5, 1, 7}, "sender has no domain"), env
	}
	env.Sender = sender
	if env.Submission {
		return s.tooMany("messages", s.door.s.rates.Message(s.account, *s.door.s.accounts.Load(), time.Now())), env
	}
	return nil, env
}

// maxEnvID is the longest ENVID (RFC 3461 section 4.4), maxORcpt the longest
// ORCPT (section 4.2), both before decoding.
const (
	maxEnvID = 100
	maxORcpt = 500
)

// newEnvelope is what is known at MAIL, but for the sender.
func (s *session) newEnvelope(opts *gosmtp.MailOptions) *mail.Envelope {
	env := &mail.Envelope{
		Received: time.Now(),
		SMTPUTF8: opts.UTF8, RequireTLS: opts.RequireTLS, EnvID: opts.EnvelopeID,
		Account: s.account, Origin: mail.FromSMTP, Listener: s.door.config().Address,
		Client: s.conn.Client(), HELO: clean(s.smtp.Hostname()), Session: s.id,
		Trusted: s.trusted(), TLS: s.conn.TLS() != nil, Basic: s.conn.Basic(), LMTP: s.door.config().LMTP,
		Submission: s.door.config().Submission, NamesTenant: s.door.config().TrustTenantHeader && s.trusted(),
	}
	if t := s.door.s.deps.Tenants; t != nil {
		env.Tenant = t.Of(s.account)
	}
	switch opts.Return {
	case gosmtp.DSNReturnFull:
		env.Ret = mail.RetFull
	case gosmtp.DSNReturnHeaders:
		env.Ret = mail.RetHeaders
	}
	return env
}

// path reads the path of the current command: go-smtp has unquoted it and
// cannot tell "a@b"@c from a@b@c.
func (s *session) path(keyword string, utf8 bool) (smtp.Address, *smtp.Error) {
	line := s.conn.Command()
	line, ok := behind(line, keyword)
	if !ok {
		return smtp.Address{}, smtp.Errorf(501, smtp.Status{5, 5, 2}, "syntax is %s<address>", keyword)
	}
	line = strings.TrimLeft(line, " ")
	a, rest, err := smtp.ParsePath(line)
	switch {
	case errors.Is(err, smtp.ErrLength):
		return a, smtp.Errorf(501, smtp.Status{5, 1, 3}, "address too long")
	case err != nil || rest != "" && rest[0] != ' ':
		return a, smtp.Errorf(501, smtp.Status{5, 1, 3}, "bad address syntax")
	case !utf8 && !isASCII(line[:len(line)-len(rest)]):
		return a, smtp.Errorf(553, smtp.Status{5, 6, 7}, "address needs SMTPUTF8") // RFC 6531 section 3.5
	}
	return a, nil
}

// behind gives what follows the first keyword, which ends with its only colon, in
// either case.
func behind(line, keyword string) (string, bool) {
	for i := 0; ; {
		colon := strings.IndexByte(line[i:], ':')
		if colon < 0 {
			return "", false
		}
		i += colon + 1
		if i >= len(keyword) && strings.EqualFold(line[i-len(keyword):i], keyword) {
			return line[i:], true
		}
	}
}

// Rcpt adds a recipient to the transaction.
func (s *session) Rcpt(_ string, opts *gosmtp.RcptOptions) error {
	if s.env == nil {
		return reply(smtp.Errorf(503, smtp.Status{5, 5, 1}, "MAIL first"))
	}
	r, err := s.rcpt(opts)
	if err != nil {
		one := *s.env
		one.Recipients = []mail.Recipient{r}
		return s.refuse("RCPT", &one, err)
	}
	s.env.Recipients = append(s.env.Recipients, r)
	return nil
}

func (s *session) rcpt(opts *gosmtp.RcptOptions) (mail.Recipient, *smtp.Error) {
	var r mail.Recipient
	a, err := s.path("TO:", s.env.SMTPUTF8)
	if err != nil {
		return r, err
	}
	r.Address = a
	if len(s.env.Recipients) >= min(s.conn.Limits().Recipients, mail.MaxRecipients) {
		return r, smtp.Errorf(452, smtp.Status{4, 5, 3}, "too many recipients") // RFC 5321 section 4.5.3.1.10
	}
	if len(opts.OriginalRecipient) > maxORcpt {
		return r, smtp.Errorf(501, smtp.Status{5, 5, 4}, "ORCPT too long")
	}
	if opts.OriginalRecipient != "" {
		r.ORcpt = cmp.Or(s.conn.ORcptType(), strings.ToLower(string(opts.OriginalRecipientType))) + ";" + opts.OriginalRecipient
	}
	for _, n := range opts.Notify {
		r.Notify |= notify(n)
	}
	if reply := s.mayReceive(a); reply != nil || !s.env.Submission {
		return r, reply
	}
	return r, s.tooMany("recipients", s.door.s.rates.Recipient(s.account, *s.door.s.accounts.Load(), time.Now()))
}

// tooMany refuses what an account has had enough of for now, and says when to
// come back (RFC 6409 section 6.1 lets a site's policy decide).
func (s *session) tooMany(what string, wait time.Duration) *smtp.Error {
	if wait <= 0 {
		return nil
	}
	s.door.s.deps.Metrics.RateLimited.WithLabelValues(s.door.config().Address, what).Inc()
	wait = wait.Round(time.Second) + time.Second // no less than it takes
	return smtp.Errorf(450, smtp.Status{4, 7, 1}, "too many %s of this account within an hour, try again in %v", what, wait)
}

func notify(n gosmtp.DSNNotify) mail.Notify {
	switch n {
	case gosmtp.DSNNotifyNever:
		return mail.NotifyNever
	case gosmtp.DSNNotifySuccess:
		return mail.NotifySuccess
	case gosmtp.DSNNotifyFailure:
		return mail.NotifyFailure
	case gosmtp.DSNNotifyDelayed:
		return mail.NotifyDelay
	}
	return 0
}

// mayReceive decides whether mail for a is taken from this client.
func (s *session) mayReceive(a smtp.Address) *smtp.Error {
	if a.IsNull() {
		return smtp.Errorf(501, smtp.Status{5, 1, 3}, "no recipient")
	}
	if a.Domain == "" { // the postmaster, always (RFC 5321 section 4.5.1)
		return nil
	}
	if !s.trusted() && strings.ContainsAny(a.Local, "@%!") {
		// Routes written into the local part mean nothing to us, but may to
		// the next hop, for which we would vouch (RFC 5321 section 3.6.1).
		return smtp.Errorf(550, smtp.Status{5, 7, 1}, "relaying denied")
	}
	err := s.door.s.deps.Directory.Recipient(a, s.trusted())
	if list := s.door.s.deps.Suppressions; err == nil && list != nil && s.trusted() && !s.env.Sender.IsNull() {
		err = list.Recipient(a, s.env.Tenant)
	}
	if err == nil {
		return nil
	}
	return s.toReply(err)
}

// Data takes the content and answers for the message.
func (s *session) Data(io.Reader) error {
	body := s.conn.Body()
	if s.env == nil || body == nil {
		return reply(smtp.Errorf(503, smtp.Status{5, 5, 1}, "no message in progress"))
	}
	env := s.env
	metrics := s.door.s.deps.Metrics
	id, err := s.door.s.deps.Intake.Accept(s.door.s.work, env, body)
	if body.Err() != nil {
		err = body.Err() // it comes first, and is never a success
	} else if err == nil && !body.Whole() {
		err = errors.New("intake took a message without reading it whole")
	}
	if err != nil {
		r := s.toReply(err)
		metrics.MessagesRefused.WithLabelValues(env.Listener, r.Reply.Status.String()).Inc()
		if body.Cut() {
			return reply(r) // nobody hears it, and nobody was refused
		}
		return s.refuse("DATA", env, r)
	}
	metrics.Messages.WithLabelValues(env.Listener).Inc()
	metrics.Octets.WithLabelValues(env.Listener).Add(float64(body.Size()))
	// go-smtp's own text has no id; an error of code 250 is its way to another.
	return &gosmtp.SMTPError{Code: 250, EnhancedCode: gosmtp.EnhancedCode{2, 0, 0}, Message: "Ok: queued as " + id.String()}
}

// toReply gives what the client hears of err, and logs what it does not. A
// spool without room or with a broken disk is a matter of waiting.
func (s *session) toReply(err error) *smtp.Error {
	var e *smtp.Error
	if errors.As(err, &e) {
		return e
	}
	s.door.s.deps.Log.Warn("message not accepted", "session", s.id, "client", s.conn.Client(), "error", err)
	if errors.Is(err, spool.ErrFull) || errors.Is(err, spool.ErrSick) {
		return &smtp.Error{Reply: smtp.Reply{Code: 452, Status: smtp.Status{4, 3, 1}, Text: "insufficient storage"}, Err: err}
	}
	return &smtp.Error{Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 3, 0}, Text: "try again later"}, Err: err}
}

// refuse records that the client was refused and gives the reply.
func (s *session) refuse(command string, env *mail.Envelope, e *smtp.Error) error {
	if rec := s.door.s.deps.Record; rec != nil {
		out := mail.Outcome{Reply: e.Reply, Command: command, Peer: s.conn.Client()}
		if e.Err != nil {
			out.Detail = e.Err.Error()
		}
		at := -1
		if command == "RCPT" {
			at = 0
		}
		rec.Record(&mail.Event{Kind: mail.EventRejection, Time: time.Now(), Envelope: env, Recipient: at, Outcome: out})
	}
	return reply(e)
}

// reply is e in go-smtp's form.
func reply(e *smtp.Error) error {
	r := e.Reply
	g := &gosmtp.SMTPError{Code: r.Code, Message: oneLine(r.Text)}
	for i, v := range r.Status {
		g.EnhancedCode[i] = int(v)
	}
	return g
}

// oneLine keeps a text from becoming replies of its own.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// clean makes what a client said in EHLO fit for a header field and a log:
// printable ASCII without the marks that end a comment or a quoted string, at
// most 255 octets.
func clean(name string) string {
	name = name[:min(len(name), 255)]
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>\"`, r) {
			return '?'
		}
		return r
	}, name)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
