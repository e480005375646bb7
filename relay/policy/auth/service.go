package auth

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"

	"tenma/relay/policy/auth/external"
	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
)

// Service is a Directory as the listeners of one protocol use it: logins that are
// switched off for the protocol fail, and what the log says names it.
type Service struct {
	d        *Directory
	protocol string
}

// Service gives the logins of a protocol: "smtp", "imap" or "pop3".
func (d *Directory) Service(protocol string) *Service { return &Service{d: d, protocol: protocol} }

// Mechanisms are the SASL mechanisms to offer, best first. With an external
// source SCRAM is not among them: it wants keys that nobody outside gives away,
// and clients that see it try nothing else.
func (s *Service) Mechanisms() []string { return s.d.Mechanisms() }

// Mechanisms are those of every Service.
func (d *Directory) Mechanisms() []string {
	if d.places.Load().external != nil {
		return []string{"PLAIN", "LOGIN"}
	}
	return []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"}
}

// reason says in the log why a login failed; the client never hears it.
type reason string

// The reasons, as they stand in the log. Filters of fail2ban and the like may
// rely on them.
const (
	noDomain      reason = "name without a domain"
	noAddress     reason = "name is not an address"
	unknownDomain reason = "unknown domain"
	unknownUser   reason = "unknown user"
	wrongPassword reason = "wrong password"
	noPassword    reason = "no password"
	switchedOff   reason = "protocol switched off"
	held          reason = "held off"
)

// visit is one login under way.
type visit struct {
	*Service
	client net.Addr
	start  time.Time
	typed  string // the user name, as it came

	places   *places
	accounts *snapshot
	address  smtp.Address // canonical; zero if typed is none
	name     string       // under which failures are counted, and the account's
	appName  string       // of "address/name", "" for none
	acc      *account     // nil: not in the file
	source   *external.Source
	nobody   reason // why there can be no such account, "" if there may be
}

// visit finds out whom a user name means: an address; an address, a slash and
// the name of an app password; or the local part alone where a single domain
// lives here. A name in another spelling counts as the same name, so that the
// short form is no second chance to guess.
func (s *Service) visit(client net.Addr, typed string) *visit {
	v := &visit{Service: s, client: client, start: time.Now(), typed: typed, places: s.d.places.Load(), accounts: s.d.current()}
	text := typed
	at := strings.LastIndexByte(text, '@')
	if at >= 0 {
		if i := strings.IndexByte(text[at:], '/'); i >= 0 {
			text, v.appName = text[:at+i], text[at+i+1:]
		}
	} else if len(v.places.domains) == 1 {
		text += "@" + string(v.places.first)
	}
	a, err := smtp.ParseMailbox(text)
	if err != nil || a.Domain == "" {
		const enough = 320 // the longest address
		v.name, v.nobody = "!"+typed[:min(len(typed), enough)], noAddress
		if at < 0 && typed != "" {
			v.nobody = noDomain
		}
		return v
	}
	v.address = canon(a)
	v.name = v.address.String()
	v.acc = v.accounts.accounts[v.address]
	ours := v.places.domains[a.Domain]
	if e := v.places.external; e != nil && (v.acc == nil || v.acc.text == "") && e.Covers(a.Domain, ours) {
		v.source = e
	}
	switch {
	case v.acc != nil || v.source != nil:
	case ours || v.accounts.first[a.Domain] != nil:
		v.nobody = unknownUser
	default:
		v.nobody = unknownDomain
	}
	return v
}

// hash changes whenever the password may have.
func (v *visit) hash() string {
	switch {
	case v.acc != nil && v.acc.text != "":
		return v.acc.text
	case v.source != nil:
		return "external"
	}
	return ""
}

// may reports whether the account, or one of its app passwords, may use the
// protocol.
func (v *visit) may(app *appPassword) bool {
	if v.acc != nil && slices.Contains(v.acc.off, v.protocol) {
		return false
	}
	return app == nil || len(app.only) == 0 || slices.Contains(app.only, v.protocol)
}

// succeed ends a good login.
func (v *visit) succeed(ctx context.Context, app *appPassword, anew bool) (account string, err error) {
	if !v.may(app) {
		return "", v.fail(ctx, switchedOff, "the password is right; \"tenma user protocols\" and \"tenma user app-password list\" show what is allowed", false)
	}
	n := Login{Time: time.Now(), Protocol: v.protocol, Client: clientText(v.client)}
	if app != nil {
		n.App = app.name
	}
	level := slog.LevelDebug // a client that connects for each message fills the log
	if anew {
		level = slog.LevelInfo
		v.d.guard.succeeded(v.client, v.name, n.Time)
	}
	v.d.logins.Note(v.name, n)
	if v.d.log.Enabled(ctx, level) {
		attrs := []slog.Attr{slog.String("protocol", v.protocol), slog.String("client", n.Client), slog.String("account", v.name)}
		attrs = append(attrs, way(ctx)...)
		if n.App != "" {
			attrs = append(attrs, slog.String("app_password", n.App))
		}
		v.d.log.LogAttrs(ctx, level, "login", attrs...)
	}
	return v.name, nil
}

