package user

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"tenma/cmd/tenma/cli"
	"tenma/relay/config"
	"tenma/relay/mail"
	"tenma/relay/policy/auth"
	"tenma/relay/wire/smtp"
)

// Command is "tenma user".
type Command struct {
	Add         addCommand         `cmd:"" help:"Make an account."`
	Passwd      passwdCommand      `cmd:"" help:"Give an account another password."`
	List        listCommand        `cmd:"" help:"List the accounts."`
	Delete      deleteCommand      `cmd:"" help:"Remove an account; the mail in its mailbox stays."`
	Quota       quotaCommand       `cmd:"" help:"Show or set how large a mailbox may become."`
	Forward     forwardCommand     `cmd:"" help:"Show or set where mail goes besides the mailbox, or in its place."`
	Vacation    vacationCommand    `cmd:"" help:"Show or set the automatic reply of someone who is away."`
	Retention   retentionCommand   `cmd:"" help:"Show or set how long a mailbox keeps mail."`
	SendAs      sendAsCommand      `cmd:"" help:"Show or set what else an account may send as."`
	Protocols   protocolsCommand   `cmd:"" help:"Show or set by which protocols an account may log in."`
	AppPassword appPasswordCommand `cmd:"" help:"Passwords for single devices and programs."`
}

// base is the flag of all these commands.
type base struct{ cli.Settings }

// person is the account that a command is about.
type person struct {
	base
	Address string `arg:"" help:"The address of the account, which is also its login name."`
}

// open reads the address and opens the accounts.
func (p *person) open() (smtp.Address, *auth.Directory, *config.Config, error) {
	a, err := smtp.ParseMailbox(p.Address)
	if err != nil || a.Domain == "" || a.Domain.IsLiteral() {
		return a, nil, nil, cli.Misuse("%q is not an address; an account is one, such as ann@example.org", cli.Clean(p.Address))
	}
	d, cfg, err := p.directory()
	return a, d, cfg, err
}

// change edits the settings of the account, and says what they became.
func (p *person) change(c *cli.Console, edit func(*mail.Settings) error, show func(*cli.Console, auth.Account, *config.Config) error) error {
	a, d, cfg, err := p.open()
	if err != nil {
		return err
	}
	if edit != nil {
		if err := d.Change(a, edit); err != nil {
			return told(err)
		}
	}
	acc, err := d.Account(a)
	if err != nil {
		return told(err)
	}
	return show(c, acc, cfg)
}

// directory opens the accounts.
func (p *base) directory() (*auth.Directory, *config.Config, error) {
	cfg, err := p.Peek()
	if err != nil {
		return nil, nil, err
	}
	own := cfg.Auth
	own.Log = slog.New(slog.DiscardHandler) // what fails is told as an error
	own.External = nil                      // these commands never ask it
	d, err := auth.Open(own)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the accounts: %w", err)
	}
	return d, cfg, nil
}

// told says what to do about an error of the accounts.
func told(err error) error {
	switch {
	case errors.Is(err, auth.ErrNoApp):
		return fmt.Errorf("%w; \"tenma user app-password list\" shows those that there are", err)
	case errors.Is(err, auth.ErrExists):
		return fmt.Errorf("%w; \"tenma user passwd\" changes its password", err)
	case errors.Is(err, auth.ErrUnknown):
		return fmt.Errorf("%w; \"tenma user list\" shows those that there are", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w; run this as the relay's user", err)
	}
	return err
}

// newPassword is the flag of commands that set a password.
type newPassword struct {
	PasswordFile string `placeholder:"FILE" help:"Read the password from the first line of this file."`
}

// Help is the long text.
func (newPassword) Help() string {
	return `The password is asked for twice on a terminal, and is otherwise the first line of the standard input or of --password-file.
Works whether the relay runs or not; a running relay takes the change over at once.`
}

type addCommand struct {
	person
	newPassword
	Quota    string `placeholder:"SIZE" help:"How large its mailbox may become, such as 1GiB, or none. Without it: as the configuration says."`
	External bool   `help:"Its password is known to the external source of accounts; only its settings stand here."`
}

// Run is the command.
func (x *addCommand) Run(c *cli.Console) error {
	quota, err := parseQuota(x.Quota)
	if err != nil {
		return err
	}
	a, d, cfg, err := x.open()
	if err != nil {
		return err
	}
	switch _, err := d.Account(a); {
	case err == nil:
		return told(fmt.Errorf("%s: %w", a, auth.ErrExists)) // before the password is asked for
	case !errors.Is(err, auth.ErrUnknown):
		return told(err)
	}
	if x.External {
		if cfg.Auth.External == nil {
			return errors.New("--external: the configuration names no external source of accounts; leave it out")
		}
		err = d.AddExternal(a)
	} else {
		var password string
		if password, err = c.Password(x.PasswordFile); err != nil {
			return err
		}
		err = d.Add(a, password)
	}
	if err == nil && quota != 0 {
		err = d.Change(a, func(s *mail.Settings) error { s.Quota = quota; return nil })
	}
	if err != nil {
		return told(err)
	}
	what := "may send, and receives mail here"
	if !slices.Contains(cfg.Auth.Domains, a.Domain) {
		what = "may send; it has no mailbox here, since no [[domain]] is " + string(a.Domain)
	}
	_, err = fmt.Fprintf(c.Out, "%s added: it %s\n", a, what)
	return err
}

type passwdCommand struct {
	person
	newPassword
}

// Run is the command.
func (x *passwdCommand) Run(c *cli.Console) error {
	a, d, _, err := x.open()
	if err != nil {
		return err
	}
	acc, err := d.Account(a)
	if err != nil {
		return told(err) // before the password is asked for
	}
	password, err := c.Password(x.PasswordFile)
	if err != nil {
		return err
	}
	if err := d.Passwd(a, password); err != nil {
		return told(err)
	}
	more := ""
	if n := len(acc.Apps); n > 0 {
		more = fmt.Sprintf("; its %s stay", cli.Count(n, "app password"))
	}
	_, err = fmt.Fprintf(c.Out, "%s has a new password%s\n", a, more)
	return err
}

type deleteCommand struct{ person }

// Run is the command.
func (x *deleteCommand) Run(c *cli.Console) error {
	a, d, _, err := x.open()
	if err != nil {
		return err
	}
	if err := d.Delete(a); err != nil {
		return told(err)
	}
	_, err = fmt.Fprintf(c.Out, "%s deleted; the mail in its mailbox stays\n", a)
	return err
}
