package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin"
	"tenma/relay/config"
	"tenma/relay/mailbox"
	"tenma/relay/mailbox/transfer"
	"tenma/relay/policy/auth"
	"tenma/relay/wire/smtp"
)

type mailboxCommand struct {
	List   mailboxList   `cmd:"" help:"Show mailboxes with their sizes, or the folders of one."`
	Import mailboxImport `cmd:"" help:"Bring mail from an mbox file or a Maildir into a mailbox."`
	Export mailboxExport `cmd:"" help:"Write a mailbox as a Maildir, or a folder as an mbox file."`
	Delete mailboxDelete `cmd:"" help:"Remove a mailbox with all its mail, for good."`
}

// boxes opens the mailboxes for a command, while no relay runs. end must be
// called.
func openBoxes(ctx context.Context, cfg *config.Config) (s *mailbox.Store, end func() error, err error) {
	if _, err := os.Stat(cfg.DataDir); err != nil {
		return nil, nil, fmt.Errorf("there is no data directory: %w; name the relay's configuration with -c FILE", err)
	}
	quiet := slog.New(slog.DiscardHandler) // what fails is told as an error
	people := cfg.Auth
	people.Log = quiet
	d, err := auth.Open(people)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the accounts: %w", err)
	}
	c := cfg.Mailbox
	c.Log = quiet
	like := c.Dir
	if _, err := os.Stat(like); err != nil {
		like = cfg.DataDir
	}
	s, err = mailbox.New(c, mailbox.Deps{Resolver: d})
	if err != nil {
		_ = giveBack(c.Dir, like) // err says more
	}
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EWOULDBLOCK):
		return nil, nil, fmt.Errorf("a relay is running and holds the mailboxes in %s: stop it for the while, or move the mail by IMAP (mbsync, imapsync)", c.Dir)
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, fmt.Errorf("opening the mailboxes: %w; run this as the relay's user", err)
	case err != nil:
		return nil, nil, fmt.Errorf("opening the mailboxes: %w", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, func() error {
		stop()
		return errors.Join(<-ended, s.Close(), giveBack(c.Dir, like))
	}, nil
}

// person reads the address of a mailbox.
func person(text string) (smtp.Address, error) {
	a, err := smtp.ParseMailbox(text)
	if err != nil || a.Domain == "" || a.Domain.IsLiteral() {
		return a, cli.Misuse("%q is not an address; a mailbox is named by one, such as ann@example.org", cli.Clean(text))
	}
	return auth.Canonical(a), nil
}

type mailboxList struct {
	cli.Remote
	Address string `arg:"" optional:"" help:"Only this mailbox, with its folders."`
}

// Help is the long text.
func (*mailboxList) Help() string {
	return `Asks the running relay; without one, or if it cannot be reached, the mailboxes are opened directly.`
}

// Run is the command.
func (x *mailboxList) Run(ctx context.Context, c *console) error {
	var all []admin.Mailbox
	var err error
	if client, noRelay := x.Client(); noRelay == nil {
		all, err = x.ask(ctx, client)
		if err == nil {
			return x.print(c, all)
		}
		if p := (*admin.Problem)(nil); errors.As(err, &p) || x.URL != "" {
			return x.Explain(client, err)
		}
	}
	if all, err = x.look(ctx); err != nil {
		return err
	}
	return x.print(c, all)
}

// ask has it from the relay.
func (x *mailboxList) ask(ctx context.Context, client *admin.Client) (all []admin.Mailbox, err error) {
	if x.Address != "" {
		m, err := client.Mailbox(ctx, x.Address)
		return []admin.Mailbox{m}, err
	}
	for after := ""; ; {
		p, err := client.Mailboxes(ctx, after)
		if err != nil {
			return nil, err
		}
		all = append(all, p.Mailboxes...)
		if after = p.Next; after == "" {
			return all, nil
		}
	}
}

