package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"tenma/cmd/tenma/cli"
	"tenma/cmd/tenma/service"
	"tenma/relay"
	"tenma/relay/config"
	"tenma/relay/door"
	"tenma/relay/ingress"
	"tenma/relay/mailbox/imap"
)

type serveCommand struct {
	settings
}

// Help is the long text.
func (*serveCommand) Help() string {
	return `Without a configuration it listens on loopback only, keeps its data in ./tenma-data, and prints how to send a first message.

SIGTERM or SIGINT: take no more mail, finish deliveries under way, exit 0; a second one stops now. SIGHUP: read the configuration again; one with errors is logged and the running one stays in force.`
}

// errNow is a stop that did not wait.
var errNow = errors.New("stopped at once; a delivery under way may be repeated after the next start, no mail is lost")

// Run is the command.
func (x *serveCommand) Run(ctx context.Context, c *console) error {
	cfg, warnings, err := x.Read()
	if err != nil {
		return c.refused(err, warnings)
	}
	log := logger(c.Err, cfg.Log)
	for _, w := range warnings {
		log.Warn("configuration: "+w.Text, "at", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column))
	}
	service.LimitMemory(os.DirFS("/"), os.Getenv, debug.SetMemoryLimit, log)
	r, err := assemble(cfg, log)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	greet(c.Out, cfg, r.Addrs())
	return x.serve(ctx, r, log, signals, service.Find(os.Getenv, log))
}

// process is what serve needs of an assembled relay that listens.
type process interface {
	Run(ctx context.Context) error
	Reload(cfg *config.Config) error
	Addrs() relay.Addrs
}

// serve runs r, obeys signals, and tells the service manager.
func (x *serveCommand) serve(ctx context.Context, r process, log *slog.Logger, signals <-chan os.Signal, manager service.Manager) error {
	ctx, drain := context.WithCancel(ctx)
	defer drain()
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	log.Info("started", "version", build(), "pid", os.Getpid())
	manager.Ready() // the listeners were open before
	for {
		select {
		case err := <-done:
			if err == nil {
				log.Info("stopped")
			}
			return err
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP:
				manager.Reloading()
				x.reload(r, log)
				manager.Ready()
			case ctx.Err() != nil:
				return errNow
			default:
				log.Info("stopping: no more mail is taken, deliveries under way finish; again to stop now", "signal", s.String())
				manager.Stopping()
				drain()
			}
		}
	}
}

// reload takes the configuration anew, or says why not.
func (x *serveCommand) reload(r process, log *slog.Logger) {
	cfg, warnings, err := x.Read()
	for _, w := range warnings {
		log.Warn("configuration: "+w.Text, "at", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column))
	}
	if err == nil {
		err = r.Reload(cfg)
	}
	var all config.Errors
	switch {
	case err == nil:
		log.Info("configuration reloaded", "file", cfg.Path)
	case errors.As(err, &all):
		for _, p := range all {
			log.Error("configuration not reloaded, the former stays in force: " + p.Error())
		}
	default:
		log.Error("configuration not reloaded, the former stays in force: " + err.Error())
	}
}

// refused prints what is wrong with a configuration.
func (c *console) refused(err error, warnings []config.Warning) error {
	var all config.Errors
	if !errors.As(err, &all) {
		return err
	}
	for _, p := range all {
		fmt.Fprintln(c.Err, cli.Clean(p.Error()))
	}
	for _, p := range warnings {
		fmt.Fprintln(c.Err, "warning:", cli.Clean(p.Error()))
	}
	return errTold
}