// way is by which way a client logs in, as it stands in the log: nothing of what
// is not known.
func way(ctx context.Context) (attrs []slog.Attr) {
	w := sasl.WayOf(ctx)
	if w.Listener != "" {
		attrs = append(attrs, slog.String("listener", w.Listener))
	}
	if w.Mechanism != "" {
		attrs = append(attrs, slog.String("mechanism", w.Mechanism))
	}
	return attrs
}

// fail ends a bad login: a line in the log, and ErrLogin when it is time. guess
// says that it counts against the client and the account.
//
// The order and text of the line are what deploy/fail2ban reads: what the client
// typed comes after its address, quoted by the handler, so that it cannot look
// like another address.
func (v *visit) fail(ctx context.Context, why reason, hint string, guess bool) error {
	attrs := []slog.Attr{
		slog.String("protocol", v.protocol), slog.String("client", clientText(v.client)),
		slog.String("user", printable(v.typed)), slog.String("reason", string(why)),
	}
	if hint != "" {
		attrs = append(attrs, slog.String("hint", hint))
	}
	v.d.metrics.Failures.WithLabelValues(v.protocol, string(why)).Inc()
	if guess {
		if hold := v.d.guard.failed(v.client, v.name, time.Now()); hold > 0 {
			v.d.metrics.Holds.Inc()
			attrs = append(attrs, slog.Duration("held_off", hold))
		}
	}
	v.d.log.LogAttrs(ctx, slog.LevelWarn, "login failed", append(attrs, way(ctx)...)...)
	return fail(ctx, v.start)
}

// refuse ends a login whose password is wrong or for nobody.
func (v *visit) refuse(ctx context.Context, hint string, guess bool) error {
	switch {
	case v.nobody == noDomain:
		return v.fail(ctx, noDomain, "the user name is the whole address, such as ann@example.org", guess)
	case v.nobody != "":
		return v.fail(ctx, v.nobody, "", guess)
	case v.acc != nil && v.acc.text == "" && v.source == nil:
		return v.fail(ctx, noPassword, "the account has no password here and there is no external source; \"tenma user passwd\" gives it one", guess)
	}
	return v.fail(ctx, wrongPassword, hint, guess)
}

// printable is what a stranger typed, fit for a log.
func printable(text string) string {
	const most = 320
	more := ""
	if len(text) > most {
		text, more = text[:most], "..."
	}
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text) + more
}

// ScramSHA256 gives the keys for user. For an unknown user they are made up:
// the same at every call, and known is false, so that the exchange can fail at
// its end, alike in text and time. ScramDone is to be told how it ended. A user
// name means the main password; "address/name" the app password of that name.
func (s *Service) ScramSHA256(user string) (keys sasl.ScramKeys, known bool, err error) {
	v := s.visit(nil, user)
	iterations, who := s.d.cost.Iterations, v.name
	if v.accounts.model != nil {
		iterations = v.accounts.model.scram.Iterations
	}
	if v.appName != "" {
		iterations, who = appIterations, v.name+"/"+v.appName
	}
	fake := fakeScram(v.accounts.secret, who, iterations) // made in any case, for the time it takes
	switch {
	case v.acc == nil:
		return fake, false, nil
	case v.appName != "":
		if a := v.acc.named(v.appName); a != nil {
			return a.scram, true, nil
		}
		return fake, false, nil
	case v.acc.text == "":
		return fake, false, nil
	}
	return v.acc.scram, true, nil
}

// ScramDone is told how an exchange that began with ScramSHA256 ended, by the
// client's proof. Its error is nil if the login stands, else ErrLogin: also
// where the client is held off, right proof or not.
func (s *Service) ScramDone(ctx context.Context, client net.Addr, user string, good bool) (account string, err error) {
	v := s.visit(client, user)
	var app *appPassword
	proved := good && v.acc != nil && v.acc.text != ""
	if v.appName != "" && v.acc != nil {
		app = v.acc.named(v.appName)
		proved = good && app != nil
	}
	switch {
	case s.d.guard.heldOff(client, v.name, v.start):
		return "", v.fail(ctx, held, "", false)
	case proved:
		return v.succeed(ctx, app, true)
	}
	hint := ""
	switch {
	case v.source != nil:
		hint = "its password is known outside: it can log in by PLAIN or LOGIN only"
	case v.acc != nil && v.appName != "" && app == nil:
		hint = "there is no app password of that name"
	case v.acc != nil && v.appName == "" && len(v.acc.apps) > 0:
		hint = "an app password logs in by PLAIN or LOGIN, or by SCRAM with the user name " + v.name + "/" + v.acc.apps[0].name
	}
	return "", v.refuse(ctx, hint, true)
}

// clientText is a client as it stands in logs: an IP address without its port.
func clientText(client net.Addr) string {
	if a, ok := ipOf(client); ok {
		return a.String()
	}
	return "unknown"
}