// look has it from the disk.
func (x *mailboxList) look(ctx context.Context) (all []admin.Mailbox, err error) {
	cfg, err := x.Peek()
	if err != nil {
		return nil, err
	}
	s, end, err := openBoxes(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	if x.Address != "" {
		a, err := person(x.Address)
		if err != nil {
			return nil, err
		}
		m, err := admin.ShowMailbox(operatorView{s}, a.String())
		return []admin.Mailbox{m}, err
	}
	var failed error
	err = s.Accounts(func(account string) bool {
		var m admin.Mailbox
		m, failed = admin.MeasureMailbox(operatorView{s}, account)
		all = append(all, m)
		return failed == nil
	})
	return all, errors.Join(err, failed)
}

// operatorView is the mailboxes as the API shows them.
type operatorView struct{ *mailbox.Store }

// Folders gives all folders of a mailbox.
func (v operatorView) Folders(account string) ([]mailbox.Folder, error) {
	m, err := v.Open(account)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.Folders(), nil
}

func (x *mailboxList) print(c *console, all []admin.Mailbox) error {
	switch {
	case x.JSON && x.Address != "":
		return c.JSON(all[0])
	case x.JSON:
		return c.JSON(append([]admin.Mailbox{}, all...))
	case x.Address != "":
		rows := [][]string{{"FOLDER", "MESSAGES", "UNSEEN", "SIZE", "USE"}}
		for _, f := range all[0].Folders {
			rows = append(rows, []string{f.Name, fmt.Sprint(f.Messages), fmt.Sprint(f.Unseen), octets(f.Octets), f.Use})
		}
		return c.Table(rows)
	case len(all) == 0:
		_, err := fmt.Fprintln(c.Out, "No mailbox: each is made with its first message or login.")
		return err
	}
	rows := [][]string{{"ADDRESS", "MESSAGES", "SIZE", "QUOTA"}}
	for _, m := range all {
		quota := "none"
		if m.Quota > 0 {
			quota = fmt.Sprintf("%s (%d%%)", octets(m.Quota), 100*m.Octets/m.Quota)
		}
		rows = append(rows, []string{m.Address, fmt.Sprint(m.Messages), octets(m.Octets), quota})
	}
	return c.Table(rows)
}

type mailboxImport struct {
	settings
	Address string `arg:"" help:"Whose mailbox."`
	Format  string `arg:"" enum:"mbox,maildir" help:"mbox or maildir."`
	Path    string `arg:"" help:"The mbox file, or the Maildir with its folders."`
	Folder  string `default:"INBOX" help:"For mbox: the folder that gets the mail."`
	Again   bool   `help:"Also bring what a folder has already, by Message-ID and size."`
}

// Help is the long text.
func (*mailboxImport) Help() string {
	return `Flags and dates of arrival come along. What the folder has already is left out, so that an import that broke off is simply done again. A message that cannot be read is told and left out. The relay must not be running.`
}

// Run is the command.
func (x *mailboxImport) Run(ctx context.Context, c *console) (err error) {
	a, cfg, err := x.account(x.Address)
	if err != nil {
		return err
	}
	s, end, err := openBoxes(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	box, err := s.Open(a.String())
	if err != nil {
		return err
	}
	defer box.Close()
	show := progress(c)
	o := transfer.Options{
		SkipDuplicates: !x.Again,
		Problem:        func(err error) { fmt.Fprintln(c.Err, "left out:", cli.Clean(err.Error())) },
		Progress:       show,
	}
	var r transfer.Result
	if x.Format == "maildir" {
		r, err = x.maildir(ctx, box, o)
	} else {
		r, err = x.mbox(ctx, box, o)
	}
	fmt.Fprintf(c.Out, "%s: %s brought in, %d there already, %d left out\n", a, cli.Count(r.Done, "message"), r.Skipped, r.Failed)
	if errors.Is(err, mailbox.ErrQuota) {
		return fmt.Errorf("the mailbox is full: give it a larger quota with \"tenma user quota %s SIZE\" and do it again (%w)", a, err)
	}
	return err
}

// maildir does not leave the directory: it is its owner's, who may have put links
// into it, and whoever brings the mail in may read what the owner may not.
func (x *mailboxImport) maildir(ctx context.Context, box *mailbox.Mailbox, o transfer.Options) (transfer.Result, error) {
	root, err := os.OpenRoot(x.Path)
	if err != nil {
		return transfer.Result{}, err
	}
	defer root.Close()
	return transfer.ImportMaildir(ctx, box, root.FS(), o)
}

func (x *mailboxImport) mbox(ctx context.Context, box *mailbox.Mailbox, o transfer.Options) (transfer.Result, error) {
	f, err := os.Open(x.Path)
	if err != nil {
		return transfer.Result{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return transfer.Result{}, errors.Join(err, fmt.Errorf("%s is not a file", x.Path))
	}
	return transfer.ImportMbox(ctx, box, x.Folder, filepath.Base(x.Path), f, info.Size(), o)
}

// account reads an address that has an account here, and the configuration.
func (s *mailboxImport) account(text string) (smtp.Address, *config.Config, error) {
	a, err := person(text)
	if err != nil {
		return a, nil, err
	}
	cfg, err := s.Peek()
	if err != nil {
		return a, nil, err
	}
	people := cfg.Auth
	people.Log = slog.New(slog.DiscardHandler)
	d, err := auth.Open(people)
	if err != nil {
		return a, nil, fmt.Errorf("opening the accounts: %w", err)
	}
	if _, there := d.Settings(a); !there {
		return a, nil, fmt.Errorf("there is no account %s, so nobody could read the mail; \"tenma user add %s\" makes one", a, a)
	}
	return a, cfg, nil
}

// progress shows how far it is: on a terminal in one line, elsewhere now and then.
func progress(c *console) func(folder string, r transfer.Result) {
	every := 10_000
	if c.Width() > 0 {
		every = 100
	}
	last := ""
	return func(folder string, r transfer.Result) {
		n := r.Done + r.Skipped + r.Failed
		if n%every != 0 && folder == last {
			return
		}
		last = folder
		if c.Width() > 0 {
			fmt.Fprintf(c.Err, "\r\x1b[K%s: %d", cli.Clean(folder), n)
		} else if n%every == 0 {
			fmt.Fprintf(c.Err, "%s: %d\n", cli.Clean(folder), n)
		}
	}
}

type mailboxExport struct {
	settings
	Address string `arg:"" help:"Whose mailbox."`
	Format  string `arg:"" enum:"mbox,maildir" help:"mbox or maildir."`
	Path    string `arg:"" help:"The mbox file, which must not exist, or the directory of the Maildir."`
	Folder  string `default:"INBOX" help:"For mbox: the folder that is written."`
}

// Help is the long text.
func (*mailboxExport) Help() string {
	return `A Maildir gets all folders (Maildir++), and a second export into it only what is new. The relay must not be running.`
}

// Run is the command.
func (x *mailboxExport) Run(ctx context.Context, c *console) (err error) {
	a, err := person(x.Address)
	if err != nil {
		return err
	}
	cfg, err := x.Peek()
	if err != nil {
		return err
	}
	s, end, err := openBoxes(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	if _, err := admin.ShowMailbox(operatorView{s}, a.String()); err != nil {
		return err
	}
	box, err := s.Open(a.String())
	if err != nil {
		return err
	}
	defer box.Close()
	var r transfer.Result
	if x.Format == "maildir" {
		r, err = transfer.ExportMaildir(ctx, box, x.Path, progress(c))
	} else {
		r, err = x.mbox(ctx, c, box)
	}
	fmt.Fprintf(c.Out, "%s: %s written, %d there already\n", a, cli.Count(r.Done, "message"), r.Skipped)
	return err
}

func (x *mailboxExport) mbox(ctx context.Context, c *console, box *mailbox.Mailbox) (transfer.Result, error) {
	f, err := os.OpenFile(x.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return transfer.Result{}, err
	}
	r, err := transfer.ExportMbox(ctx, box, x.Folder, f, progress(c))
	return r, errors.Join(err, f.Sync(), f.Close())
}

type mailboxDelete struct {
	settings
	Address string `arg:"" help:"Whose mailbox."`
	Yes     bool   `help:"Do it. Without this flag it only says what would be lost."`
}

// Help is the long text.
func (*mailboxDelete) Help() string {
	return `The account stays: "tenma user delete" removes it. The relay must not be running.`
}

// Run is the command.
func (x *mailboxDelete) Run(ctx context.Context, c *console) (err error) {
	a, err := person(x.Address)
	if err != nil {
		return err
	}
	cfg, err := x.Peek()
	if err != nil {
		return err
	}
	s, end, err := openBoxes(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	m, err := admin.ShowMailbox(operatorView{s}, a.String())
	if err != nil {
		return err
	}
	if !x.Yes {
		return fmt.Errorf("%s holds %s, %s, which would be lost; nothing was changed: add --yes to do it", a, cli.Count(int(m.Messages), "message"), octets(m.Octets))
	}
	if err := s.Remove(ctx, a.String()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Out, "the mailbox of %s is gone, with %s\n", a, cli.Count(int(m.Messages), "message"))
	return err
}
