package user

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay/policy/auth"
)

type listCommand struct {
	base
	JSON bool `name:"json" help:"Print as JSON."`
}

type userAccount struct {
	Address  string         `json:"address"`
	Mailbox  bool           `json:"mailbox"`
	External bool           `json:"external"` // the password is known outside
	Created  time.Time      `json:"created"`
	Changed  time.Time      `json:"password_changed"`
	Quota    int64          `json:"quota"` // octets; 0: the default, below 0: none
	Forward  []string       `json:"forward"`
	Keep     bool           `json:"keep"`
	Vacation bool           `json:"vacation"`
	Off      []string       `json:"protocols_off"`
	Apps     []appInList    `json:"app_passwords"`
	Last     *userLogin     `json:"last_login"`
	Days     map[string]int `json:"retention_days"`
	SendAs   []string       `json:"send_as"`
}

type userLogin struct {
	Time     time.Time `json:"time"`
	Protocol string    `json:"protocol"`
	Client   string    `json:"client"`
	App      string    `json:"app_password,omitempty"`
}

// Run is the command.
func (x *listCommand) Run(c *cli.Console) error {
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
		all = append(all, inList(a, slices.Contains(cfg.Auth.Domains, a.Address.Domain)))
	}
	if x.JSON {
		return c.JSON(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.Out, `No account. "tenma user add ADDRESS" makes one.`)
		return err
	}
	rows := [][]string{{"ADDRESS", "MAILBOX", "QUOTA", "LAST LOGIN", "APPS", "FORWARD", "CREATED", "PASSWORD CHANGED"}}
	for _, a := range all {
		rows = append(rows, a.row())
	}
	return c.Table(rows)
}

func inList(a auth.Account, mailbox bool) userAccount {
	u := userAccount{
		Address: a.Address.String(), Mailbox: mailbox, External: a.External, Created: a.Created, Changed: a.Changed,
		Quota: a.Settings.Quota, Forward: []string{}, Keep: a.Settings.Keep, Vacation: a.Settings.Vacation != nil,
		Off: append([]string{}, a.Off...), Apps: []appInList{}, SendAs: append([]string{}, a.Settings.SendAs...),
		Days: map[string]int{"trash": a.Settings.TrashDays, "junk": a.Settings.JunkDays, "pop3": a.Settings.POP3Days},
		Last: loginOf(a.Last),
	}
	for _, to := range a.Settings.Forward {
		u.Forward = append(u.Forward, to.String())
	}
	for _, app := range a.Apps {
		u.Apps = append(u.Apps, appOf(app))
	}
	return u
}

func loginOf(l *auth.Login) *userLogin {
	if l == nil {
		return nil
	}
	return &userLogin{Time: l.Time, Protocol: l.Protocol, Client: l.Client, App: l.App}
}

// when is a login for people.
func (l *userLogin) when() string {
	if l == nil {
		return "never"
	}
	return l.Time.Local().Format(time.DateTime) + " " + l.Protocol
}

// row is an account for people.
func (u *userAccount) row() []string {
	mailbox := "none"
	quota := "-"
	if u.Mailbox {
		mailbox, quota = "here", quotaText(u.Quota)
	}
	forward := strings.Join(u.Forward, ",")
	switch {
	case forward == "":
		forward = "-"
	case u.Keep:
		forward += " (and kept)"
	}
	changed := u.Changed.Local().Format(time.DateTime)
	if u.External {
		changed = "external"
	}
	return []string{
		u.Address, mailbox, quota, u.Last.when(), strconv.Itoa(len(u.Apps)), cli.Cut(forward, 60),
		u.Created.Local().Format(time.DateTime), changed,
	}
}
