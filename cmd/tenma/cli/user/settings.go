package user

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay/config"
	"tenma/relay/mail"
	"tenma/relay/policy/auth"
	"tenma/relay/wire/smtp"
)

type quotaCommand struct {
	person
	Size string `arg:"" optional:"" help:"Such as 1GiB; none; default for what the configuration says. Without it: show."`
}

// Run is the command.
func (x *quotaCommand) Run(c *cli.Console) error {
	quota, err := parseQuota(x.Size)
	if err != nil {
		return err
	}
	var edit func(*mail.Settings) error
	if x.Size != "" {
		edit = func(s *mail.Settings) error { s.Quota = quota; return nil }
	}
	return x.change(c, edit, func(c *cli.Console, a auth.Account, cfg *config.Config) error {
		text := quotaText(a.Settings.Quota)
		if a.Settings.Quota == 0 {
			text += ", which is " + quotaText(cmp.Or(cfg.Mailbox.Quota, -1))
		}
		_, err := fmt.Fprintf(c.Out, "%s: quota %s\n", a.Address, text)
		return err
	})
}

// parseQuota reads a quota as mail.Settings has it. "" is the default.
func parseQuota(text string) (int64, error) {
	switch text {
	case "", "default":
		return 0, nil
	case "none":
		return -1, nil
	}
	n, err := config.ParseSize(text)
	const least = 1 << 20
	switch {
	case err != nil:
		return 0, cli.Misuse("quota %q is neither a size such as 500MiB or 1GiB, nor none, nor default", cli.Clean(text))
	case n < least:
		return 0, cli.Misuse("a quota of %q holds no mail; the least is 1MiB", cli.Clean(text))
	}
	return n, nil
}

// quotaText is a quota for people, as parseQuota reads it.
func quotaText(n int64) string {
	switch {
	case n == 0:
		return "default"
	case n < 0:
		return "none"
	}
	for _, u := range []struct {
		each int64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n%u.each == 0 {
			return fmt.Sprint(n/u.each, u.name)
		}
	}
	return fmt.Sprint(n)
}

type forwardCommand struct {
	person
	To   []string `placeholder:"ADDRESS" help:"Where mail goes, in place of the addresses before; more than one with commas."`
	Keep bool     `help:"With --to: keep a copy in the mailbox."`
	Off  bool     `help:"Forward no more."`
}

// Run is the command.
func (x *forwardCommand) Run(c *cli.Console) error {
	var edit func(*mail.Settings) error
	switch {
	case x.Off && (x.Keep || len(x.To) > 0):
		return cli.Misuse("--off stands alone")
	case x.Keep && len(x.To) == 0:
		return cli.Misuse("--keep goes with --to")
	case x.Off:
		edit = func(s *mail.Settings) error { s.Forward, s.Keep = nil, false; return nil }
	case len(x.To) > 0:
		to, err := addresses(x.To)
		if err != nil {
			return err
		}
		edit = func(s *mail.Settings) error { s.Forward, s.Keep = to, x.Keep; return nil }
	}
	return x.change(c, edit, func(c *cli.Console, a auth.Account, _ *config.Config) error {
		s := a.Settings
		if len(s.Forward) == 0 {
			_, err := fmt.Fprintf(c.Out, "%s: mail is not forwarded\n", a.Address)
			return err
		}
		list := ""
		for i, to := range s.Forward {
			if i > 0 {
				list += ", "
			}
			list += to.String()
		}
		keep := map[bool]string{true: "and is kept in the mailbox", false: "and not into the mailbox"}[s.Keep]
		_, err := fmt.Fprintf(c.Out, "%s: mail goes to %s, %s\n", a.Address, list, keep)
		return err
	})
}

func addresses(list []string) ([]smtp.Address, error) {
	var all []smtp.Address
	for _, text := range list {
		a, err := smtp.ParseMailbox(strings.TrimSpace(text))
		if err != nil {
			return nil, cli.Misuse("%q is not an address", cli.Clean(text))
		}
		all = append(all, a)
	}
	return all, nil
}

type vacationCommand struct {
	person
	TextFile string `placeholder:"FILE" help:"Plain text of the reply, in UTF-8; - for the standard input."`
	Subject  string `placeholder:"TEXT" help:"Its subject. Without it: \"Automatic reply: \" and the subject of what it answers."`
	From     string `placeholder:"DATE" help:"First day, such as 2026-12-24, or a time such as \"2026-12-24 17:00\" here. Without it: now."`
	Until    string `placeholder:"DATE" help:"Last day, or a time. Without it: until --off."`
	Off      bool   `help:"Reply no more."`
}

