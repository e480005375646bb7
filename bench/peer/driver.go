// Package peer runs other mail servers, and tenma, for a comparison.
//
// A mail server is known by its Driver, a file of shell functions: what its
// configuration is, how it is started and told to try again. Shell, since that
// is what another program's administrator would write. drivers/ holds those for
// Postfix, OpenSMTPD, Exim, Haraka and tenma; a file of one's own serves as well.
//
// A Server is one driver in a Box: the Linux control group that tells what all
// of its processes cost, those that have ended too, and that ends them together;
// and a mount namespace of its own, in which it finds its own resolv.conf.
//
// # A driver
//
// The file is read by bash with these variables: RUN, its own empty folder;
// WORK, where Install puts programs; PORT and HTTP_PORT, free ports of 127.0.0.1;
// ROUTE, "smarthost" (everything to SINK_HOST:SINK_PORT) or "mx" (by DNS, to
// port MX_PORT); KIND of run (plain, backlog, kill, restart, queued, syncs); RETRY, seconds between attempts; VARIANT; TENMA, a binary; and,
// empty where they do not apply, DKIM_KEY (PEM; domain src.test, selector s1),
// TLS_IN and TLS_OUT (1), TLS_CERT and TLS_KEY (PEM), CONNECTIONS (most of them
// to one destination), DNS (host:port), EXTRA (lines of its configuration). It sets
//
//	INPUT=127.0.0.1:$PORT   where it listens; it relays for 127.0.0.0/8 to anywhere
//	SPOOL=$RUN/spool        where it keeps mail
//	METRICS=http://...      what it counts itself, in Prometheus' text format, if it does
//
// and defines mta_version (prints it), mta_config (writes the configuration
// below $RUN), mta_start (returns when it is under way), mta_stop (asks it to
// stop; the box is killed after it) and mta_kick (all deferred mail is tried
// now) and, if it likes, mta_settings (prints how it is set up, for the results).
// A mta_config that exits with 3 says on standard error why the server cannot do
// what is asked for; reports show that. "NEEDS root" in a comment keeps others from trying.
package peer

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed drivers/*.sh
var drivers embed.FS

// Driver is how one mail server is configured, started and stopped.
type Driver struct {
	Name    string // as results call it: "postfix", "tenma-nosync"
	Variant string // what follows the dash
	Tenma   string // binary of tenma to use; "" is the running one
	Script  string // the shell functions
}

// names of the drivers that are built in, in the order they are listed.
func names() []string {
	return []string{"tenma", "tenma-nosync", "postfix", "opensmtpd", "exim", "haraka", "none"}
}

// About is what a driver's first comment says of it.
func (d Driver) About() string {
	var about []string
	for line := range strings.Lines(d.Script) {
		text, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		if text, ok := strings.CutPrefix(text, "!"); ok && strings.HasPrefix(text, "/") {
			continue // the line that names an interpreter
		}
		about = append(about, strings.TrimSpace(text))
	}
	return strings.TrimSpace(strings.Replace(strings.Join(about, " "), "NEEDS root.", "", 1))
}

// Root reports whether the driver says that it needs root.
func (d Driver) Root() bool { return strings.Contains(d.Script, "NEEDS root") }

// List gives the drivers that are built in.
func List() []Driver {
	var all []Driver
	for _, n := range names() {
		if d, err := Find(n); err == nil {
			all = append(all, d)
		}
	}
	return all
}

// Find gives the driver that is called name: one that is built in, a file
// whose name ends in ".sh", or "tenma:FILE" for another binary of tenma, so
// that an older one can be compared with.
func Find(name string) (Driver, error) {
	if file, ok := strings.CutPrefix(name, "tenma:"); ok {
		d, err := Find("tenma")
		if err != nil {
			return Driver{}, err
		}
		if d.Tenma, err = filepath.Abs(file); err != nil {
			return Driver{}, err
		}
		if _, err := os.Stat(d.Tenma); err != nil {
			return Driver{}, fmt.Errorf("mail server %q: %w", name, err)
		}
		d.Name = "tenma:" + filepath.Base(file)
		return d, nil
	}
	if strings.HasSuffix(name, ".sh") {
		text, err := os.ReadFile(name)
		if err != nil {
			return Driver{}, fmt.Errorf("driver of a mail server: %w", err)
		}
		return Driver{Name: strings.TrimSuffix(filepath.Base(name), ".sh"), Script: string(text)}, nil
	}
	if !slices.Contains(names(), name) {
		return Driver{}, fmt.Errorf("no mail server called %q; there are %s, and a file NAME.sh of your own", name, strings.Join(names(), ", "))
	}
	base, variant, _ := strings.Cut(name, "-")
	text, err := drivers.ReadFile("drivers/" + base + ".sh")
	if err != nil {
		return Driver{}, err
	}
	return Driver{Name: name, Variant: variant, Script: string(text)}, nil
}