func logger(w io.Writer, l config.Log) *slog.Logger {
	o := &slog.HandlerOptions{Level: l.Level}
	if l.JSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// greet tells a newcomer what runs and how to use it. The addresses are those
// that the configured ones became, in their order.
func greet(w io.Writer, cfg *config.Config, at relay.Addrs) {
	fmt.Fprintf(w, "tenma %s relays mail as %s\n\n", version(), cfg.Hostname)
	to := "" // through which someone on this machine can send without a login
	for i, l := range cfg.Ingress.Listeners {
		fmt.Fprintf(w, "  %-5s %-22s %s\n", protocol(l), at.SMTP[i], manners(l))
		if to == "" && open(l) {
			to = cli.Reachable(at.SMTP[i].String())
		}
	}
	for i, a := range at.IMAP {
		fmt.Fprintf(w, "  %-5s %-22s mailboxes, %s\n", "imap", a, tlsWord(string(cfg.IMAP.Listeners[i].TLS)))
	}
	for i, a := range at.POP3 {
		fmt.Fprintf(w, "  %-5s %-22s mailboxes, %s\n", "pop3", a, tlsWord(string(cfg.POP3.Listeners[i].TLS)))
	}
	for i, l := range cfg.Admin.Listeners {
		if l.SetupOnly {
			fmt.Fprintf(w, "  %-5s %-22s settings for mail programs\n", "http", at.HTTP[i])
			continue
		}
		scheme := map[bool]string{false: "http", true: "https"}[l.TLS]
		fmt.Fprintf(w, "  %-5s %-22s %s://%s/  metrics, health, API\n", "http", at.HTTP[i], scheme, cli.Reachable(at.HTTP[i].String()))
	}
	fmt.Fprintf(w, "\n  data in %s\n  admin token in %s\n", cfg.DataDir, cfg.Admin.TokenPath)
	if to == "" {
		return
	}
	from := "me@" + cfg.Hostname
	fmt.Fprintf(w, `
Send a first message (put your own address for you@example.com):

  printf 'From: %[2]s\r\nTo: you@example.com\r\nSubject: first\r\n\r\nIt works.\r\n' |
    curl --url smtp://%[1]s --mail-from %[2]s --mail-rcpt you@example.com --upload-file -

or: swaks --server %[1]s --from %[2]s --to you@example.com
and see where it is: %[4]s queue list%[3]s

`, to, from, flag(cfg), program())
	greetMailbox(w, cfg, at, to)
}

// greetMailbox tells how to have a mailbox, where some domain lives here.
func greetMailbox(w io.Writer, cfg *config.Config, at relay.Addrs, to string) {
	i := slices.IndexFunc(cfg.IMAP.Listeners, func(l imap.Listener) bool { return l.TLS == door.TLSImplicit })
	if len(cfg.Auth.Domains) == 0 || i < 0 || i >= len(at.IMAP) {
		return
	}
	fmt.Fprintf(w, `Have a mailbox, send to it, and read it:

  %[1]s user add me@%[2]s%[3]s
  swaks --server %[4]s --to me@%[2]s
  curl -k --user me@%[2]s 'imaps://%[5]s/INBOX;MAILINDEX=1'

`, program(), cfg.Auth.Domains[0], flag(cfg), to, cli.Reachable(at.IMAP[i].String()))
}

// flag names the configuration for the next command.
func flag(cfg *config.Config) string {
	if cfg.Path == "" {
		return ""
	}
	return " -c " + cfg.Path
}

func protocol(l ingress.Listener) string {
	if l.LMTP {
		return "lmtp"
	}
	return "smtp"
}

// manners says in words how a listener treats its clients.
func manners(l ingress.Listener) string {
	var parts []string
	if l.Submission {
		parts = append(parts, "submission")
	}
	parts = append(parts, tlsWord(string(l.TLS)))
	var nets []string
	for _, p := range l.RelayFrom {
		nets = append(nets, p.String())
	}
	switch {
	case l.Auth == ingress.AuthMust:
		parts = append(parts, "AUTH required")
	case len(nets) > 0 && l.Auth == ingress.AuthOption:
		parts = append(parts, "relays for "+strings.Join(nets, ", ")+" and whoever logs in")
	case len(nets) > 0:
		parts = append(parts, "relays for "+strings.Join(nets, ", "))
	case l.Auth == ingress.AuthOption:
		parts = append(parts, "relays for whoever logs in")
	default:
		parts = append(parts, "mail for the domains here only")
	}
	return strings.Join(parts, ", ")
}

// tlsWord says how a listener uses TLS.
func tlsWord(mode string) string {
	return map[string]string{"starttls": "STARTTLS", "implicit": "TLS", "off": "no TLS"}[mode]
}

// open reports that this machine may send through l without a login.
func open(l ingress.Listener) bool {
	if l.LMTP || l.TLS == ingress.TLSImplicit || l.Auth == ingress.AuthMust || len(l.ProxyFrom) > 0 {
		return false
	}
	return slices.ContainsFunc(l.RelayFrom, func(p netip.Prefix) bool { return p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1})) })
}