// Help is the long text.
func (*vacationCommand) Help() string {
	return `Each sender hears the reply once in some days, and never mailing lists and programs (RFC 3834). Without a flag: show it.`
}

// Run is the command.
func (x *vacationCommand) Run(c *cli.Console) error {
	var edit func(*mail.Settings) error
	switch given := x.TextFile != "" || x.Subject != "" || x.From != "" || x.Until != ""; {
	case x.Off && given:
		return cli.Misuse("--off stands alone")
	case x.Off:
		edit = func(s *mail.Settings) error { s.Vacation = nil; return nil }
	case given && x.TextFile == "":
		return cli.Misuse("the reply needs its text: --text-file FILE")
	case given:
		v, err := x.reply(c)
		if err != nil {
			return err
		}
		edit = func(s *mail.Settings) error { s.Vacation = v; return nil }
	}
	return x.change(c, edit, showVacation)
}

// reply puts the automatic reply together.
func (x *vacationCommand) reply(c *cli.Console) (*mail.Vacation, error) {
	v := &mail.Vacation{Subject: x.Subject}
	var err error
	if v.From, err = parseDay(x.From, false); err != nil {
		return nil, err
	}
	if v.Until, err = parseDay(x.Until, true); err != nil {
		return nil, err
	}
	in := c.In
	if x.TextFile != "-" {
		f, err := os.Open(x.TextFile)
		if err != nil {
			return nil, fmt.Errorf("reading the text: %w", err)
		}
		defer f.Close()
		in = f
	}
	const most = 1 << 20 // the accounts have a smaller bound, and name it
	text, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return nil, fmt.Errorf("reading the text: %w", err)
	}
	v.Text = strings.ReplaceAll(strings.TrimPrefix(string(text), "\ufeff"), "\r\n", "\n")
	return v, nil
}

