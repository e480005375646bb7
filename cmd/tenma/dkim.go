package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay/config"
	"tenma/relay/policy/dkim"
	"tenma/relay/wire/smtp"
)

type dkimCommand struct {
	New  dkimNew  `cmd:"" help:"Make a key; prints its DNS record and the lines for the configuration."`
	List dkimList `cmd:"" help:"List the configured keys, and others in the data directory."`
	DNS  dkimDNS  `cmd:"" name:"dns" help:"Print the DNS records of the configured keys, as a zone file has them."`
}

type dkimNew struct {
	settings
	Domain    string `arg:"" help:"The domain that signs, such as example.org."`
	Selector  string `placeholder:"NAME" help:"Name of the key in the DNS. Without it: s and the year for RSA, e and the year for Ed25519."`
	Algorithm string `enum:"rsa,ed25519" default:"rsa" help:"rsa or ed25519. Not every receiver knows ed25519 yet: use it beside rsa, never alone."`
	Bits      int    `default:"2048" help:"Size of an RSA key: 2048, 3072 or 4096."`
	JSON      bool   `name:"json" help:"Print as JSON."`
}

type dkimKey struct {
	Domain     string `json:"domain"`
	Selector   string `json:"selector"`
	Algorithm  string `json:"algorithm,omitempty"`
	Bits       int    `json:"bits,omitempty"`
	Key        string `json:"key"`
	Configured bool   `json:"configured"`
	Name       string `json:"name,omitempty"`
	Record     string `json:"record,omitempty"`
	Error      string `json:"error,omitempty"`
	Warning    string `json:"warning,omitempty"`
}

func asKey(i dkim.Info, configured bool) dkimKey {
	k := dkimKey{
		Domain: string(i.Domain), Selector: i.Selector, Algorithm: i.Algorithm, Bits: i.Bits, Key: i.Path,
		Configured: configured, Name: i.Name, Record: i.Record, Warning: i.Warning,
	}
	if i.Err != nil {
		k.Error = i.Err.Error()
	}
	return k
}

// Run is the command.
func (x *dkimNew) Run(c *console) error {
	d, err := smtp.ParseDomain(x.Domain)
	if err != nil || d.IsLiteral() {
		return cli.Misuse("%q is not a domain name", cli.Clean(x.Domain))
	}
	selector := x.Selector
	if selector == "" {
		selector = map[string]string{dkim.RSA: "s", dkim.Ed25519: "e"}[x.Algorithm] + time.Now().Format("2006")
	}
	if s, err := smtp.ParseDomain(selector); err != nil || s.IsLiteral() {
		return cli.Misuse("the selector %q is not a name that the DNS can have", cli.Clean(selector))
	}
	if x.Algorithm == dkim.RSA && !slices.Contains([]int{2048, 3072, 4096}, x.Bits) {
		return cli.Misuse("--bits must be 2048, 3072 or 4096 (RFC 8301)")
	}
	cfg, err := x.Peek()
	if err != nil {
		return err
	}
	name := filepath.Join(config.DKIMDir, string(d)+"."+selector+".pem")
	path := cfg.InData(name)
	if _, err := dkim.Generate(x.Algorithm, x.Bits, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already and is never replaced; give another --selector", path)
		}
		return fmt.Errorf("making the key: %w", err)
	}
	k := dkim.Key{Domain: d, Selector: selector, Path: path}
	info := dkim.Inspect([]dkim.Key{k})[0]
	if info.Err != nil {
		return fmt.Errorf("the new key cannot be used: %w", info.Err)
	}
	if x.JSON {
		return c.JSON(asKey(info, false))
	}
	fmt.Fprintf(c.Out, `Made %s

1. Publish this record, and wait until it can be looked up:

%s

2. Add these lines to the configuration, and reload with SIGHUP:

[[dkim]]
domain   = %q
selector = %q
key      = %q
`, path, zoneLine(info), string(d), selector, name)
	return nil
}

func zoneLine(i dkim.Info) string {
	return fmt.Sprintf("%s. IN TXT ( %s )", i.Name, dkim.Quote(i.Record))
}

// keys gives the configured keys and then those that lie in the data directory
// without being configured.
func (s *settings) keys() (configured, loose []dkim.Info, err error) {
	cfg, err := s.Peek()
	if err != nil {
		return nil, nil, err
	}
	configured = dkim.Inspect(cfg.DKIM.Keys)
	files, err := filepath.Glob(filepath.Join(cfg.InData(config.DKIMDir), "*.pem"))
	if err != nil {
		return nil, nil, err
	}
	var others []dkim.Key
	for _, path := range files {
		if slices.ContainsFunc(configured, func(i dkim.Info) bool { return i.Path == path }) {
			continue
		}
		base := strings.TrimSuffix(filepath.Base(path), ".pem")
		dot := strings.LastIndexByte(base, '.')
		if d, err := smtp.ParseDomain(base[:max(dot, 0)]); err == nil {
			others = append(others, dkim.Key{Domain: d, Selector: base[dot+1:], Path: path})
		}
	}
	return configured, dkim.Inspect(others), nil
}

type dkimList struct {
	settings
	JSON bool `name:"json" help:"Print as JSON."`
}

// Run is the command.
func (x *dkimList) Run(c *console) error {
	configured, loose, err := x.keys()
	if err != nil {
		return err
	}
	all := []dkimKey{}
	for _, i := range configured {
		all = append(all, asKey(i, true))
	}
	for _, i := range loose {
		all = append(all, asKey(i, false))
	}
	if x.JSON {
		return c.JSON(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.Out, `No key: mail goes out unsigned. "tenma dkim new DOMAIN" makes one.`)
		return err
	}
	rows := [][]string{{"DOMAIN", "SELECTOR", "KEY", "FILE", "STATE"}}
	for _, k := range all {
		state := "signs"
		switch {
		case k.Error != "":
			state = "cannot be used: " + k.Error
		case !k.Configured:
			state = "not in the configuration"
		case k.Warning != "":
			state = "signs; " + k.Warning
		}
		kind := k.Algorithm
		if k.Algorithm == dkim.RSA {
			kind = fmt.Sprintf("%s %d", k.Algorithm, k.Bits)
		}
		rows = append(rows, []string{k.Domain, k.Selector, kind, k.Key, state})
	}
	return c.Table(rows)
}

type dkimDNS struct {
	settings
	Domain string `arg:"" optional:"" help:"Only the records of this domain."`
	JSON   bool   `name:"json" help:"Print as JSON."`
}

// Run is the command.
func (x *dkimDNS) Run(c *console) error {
	configured, loose, err := x.keys()
	if err != nil {
		return err
	}
	var want smtp.Domain
	if x.Domain != "" {
		if want, err = smtp.ParseDomain(x.Domain); err != nil {
			return cli.Misuse("%q is not a domain name", cli.Clean(x.Domain))
		}
	}
	shown := []dkimKey{}
	// A record is published before its key is configured: show both.
	for n, i := range append(configured, loose...) {
		if want != "" && i.Domain != want {
			continue
		}
		if i.Err != nil {
			return fmt.Errorf("the key %s cannot be used: %w", i.Path, i.Err)
		}
		shown = append(shown, asKey(i, n < len(configured)))
		if !x.JSON {
			fmt.Fprintln(c.Out, zoneLine(i))
		}
	}
	if x.JSON {
		return c.JSON(shown)
	}
	if len(shown) == 0 {
		return errors.New(`there is no such key; "tenma dkim new DOMAIN" makes one`)
	}
	return nil
}
