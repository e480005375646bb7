package user

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay/policy/auth"
)

type appPasswordCommand struct {
	Add    appPasswordAdd    `cmd:"" help:"Make a password for one device or program, and show it this once."`
	List   appPasswordList   `cmd:"" help:"List the app passwords of an account."`
	Delete appPasswordDelete `cmd:"" help:"End an app password."`
}

type appPasswordAdd struct {
	person
	Name string   `arg:"" help:"What it is for, such as phone."`
	Only []string `placeholder:"PROTOCOL" help:"Only for these: smtp, imap, pop3. Without it: all."`
}

// Help is the long text.
func (*appPasswordAdd) Help() string {
	return `The password is made up here and is shown once. It logs in with the account's address as user name, like the main password; a program that insists on SCRAM wants ADDRESS/NAME as user name. Deleting it shuts out that device alone.
Hyphens, spaces and case do not matter when it is typed.`
}

// Run is the command.
func (x *appPasswordAdd) Run(c *cli.Console) error {
	a, d, _, err := x.open()
	if err != nil {
		return err
	}
	password, err := d.AddAppPassword(a, x.Name, x.Only)
	switch {
	case errors.Is(err, auth.ErrExists):
		return fmt.Errorf("%w; delete it first, or take another name", err)
	case err != nil:
		return told(err)
	}
	fmt.Fprintf(c.Err, "App password %s of %s for %s; it is not shown again:\n", x.Name, a, protocols(x.Only))
	_, err = fmt.Fprintln(c.Out, password)
	return err
}

func protocols(only []string) string {
	if len(only) == 0 {
		return "all protocols"
	}
	return strings.Join(only, ", ")
}

type appPasswordList struct {
	person
	JSON bool `name:"json" help:"Print as JSON."`
}

type appInList struct {
	Name    string     `json:"name"`
	Created time.Time  `json:"created"`
	Only    []string   `json:"only"` // protocols; none: all
	Last    *userLogin `json:"last_login"`
}

func appOf(a auth.AppPassword) appInList {
	return appInList{Name: a.Name, Created: a.Created, Only: append([]string{}, a.Only...), Last: loginOf(a.Last)}
}

// Run is the command.
func (x *appPasswordList) Run(c *cli.Console) error {
	a, d, _, err := x.open()
	if err != nil {
		return err
	}
	acc, err := d.Account(a)
	if err != nil {
		return told(err)
	}
	all := []appInList{}
	for _, app := range acc.Apps {
		all = append(all, appOf(app))
	}
	if x.JSON {
		return c.JSON(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintf(c.Out, "%s has no app password. \"tenma user app-password add %s phone\" makes one.\n", a, a)
		return err
	}
	rows := [][]string{{"NAME", "FOR", "CREATED", "LAST LOGIN"}}
	for _, app := range all {
		rows = append(rows, []string{app.Name, protocols(app.Only), app.Created.Local().Format(time.DateTime), app.Last.when()})
	}
	return c.Table(rows)
}

type appPasswordDelete struct {
	person
	Name string `arg:"" help:"The name of the app password."`
}

// Run is the command.
func (x *appPasswordDelete) Run(c *cli.Console) error {
	a, d, _, err := x.open()
	if err != nil {
		return err
	}
	if err := d.DeleteAppPassword(a, x.Name); err != nil {
		return told(err)
	}
	_, err = fmt.Fprintf(c.Out, "app password %s of %s deleted; who is logged in with it stays so until the connection ends\n", x.Name, a)
	return err
}