// showVacation prints an automatic reply.
func showVacation(c *cli.Console, a auth.Account, _ *config.Config) error {
	v := a.Settings.Vacation
	if v == nil {
		_, err := fmt.Fprintf(c.Out, "%s: no automatic reply\n", a.Address)
		return err
	}
	span := ""
	if !v.From.IsZero() {
		span += " from " + v.From.Local().Format(time.DateTime)
	}
	if !v.Until.IsZero() {
		span += " until " + v.Until.Local().Format(time.DateTime)
	}
	subject := cmp.Or(v.Subject, "Automatic reply: ...")
	if _, err := fmt.Fprintf(c.Out, "%s: automatic reply%s\nSubject: %s\n\n", a.Address, span, cli.Clean(subject)); err != nil {
		return err
	}
	for line := range strings.Lines(v.Text) {
		if _, err := fmt.Fprintln(c.Out, cli.Clean(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

// parseDay reads a day or a time of this place; "" is no bound. The end of a
// period that is given as a day is the end of that day.
func parseDay(text string, end bool) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil && sane(t) {
		if end {
			t = t.AddDate(0, 0, 1)
		}
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil && sane(t) {
			return t, nil
		}
	}
	return time.Time{}, cli.Misuse("%q is not a date such as 2026-12-24, nor a time such as \"2026-12-24 17:00\"", cli.Clean(text))
}

func sane(t time.Time) bool { return t.Year() >= 2000 && t.Year() < 2200 }

type retentionCommand struct {
	person
	Trash string `placeholder:"TIME" help:"What is in the trash, such as 30d; forever; default."`
	Junk  string `placeholder:"TIME" help:"What is in the junk folder."`
	POP3  string `name:"pop3" placeholder:"TIME" help:"What is in INBOX, after it was fetched by POP3."`
}

// Run is the command.
func (x *retentionCommand) Run(c *cli.Console) error {
	var set []func(*mail.Settings)
	for _, f := range []struct {
		name, text string
		into       func(*mail.Settings) *int
	}{
		{"trash", x.Trash, func(s *mail.Settings) *int { return &s.TrashDays }},
		{"junk", x.Junk, func(s *mail.Settings) *int { return &s.JunkDays }},
		{"pop3", x.POP3, func(s *mail.Settings) *int { return &s.POP3Days }},
	} {
		if f.text == "" {
			continue
		}
		days, err := parseDays(f.text)
		if err != nil {
			return cli.Misuse("--%s: %v", f.name, err)
		}
		set = append(set, func(s *mail.Settings) { *f.into(s) = days })
	}
	var edit func(*mail.Settings) error
	if len(set) > 0 {
		edit = func(s *mail.Settings) error {
			for _, fn := range set {
				fn(s)
			}
			return nil
		}
	}
	return x.change(c, edit, func(c *cli.Console, a auth.Account, cfg *config.Config) error {
		s, m := a.Settings, cfg.Mailbox
		_, err := fmt.Fprintf(c.Out, "%s: trash is kept %s, junk %s, mail fetched by POP3 %s\n", a.Address,
			daysText(s.TrashDays, m.TrashDays), daysText(s.JunkDays, m.JunkDays), daysText(s.POP3Days, m.POP3Days))
		return err
	})
}

// parseDays reads whole days as mail.Settings has them.
func parseDays(text string) (int, error) {
	switch text {
	case "default":
		return 0, nil
	case "forever":
		return -1, nil
	}
	const day = 24 * time.Hour
	d, err := config.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is neither a time such as 30d, nor forever, nor default", cli.Clean(text))
	case d < day || d%day != 0:
		return 0, fmt.Errorf("%q is not a number of whole days, such as 30d", cli.Clean(text))
	}
	return int(d / day), nil
}

// daysText is a retention for people; otherwise is what the configuration says.
func daysText(days, otherwise int) string {
	switch {
	case days > 0:
		return fmt.Sprint(days, "d")
	case days < 0:
		return "forever"
	case otherwise > 0:
		return fmt.Sprint(otherwise, "d (default)")
	}
	return "forever (default)"
}

type sendAsCommand struct {
	person
	Add    []string `placeholder:"SENDER" help:"An address, or @domain for all of a domain; more than one with commas."`
	Remove []string `placeholder:"SENDER" help:"Take one away again."`
}

// Run is the command.
func (x *sendAsCommand) Run(c *cli.Console) error {
	var edit func(*mail.Settings) error
	add, err := senders(x.Add)
	if err != nil {
		return err
	}
	remove, err := senders(x.Remove)
	if err != nil {
		return err
	}
	if len(add)+len(remove) > 0 {
		edit = func(s *mail.Settings) error {
			for _, r := range remove {
				i := slices.Index(s.SendAs, r)
				if i < 0 {
					return fmt.Errorf("%s is not among what it may send as; nothing was changed", r)
				}
				s.SendAs = slices.Delete(slices.Clone(s.SendAs), i, i+1)
			}
			for _, a := range add {
				if !slices.Contains(s.SendAs, a) {
					s.SendAs = append(s.SendAs, a)
				}
			}
			return nil
		}
	}
	return x.change(c, edit, func(c *cli.Console, a auth.Account, _ *config.Config) error {
		if len(a.Settings.SendAs) == 0 {
			_, err := fmt.Fprintf(c.Out, "%s: may send as nobody else\n", a.Address)
			return err
		}
		_, err := fmt.Fprintf(c.Out, "%s: may send as %s too\n", a.Address, strings.Join(a.Settings.SendAs, ", "))
		return err
	})
}

func senders(list []string) ([]string, error) {
	var all []string
	for _, text := range list {
		s, err := auth.ParseSender(strings.TrimSpace(text))
		if err != nil {
			return nil, cli.Misuse("%q is neither an address nor @domain", cli.Clean(text))
		}
		all = append(all, s)
	}
	return all, nil
}

type protocolsCommand struct {
	person
	Off []string `placeholder:"PROTOCOL" help:"By these it may log in no more: smtp, imap, pop3."`
	On  []string `placeholder:"PROTOCOL" help:"By these it may log in again."`
}

// Run is the command.
func (x *protocolsCommand) Run(c *cli.Console) error {
	a, d, _, err := x.open()
	if err != nil {
		return err
	}
	for _, p := range slices.Concat(x.Off, x.On) {
		if !slices.Contains(auth.Protocols(), p) {
			return cli.Misuse("%q is none of %s", cli.Clean(p), strings.Join(auth.Protocols(), ", "))
		}
	}
	acc, err := d.Account(a)
	if err != nil {
		return told(err)
	}
	var on, off []string
	for _, p := range auth.Protocols() {
		if slices.Contains(x.Off, p) || slices.Contains(acc.Off, p) && !slices.Contains(x.On, p) {
			off = append(off, p)
		} else {
			on = append(on, p)
		}
	}
	if len(x.Off)+len(x.On) > 0 {
		if err := d.SwitchOff(a, off); err != nil {
			return told(err)
		}
	}
	may := "none"
	if len(on) > 0 {
		may = strings.Join(on, ", ")
	}
	_, err = fmt.Fprintf(c.Out, "%s: may log in by %s\n", a, may)
	return err
}
