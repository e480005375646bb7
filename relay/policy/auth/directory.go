package auth

import (
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"

	"tenma/metrics"
	"tenma/relay/policy/auth/external"
	"tenma/relay/policy/auth/lastlogin"
	"tenma/relay/wire/smtp"
)

// Directory knows the accounts, and the people and places that are ours. All
// methods may be called from any goroutine.
type Directory struct {
	path    string
	cost    Cost
	log     *slog.Logger
	metrics *metrics.Auth
	random  io.Reader

	places   atomic.Pointer[places]
	accounts atomic.Pointer[snapshot]
	looked   atomic.Int64 // when the file was last looked at, Unix nanoseconds
	looking  sync.Mutex   // held while it is
	loading  sync.Mutex   // held while the file is read
	broken   atomic.Pointer[broken]

	guard  guard
	logins *lastlogin.Book
}

// places are the domains and aliases of one configuration.
type places struct {
	hostname smtp.Domain
	domains  map[smtp.Domain]bool
	first    smtp.Domain // of the configuration, "" for none
	aliases  map[smtp.Address][]smtp.Address
	catchAll map[smtp.Domain]smtp.Address
	external *external.Source // nil: none
}

// Open reads the accounts file and gives a Directory. It starts no goroutine.
// A file that cannot be read or understood is an error.
func Open(c Config) (*Directory, error) {
	d := &Directory{path: c.Path, cost: c.Cost.withDefaults(), log: c.Log, metrics: c.Metrics, random: c.Random}
	if d.metrics == nil {
		d.metrics = metrics.NewAuth(nil)
	}
	if d.log == nil {
		d.log = slog.Default()
	}
	if d.random == nil {
		d.random = rand.Reader
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	// Without a file there is no secret to remember, and no account that it
	// would hide either.
	secret := make([]byte, 2*secretLen)
	if _, err := io.ReadFull(d.random, secret); err != nil {
		return nil, err
	}
	d.guard = newGuard(c.Workers, secret[secretLen:])
	if c.LoginDir == "" && c.Path != "" {
		c.LoginDir = filepath.Join(filepath.Dir(c.Path), "logins")
	}
	d.logins = lastlogin.New(c.LoginDir, d.log)
	d.accounts.Store(&snapshot{secret: secret[:secretLen]})
	if err := d.Reload(); err != nil {
		return nil, err
	}
	return d, d.Apply(c)
}

// Apply puts other domains, aliases and catch-alls in force, and another external
// source. Path, LoginDir, Workers and Cost stay what they were.
func (d *Directory) Apply(c Config) error {
	p := &places{domains: map[smtp.Domain]bool{}, aliases: map[smtp.Address][]smtp.Address{}, catchAll: map[smtp.Domain]smtp.Address{}}
	p.hostname, _ = smtp.ParseDomain(c.Hostname)
	for i, dom := range c.Domains {
		if i == 0 {
			p.first = dom
		}
		p.domains[dom] = true
	}
	for _, al := range c.Aliases {
		key := canon(al.Address)
		if p.aliases[key] != nil {
			return fmt.Errorf("auth: alias %s is there twice", al.Address)
		}
		p.aliases[key] = al.To
	}
	for dom, to := range c.CatchAll {
		if !p.domains[dom] {
			return fmt.Errorf("auth: catch-all of %s, whose mailboxes do not live here", dom)
		}
		p.catchAll[dom] = to
	}
	if c.External != nil {
		e := *c.External
		if e.Log == nil {
			e.Log = d.log
		}
		var err error
		if p.external, err = external.New(e); err != nil {
			return fmt.Errorf("external source of accounts: %w", err)
		}
	}
	d.places.Store(p)
	return nil
}

// Reload reads the accounts file again; on an error the old accounts stay.
func (d *Directory) Reload() error {
	d.loading.Lock()
	defer d.loading.Unlock()
	af, info, err := readFile(d.path)
	if err != nil {
		return err
	}
	s, err := af.understand()
	if err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	if s.info = info; s.secret == nil {
		s.secret = d.accounts.Load().secret
	}
	if info != nil && info.Mode().Perm()&0o077 != 0 {
		d.log.Warn("other users can read the password hashes, use chmod 600", "file", d.path, "mode", info.Mode().Perm().String())
	}
	d.accounts.Store(s)
	d.looked.Store(time.Now().UnixNano())
	return nil
}

// lookEvery is how old a look at the accounts file may be. A stat takes a
// microsecond; whoever has just been given an account should not be refused. A
// file that cannot be used is read again when it changes, or after retryAfter: it
// may be large, its owner may change alone, and the log should be readable.
const (
	lookEvery  = 50 * time.Millisecond
	retryAfter = 10 * time.Second
)

// broken is a file that could not be used.
type broken struct {
	info fs.FileInfo // nil: it cannot even be looked at
	at   int64       // Unix nanoseconds
}

// current gives the accounts, read again if the file has changed. It looks at
// the file at most once in lookEvery. Who comes meanwhile waits for the end of the
// look: the accounts of before would refuse mail for good to somebody who has just
// been given a mailbox.
func (d *Directory) current() *snapshot {
	if d.path == "" || d.fresh() {
		return d.accounts.Load()
	}
	d.looking.Lock()
	defer d.looking.Unlock()
	if !d.fresh() {
		d.look()
		d.looked.Store(time.Now().UnixNano())
	}
	return d.accounts.Load()
}

// fresh reports that the file was looked at not long ago.
func (d *Directory) fresh() bool {
	age := time.Now().UnixNano() - d.looked.Load()
	return age >= 0 && age < int64(lookEvery) // a clock that was set back tells nothing
}

// look reads the accounts again if the file has changed. d.looking is held.
func (d *Directory) look() {
	s, now := d.accounts.Load(), time.Now().UnixNano()
	info, err := os.Stat(d.path)
	if err != nil {
		info = nil
	}
	if same(info, s.info) {
		return
	}
	if b := d.broken.Load(); b != nil && now-b.at < int64(retryAfter) && same(info, b.info) {
		return
	}
	if err := d.Reload(); err != nil {
		d.broken.Store(&broken{info, now})
		d.log.Error("the accounts file cannot be used, the accounts stay as they were", "file", d.path, "err", err)
	}
}

// same reports that nothing has changed; nil is no file.
func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// canon is the one spelling of an address under which it is found: local parts
// of ours have no case. It makes nothing anew for an address that has it already,
// as nearly all have.
func canon(a smtp.Address) smtp.Address {
	a.Local = strings.ToLower(norm.NFC.String(a.Local))
	return a
}

// Canonical is the spelling of an address under which it is an account here, and
// its mailbox is found.
func Canonical(a smtp.Address) smtp.Address { return canon(a) }

// canonical is canon as text: the name of an account.
func canonical(a smtp.Address) string { return canon(a).String() }

// Recipient decides on a RCPT: nil if mail for a is taken. trusted says that
// the client may relay. Its errors are *smtp.Error: 550 5.1.1 for a mailbox of
// our domains that does not exist, 550 5.7.1 for a foreign one, 451 4.4.3 while
// an external source of accounts cannot be asked. Postmaster is always taken
// (RFC 5321 section 4.5.1), and so is abuse (RFC 2142 section 4).
func (d *Directory) Recipient(a smtp.Address, trusted bool) error {
	p, s := d.places.Load(), d.current()
	switch {
	case p.account(s, a) != nil, p.role(a) != "":
		return nil
	case !p.domains[a.Domain]:
		if trusted && a.Domain != "" {
			return nil
		}
		return smtp.Errorf(550, smtp.Status{5, 7, 1}, "Relaying denied")
	}
	r := resolver{places: p, accounts: s}
	switch r.add(a, 0); {
	case r.unsure:
		return smtp.Errorf(451, smtp.Status{4, 4, 3}, "Cannot tell now whether there is such a mailbox")
	case len(r.found) == 0:
		return smtp.Errorf(550, smtp.Status{5, 1, 1}, "No such mailbox here")
	}
	return nil
}

// account gives the account that all mail for a goes to, nil if it is not as
// simple as that.
func (p *places) account(s *snapshot, a smtp.Address) *account {
	if !p.domains[a.Domain] {
		return nil
	}
	key := canon(a)
	if _, aliased := p.aliases[key]; aliased {
		return nil
	}
	return s.accounts[key]
}

// role gives "postmaster" or "abuse" for an address of that name at a place
// of ours, else "".
func (p *places) role(a smtp.Address) string {
	if !p.domains[a.Domain] && a.Domain != "" && a.Domain != p.hostname {
		return ""
	}
	switch name := strings.ToLower(base(a).Local); {
	case name == "postmaster", name == "abuse" && a.Domain != "":
		return name
	}
	return ""
}

// base is the address without what follows a "+" in its local part, by which
// people tell their mail apart.
func base(a smtp.Address) smtp.Address {
	if i := strings.IndexByte(a.Local, '+'); i > 0 {
		a.Local = a.Local[:i]
	}
	return a
}

// Bounds on aliases of aliases.
const (
	maxDepth   = 16
	maxTargets = 1000
)

// Resolve gives where mail for a goes in the end: mailboxes of ours, by the names
// that logins give, without any "+tag", and foreign addresses that an alias names. Nothing is given for
// an unknown mailbox of ours. Mail for a postmaster without alias or account
// goes to the catch-all of the domain, else to its first account, or to a mailbox
// of that very name; mail for abuse, to the postmaster.
//
// An address that an external source cannot be asked about is taken to exist: it
// did when Recipient let it in, and no mail comes back because of an outage.
// What Resolve gives must not be changed.
func (d *Directory) Resolve(a smtp.Address) []smtp.Address {
	p, s := d.places.Load(), d.current()
	if acc := p.account(s, a); acc != nil {
		return acc.self
	}
	if p.elsewhere(a) {
		return []smtp.Address{a}
	}
	r := resolver{places: p, accounts: s}
	r.add(a, 0)
	return r.found
}

// elsewhere reports an address that is no concern of ours, as most are that a relay
// sees: it leads to itself.
func (p *places) elsewhere(a smtp.Address) bool {
	if a.Domain == "" || p.domains[a.Domain] || p.role(a) != "" {
		return false
	}
	key := canon(a)
	_, aliased := p.aliases[key]
	_, tagged := p.aliases[base(key)]
	return !aliased && !tagged
}

type resolver struct {
	places   *places
	accounts *snapshot
	seen     map[smtp.Address]bool
	found    []smtp.Address
	unsure   bool // something in found may not exist
}

func (r *resolver) add(a smtp.Address, depth int) {
	role := r.places.role(a)
	if a.Domain == "" && role != "" {
		a.Domain = r.places.hostname
	}
	key := canon(a)
	if depth > maxDepth || len(r.found) >= maxTargets {
		return
	}
	ours := r.places.domains[a.Domain]
	if r.seen[key] { // an alias that names itself keeps a copy; a circle ends here
		if ours {
			r.known(key)
		}
		return
	}
	if r.seen == nil {
		r.seen = map[smtp.Address]bool{}
	}
	r.seen[key] = true
	for _, try := range [...]smtp.Address{key, base(key)} {
		if to, ok := r.places.aliases[try]; ok {
			for _, t := range to {
				r.add(t, depth+1)
			}
			return
		}
		if (ours || role != "") && r.known(try) {
			return
		}
	}
	catchAll, catches := r.places.catchAll[a.Domain]
	switch {
	case role == "abuse":
		r.add(smtp.Address{Local: "postmaster", Domain: a.Domain}, depth+1)
	case catches:
		r.add(catchAll, depth+1)
	case role == "postmaster":
		r.postmaster(a.Domain, depth)
	case !ours && a.Domain != "":
		r.found = append(r.found, a)
	}
}

// known adds the mailbox of that canonical address, if there is one.
func (r *resolver) known(key smtp.Address) bool {
	if acc := r.accounts.accounts[key]; acc != nil {
		r.mailbox(acc.address)
		return true
	}
	there, err := r.places.outside(key)
	if err != nil {
		r.unsure, there = true, true
		key = base(key)
	}
	if there {
		r.mailbox(key)
	}
	return there
}

// outside asks the external source, if there is one for that domain.
func (p *places) outside(key smtp.Address) (bool, error) {
	if p.external == nil || !p.external.Covers(key.Domain, p.domains[key.Domain]) {
		return false, nil
	}
	return p.external.Exists(key)
}

// mailbox adds an account, once, by the name under which it logs in.
func (r *resolver) mailbox(a smtp.Address) {
	key := canon(a)
	for _, f := range r.found {
		if canon(f) == key {
			return
		}
	}
	r.found = append(r.found, key)
}

// postmaster finds who reads the mail of a postmaster that is no account and
// no alias.
func (r *resolver) postmaster(at smtp.Domain, depth int) {
	if !r.places.domains[at] && r.places.first != "" { // of this host: the first domain's
		r.add(smtp.Address{Local: "postmaster", Domain: r.places.first}, depth+1)
		return
	}
	if acc := r.accounts.first[at]; acc != nil {
		r.mailbox(acc.address)
		return
	}
	r.mailbox(smtp.Address{Local: "postmaster", Domain: at})
}
