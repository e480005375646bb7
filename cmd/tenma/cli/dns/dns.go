// Package dns is "tenma dns": the records that a domain should publish, and what of
// those that it does publish receivers will hold against its mail.
package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay"
	"tenma/relay/admin/setup"
	"tenma/relay/config"
	"tenma/relay/policy/dkim"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/wire/smtp"
)

// Command is "tenma dns".
type Command struct {
	Records recordsCommand `cmd:"" help:"Print the records that a domain should publish."`
	Check   checkCommand   `cmd:"" help:"Look at the records of a domain, as receivers do: what is right, wrong, missing, and what to do."`
}

// about is what both commands are told.
type about struct {
	cli.Settings
	Domain  string       `arg:"" help:"The domain, such as example.org."`
	Address []netip.Addr `placeholder:"IP" help:"Public address that mail goes out from; may be repeated. Without it: those that this machine knows. Needed behind a router that translates addresses."`
	JSON    bool         `name:"json" help:"Print as JSON."`
}

// open reads the configuration and the domain.
func (x *about) open() (*config.Config, smtp.Domain, error) {
	d, err := smtp.ParseDomain(x.Domain)
	if err != nil || d.IsLiteral() {
		return nil, "", cli.Misuse("%q is not a domain name", cli.Clean(x.Domain))
	}
	cfg, err := x.Peek()
	return cfg, d, err
}

// addresses are those that mail goes out from.
func (x *about) addresses(cfg *config.Config) []netip.Addr {
	if len(x.Address) == 0 {
		return relay.Addresses(cfg.Route.Source)
	}
	var all []netip.Addr
	for _, a := range x.Address {
		all = append(all, a.Unmap())
	}
	return all
}

// comesHere reports that mail for a domain comes to this relay: its mailboxes are
// here, or it stands in return paths.
func comesHere(cfg *config.Config, d smtp.Domain) bool {
	return slices.Contains(cfg.Setup.Domains, d) || bare(cfg, d)
}

// bare reports a domain that stands in return paths alone: rewritten senders, and
// signed ones.
func bare(cfg *config.Config, d smtp.Domain) bool {
	return !slices.Contains(cfg.Setup.Domains, d) && (d == cfg.Mailbox.SRSDomain || d == cfg.Returns.Domain)
}

// key is one key of a domain and what it is there for.
type key struct {
	dkim.Info
	phase rotation.Phase // active for those that the configuration names
	until time.Time      // retiring: the record must stay until then
}

// keys gives the keys whose records must be there, or are to come.
func keys(cfg *config.Config, d smtp.Domain) ([]key, error) {
	var all []key
	for _, i := range dkim.Inspect(cfg.DKIM.Keys) {
		all = append(all, key{Info: i, phase: rotation.Active})
	}
	kept, err := rotation.Kept(cfg.Rotation, time.Now())
	if err != nil {
		return nil, err
	}
	for _, k := range kept {
		all = append(all, key{cfg.Rotation.Inspect(k), k.Phase, k.Since.Add(rotation.RecordStays(cfg.Rotation.Hold))})
	}
	all = slices.DeleteFunc(all, func(k key) bool { return k.Domain != d || k.phase == rotation.Retired })
	for _, k := range all {
		if k.Err != nil {
			return nil, fmt.Errorf("the key %s cannot be used: %w", k.Path, k.Err)
		}
	}
	return all, nil
}

// record is what to publish for a key.
func (k *key) record() setup.Record {
	r := setup.Record{Name: strings.TrimSuffix(k.Name, ".") + ".", Type: "TXT", Value: k.Record}
	switch k.phase {
	case rotation.Next:
		r.For = "DKIM: the next key, which signs when this has been seen for some hours"
	case rotation.Retiring:
		r.For = "DKIM: an old key; leave it until " + k.until.Local().Format(time.DateOnly)
	}
	return r
}
