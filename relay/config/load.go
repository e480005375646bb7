package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tenma/relay/config/document"
	"tenma/relay/config/document/units"
	"tenma/relay/policy/dkim"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/wire/smtp"
)

// maxInput bounds a configuration file and each file it names (1 MiB: a
// thousand routes are a tenth of it).
const maxInput = 1 << 20

// Load reads the file at path. Its error is Errors, with all that is wrong, or
// one *Problem where the file cannot be read at all; the warnings are given in
// either case. Files that the configuration names (certificate, keys, secrets)
// are read and checked too, so that a configuration that loads also starts.
//
// Relative paths start in data_dir, and a relative data_dir where the file
// lies. Files that are only read may lie beside the configuration file instead.
func Load(path string) (*Config, []Warning, error) { return load(path, system()) }

// Peek is Load without the files that the configuration names: for commands
// that only want to know where things are, and may be run before those files
// are there or by someone who may not read them. Secrets are left empty.
func Peek(path string) (*Config, error) {
	w := system()
	w.peek = true
	cfg, _, err := load(path, w)
	return cfg, err
}

func load(path string, w world) (*Config, []Warning, error) {
	text, err := w.readFile(path)
	if err != nil {
		return nil, nil, &Problem{File: path, Text: "the configuration cannot be read: " + plain(err)}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, &Problem{File: path, Text: plain(err)}
	}
	cfg, warnings, errs := parse(path, abs, text, w)
	if openToAll(path) {
		warnings = append(warnings, plainSecrets(path, text)...)
	}
	if len(errs) > 0 {
		return nil, warnings, errs
	}
	return cfg, warnings, nil
}

func system() world {
	return world{
		hostname: os.Hostname,
		getenv:   os.LookupEnv,
		readFile: readRegular,
		exists:   func(path string) bool { _, err := os.Stat(path); return err == nil },
		open:     openToAll,
		inspect:  func(k dkim.Key) dkim.Info { return dkim.Inspect([]dkim.Key{k})[0] },
		keys:     rotation.Files,
		now:      time.Now(),
	}
}

// openToAll reports a file that every user of the machine may read.
func openToAll(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o004 != 0
}

// readRegular refuses devices and pipes, which could block a start for ever.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("larger than %d octets", maxInput)
	}
	return text, err
}

// plain leaves out the operation and path that a file error repeats.
func plain(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// ParseDuration reads a duration as the configuration has it: "90s", "72h", "3d".
func ParseDuration(s string) (time.Duration, error) { return units.ParseDuration(s) }

// parse is Load without the file system of its own.
func parse(file, abs string, text []byte, w world) (*Config, []Warning, Errors) {
	root, p := document.Parse(file, text)
	if p != nil {
		return nil, nil, Errors{p}
	}
	r := &reader{Reader: document.NewReader(file), world: w, dir: filepath.Dir(abs)}
	r.Explain = explain
	cfg := r.config(root)
	cfg.Path = abs
	slices.SortStableFunc(r.Errs, document.ByPlace)
	slices.SortStableFunc(r.Warnings, document.ByPlace)
	return cfg, r.Warnings, r.Errs
}

// schema gives every key that is known, by section.
func schema() map[string][]string {
	const one = "[[listen]]\n[[route]]\n[[domain]]\n[[alias]]\n[[dkim]]\n[[tenant]]\n[[milter]]\n"
	root, _ := document.Parse("", []byte(one))
	w := world{
		hostname: func() (string, error) { return "", nil },
		getenv:   func(string) (string, bool) { return "", false },
		readFile: func(string) ([]byte, error) { return nil, os.ErrNotExist },
		exists:   func(string) bool { return false },
		peek:     true,
	}
	r := &reader{Reader: document.NewReader(""), world: w, dir: "/"}
	r.config(root)
	return r.Known
}

// Keys lists every key that a configuration may have, as "section.key",
// sorted; the reference page is checked against it.
func Keys() []string {
	var all []string
	for section, keys := range maps.All(schema()) {
		for _, k := range keys {
			all = append(all, strings.TrimPrefix(section+"."+k, "."))
		}
	}
	slices.Sort(all)
	return all
}

// explain says more about a key that its section does not know: what is not
// built yet, and where the key belongs.
func explain(section, key string) string {
	if why := notYet(section, key); why != "" {
		return ": " + why
	}
	elsewhere := schema()
	for _, other := range slices.Sorted(maps.Keys(elsewhere)) {
		if slices.Contains(elsewhere[other], key) {
			if other == "" {
				return "; it belongs at the top of the file, before any [table]"
			}
			return "; it belongs in " + document.Title(other)
		}
	}
	return ""
}

// notYet explains the keys that the documentation of later versions has.
func notYet(section, key string) string {
	if section == "" {
		switch key {
		case "source", "pool":
			return "outbound sources and pools are not built yet; the system chooses the address"
		case "tlsrpt":
			return "TLS reports are not built yet"
		case "shaping":
			return "shaping files are not built yet; [delivery] has limits for all lanes"
		}
	}
	if section == "tenant" && (key == "pool" || key == "weight" || key == "brake") {
		return "pools, weights and brakes of tenants are not built yet"
	}
	return ""
}

// Default is the configuration without a file: a safe relay on loopback with
// its data in ./tenma-data.
func Default() (*Config, error) {
	dir, err := filepath.Abs(".")
	if err != nil {
		return nil, fmt.Errorf("the working directory cannot be found: %w", err)
	}
	cfg, _, errs := parse("", filepath.Join(dir, "tenma.toml"), []byte(defaults), system())
	if len(errs) > 0 {
		return nil, errs
	}
	cfg.Path = ""
	return cfg, nil
}

// DefaultText is the configuration that Default stands for, as a file.
func DefaultText() string { return defaults }

const defaults = `# What "tenma serve" runs without a configuration file.
data_dir = "tenma-data"

[[listen]]                  # relays for this machine without a login, for others only with one
protocol   = "smtp"
address    = "127.0.0.1:2525"
tls        = "starttls"
auth       = "optional"
relay_from = ["127.0.0.0/8", "::1/128"]

[[listen]]                  # submission
protocol = "smtp"
address  = "127.0.0.1:2587"
tls      = "starttls"
auth     = "required"

[[listen]]                  # submission, TLS from the first octet
protocol = "smtp"
address  = "127.0.0.1:2465"
tls      = "implicit"
auth     = "required"

[[listen]]                  # mailboxes
protocol = "imap"
address  = "127.0.0.1:2143"

[[listen]]
protocol = "imap"
address  = "127.0.0.1:2993"
tls      = "implicit"

[[listen]]
protocol = "pop3"
address  = "127.0.0.1:2110"

[[listen]]
protocol = "pop3"
address  = "127.0.0.1:2995"
tls      = "implicit"

[[domain]]                  # "tenma user add me@localhost" makes a mailbox
name = "localhost"

[setup]                     # what mail programs on this machine are told
host = "localhost"

[[listen]]                  # metrics, health, API
protocol = "http"
address  = "127.0.0.1:2580"
`

// systemHostname is the host's own name where it can stand in EHLO.
func (r *reader) systemHostname() string {
	name, err := r.hostname()
	if err != nil {
		return "localhost"
	}
	d, err := smtp.ParseDomain(name)
	if err != nil {
		return "localhost"
	}
	return string(d)
}

// isIP tells a literal from a name.
func isIP(s string) bool { return net.ParseIP(s) != nil }

// ParseSize reads a size as the configuration has it: octets, "512KiB", "1GiB".
func ParseSize(s string) (int64, error) { return units.ParseSize(s) }
