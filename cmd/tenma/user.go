package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"tenma/relay/config"
	"tenma/relay/policy/auth"
	"tenma/relay/wire/smtp"
)

type userCommand struct {
	Add    userAdd    `cmd:"" help:"Make an account."`
	Passwd userPasswd `cmd:"" help:"Give an account another password."`
	List   userList   `cmd:"" help:"List the accounts."`
	Delete userDelete `cmd:"" help:"Remove an account; the mail in its mailbox stays."`
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

// directory opens the accounts.
func (s *settings) directory() (*auth.Directory, *config.Config, error) {
	cfg, err := s.peek()
	if err != nil {
		return nil, nil, err
	}
	cfg.Auth.Log = slog.New(slog.DiscardHandler) // what fails is told as an error
	d, err := auth.Open(cfg.Auth)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the accounts: %w", err)
	}
	return d, cfg, nil
}

// account reads the address of an account.
func account(text string) (smtp.Address, error) {
	a, err := smtp.ParseMailbox(text)
	if err != nil || a.Domain == "" || a.Domain.IsLiteral() {
		return a, misuse("%q is not an address; an account is one, such as ann@example.org", clean(text))
	}
	return a, nil
}

// told says what to do about an error of the accounts.
func told(err error) error {
	switch {
	case errors.Is(err, auth.ErrExists):
		return fmt.Errorf("%w; \"tenma user passwd\" changes its password", err)
	case errors.Is(err, auth.ErrUnknown):
		return fmt.Errorf("%w; \"tenma user list\" shows those that there are", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w; run this as the relay's user", err)
	}
	return err
}

type userAdd struct {
	settings
	newPassword
	Address string `arg:"" help:"The address, which is also the login name."`
}

// Run is the command.
func (x *userAdd) Run(c *console) error {
	a, err := account(x.Address)
	if err != nil {
		return err
	}
	d, cfg, err := x.directory()
	if err != nil {
		return err
	}
	all, err := d.List()
	if err != nil {
		return told(err)
	}
	if slices.ContainsFunc(all, func(o auth.Account) bool { return o.Address == a }) {
		return told(fmt.Errorf("%s: %w", a, auth.ErrExists)) // before the password is asked for
	}
	password, err := c.password(x.PasswordFile)
	if err != nil {
		return err
	}
	if err := d.Add(a, password); err != nil {
		return told(err)
	}
	what := "may send, and receives mail here"
	if !slices.Contains(cfg.Auth.Domains, a.Domain) {
		what = "may send; it has no mailbox here, since no [[domain]] is " + string(a.Domain)
	}
	_, err = fmt.Fprintf(c.out, "%s added: it %s\n", a, what)
	return err
}

type userPasswd struct {
	settings
	newPassword
	Address string `arg:"" help:"The address of the account."`
}

// Run is the command.
func (x *userPasswd) Run(c *console) error {
	a, err := account(x.Address)
	if err != nil {
		return err
	}
	d, _, err := x.directory()
	if err != nil {
		return err
	}
	password, err := c.password(x.PasswordFile)
	if err != nil {
		return err
	}
	if err := d.Passwd(a, password); err != nil {
		return told(err)
	}
	_, err = fmt.Fprintf(c.out, "%s has a new password\n", a)
	return err
}

type userDelete struct {
	settings
	Address string `arg:"" help:"The address of the account."`
}

// Run is the command.
func (x *userDelete) Run(c *console) error {
	a, err := account(x.Address)
	if err != nil {
		return err
	}
	d, _, err := x.directory()
	if err != nil {
		return err
	}
	if err := d.Delete(a); err != nil {
		return told(err)
	}
	_, err = fmt.Fprintf(c.out, "%s deleted; the mail in its mailbox stays\n", a)
	return err
}

type userList struct {
	settings
	JSON bool `name:"json" help:"Print as JSON."`
}

type userAccount struct {
	Address string    `json:"address"`
	Mailbox bool      `json:"mailbox"`
	Created time.Time `json:"created"`
	Changed time.Time `json:"password_changed"`
}

// Run is the command.
func (x *userList) Run(c *console) error {
	d, cfg, err := x.directory()
	if err != nil {
		return err
	}
	found, err := d.List()
	if err != nil {
		return told(err)
	}
	all := []userAccount{}
	for _, a := range found {
		all = append(all, userAccount{a.Address.String(), slices.Contains(cfg.Auth.Domains, a.Address.Domain), a.Created, a.Changed})
	}
	if x.JSON {
		return c.json(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.out, `No account. "tenma user add ADDRESS" makes one.`)
		return err
	}
	rows := [][]string{{"ADDRESS", "MAILBOX", "CREATED", "PASSWORD CHANGED"}}
	for _, a := range all {
		mailbox := map[bool]string{true: "here", false: "none"}[a.Mailbox]
		rows = append(rows, []string{a.Address, mailbox, a.Created.Local().Format(time.DateTime), a.Changed.Local().Format(time.DateTime)})
	}
	return c.table(rows)
}
