package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"tenma/relay/admin"
	"tenma/relay/ingress"
	"tenma/relay/mail"
	"tenma/relay/policy/auth"
	"tenma/relay/policy/dkim"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/policy/route"
	"tenma/relay/wire/smtp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fake is a world of a few files.
func fake(files map[string]string) world {
	return world{
		hostname: func() (string, error) { return "mx1.sender.test", nil },
		getenv: func(k string) (string, bool) {
			v, ok := map[string]string{"SMARTHOST_PASSWORD": "from the environment", "EMPTY": ""}[k]
			return v, ok
		},
		readFile: func(p string) ([]byte, error) {
			if text, ok := files[p]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
		},
		exists: func(p string) bool { _, ok := files[p]; return ok },
		open:   func(p string) bool { return strings.HasSuffix(p, "everyones") },
		inspect: func(k dkim.Key) dkim.Info {
			switch files[k.Path] {
			case "bad":
				return dkim.Info{Err: errors.New("not a key")}
			case "small":
				return dkim.Info{Warning: "1024 bits are few"}
			}
			return dkim.Info{}
		},
		keys: func(dir string) (map[smtp.Domain][]rotation.File, error) {
			if dir != "/data/dkim" {
				return nil, fs.ErrPermission
			}
			return map[smtp.Domain][]rotation.File{"kept.test": {{Domain: "kept.test", Selector: "s1"}}}, nil
		},
		now: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC),
	}
}

func standardFiles() map[string]string {
	return map[string]string{
		"/etc/tenma/password":         "hush\n",
		"/data/dkim/example.test.pem": "key",
		"/data/dkim/bad.pem":          "bad",
		"/data/dkim/small.pem":        "small",
		"/data/both":                  "in data\n",
		"/etc/tenma/rules.toml":       "without = [\"greylisted\"]\n",
		"/etc/tenma/bad-rules.toml":   "[[rule]]\nname = \"x\"\nclass = \"Nothing\"\n",
		"/etc/tenma/everyones":        "secret\n",
		"/etc/tenma/both":             "beside\n",
	}
}

func read(t *testing.T, text string) (*Config, []Warning, Errors) {
	t.Helper()
	return parse("tenma.toml", "/etc/tenma/tenma.toml", []byte(text), fake(standardFiles()))
}

// TestProblems goes through testdata/problems.txtar: each NAME.toml has its
// errors and warnings in NAME.want, with line and column.
func TestProblems(t *testing.T) {
	const golden = "testdata/problems.txtar"
	archive, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, f := range archive.Files {
		if name, ok := strings.CutSuffix(f.Name, ".want"); ok {
			want[name] = string(f.Data)
		}
	}
	out := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		name, ok := strings.CutSuffix(f.Name, ".toml")
		if !ok {
			continue
		}
		_, warnings, errs := read(t, string(f.Data))
		var got strings.Builder
		for _, e := range errs {
			fmt.Fprintln(&got, e)
		}
		for _, w := range warnings {
			fmt.Fprintf(&got, "warning: %v\n", w)
		}
		out.Files = append(out.Files, f, txtar.File{Name: name + ".want", Data: []byte(got.String())})
		if !*update {
			if d := cmp.Diff(want[name], got.String()); d != "" {
				t.Errorf("%s (-want +got):\n%s", name, d)
			}
			if got.Len() == 0 && !strings.HasPrefix(name, "fine") {
				t.Errorf("%s: nothing is wrong with it", name)
			}
		}
	}
	if *update {
		if err := os.WriteFile(golden, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const whole = `
hostname = "MX1.Sender.Test"
data_dir = "/data"

[[listen]]
protocol   = "smtp"
address    = "0.0.0.0:25"
tls        = "starttls"
auth       = "off"
relay_from = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]
bare_lf    = "normalize"
trust_tenant_header = true
proxy_protocol_from = ["10.1.0.0/16"]
max_message_size = "50MiB"
max_recipients = 500

[[listen]]
protocol = "smtp"
address  = "192.0.2.1:587"
auth     = "required"

[[listen]]
protocol = "lmtp"
address  = "127.0.0.1:24"
relay_from = ["127.0.0.1"]

[[listen]]
protocol = "http"
address  = "127.0.0.1:8080"

[spool]
directories   = ["queue"]
memory        = "1GiB"
min_free_disk = "10GiB"

[dns]
servers = ["127.0.0.1:5353", "::1"]
dnssec  = "trusted"
timeout = "3s"

[delivery]
port  = 2525
retry = ["30s", "1m", "1h"]
expire = "1d12h"
delay_notice = "4h"
private_destinations = true
bdat = false
lane_connections = 20
conversion = "fail"
long_lines = "keep"
dsn_per_sender = 0
timeouts.dot = "15m"
tls_minimum = "1.2"

[[route]]
domain = "*.Corp.test"
to     = "smtp://127.0.0.1:2526"

[[route]]
domain   = "smart.test"
to       = ["smtp://a.smart.test:587", "smtp://b.smart.test"]
user     = "relay"
password = { file = "password" }

[[route]]
domain = "*"
to     = "smtps://[2001:db8::25]"
user   = "relay"
password = { env = "SMARTHOST_PASSWORD" }

[[domain]]
name = "Example.test"

[[alias]]
address = "postmaster@example.test"
to      = ["admin@example.test", "ops@corp.test"]

[[dkim]]
domain   = "kept.test"
rotate   = "180d"

[[dkim]]
domain   = "example.test"
selector = "s2026"
key      = "dkim/example.test.pem"

[log]
level     = "debug"
format    = "json"
directory = "/var/log/tenma"
sync      = false
retention = "90d"
`

func TestWhole(t *testing.T) {
	c, warnings, errs := read(t, whole)
	if len(errs) > 0 || len(warnings) != 1 { // of the mail log's sync
		t.Fatalf("errors %v, warnings %v", errs, warnings)
	}
	limits := ingress.DefaultLimits()
	limits.MessageSize, limits.Recipients = 50<<20, 500
	wantListeners := []ingress.Listener{
		{
			Address: "0.0.0.0:25", TLS: ingress.TLSStart, Auth: ingress.AuthOff, BareLF: ingress.LFNormalize, TrustTenantHeader: true,
			RelayFrom: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("192.0.2.7/32")},
			ProxyFrom: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
			Limits:    &limits,
		},
		{Address: "192.0.2.1:587", TLS: ingress.TLSStart, Auth: ingress.AuthMust, Submission: true},
		{Address: "127.0.0.1:24", LMTP: true, TLS: ingress.TLSOff, Auth: ingress.AuthOff, RelayFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}},
	}
	same(t, "listeners", wantListeners, c.Ingress.Listeners)
	same(t, "http", []admin.Listener{{Address: "127.0.0.1:8080"}}, c.Admin.Listeners)
	same(t, "spool", Spool{Dir: "/data/queue", Sync: true, Memory: 1 << 30, MinFreeBytes: 10 << 30}, c.Spool)
	same(t, "dns", []string{"127.0.0.1:5353", "[::1]:53"}, c.DNS.Servers)
	same(t, "retry", []time.Duration{30 * time.Second, time.Minute, time.Hour}, c.Queue.Retry)
	same(t, "rules", []route.Rule{
		{Domain: "*.corp.test", Kind: mail.ByHost, Hosts: []mail.Host{{Name: "127.0.0.1", Port: 2526, Addr: netip.MustParseAddr("127.0.0.1")}}},
		{
			Domain: "smart.test", Kind: mail.ByHost, TLS: mail.TLSVerified, Auth: &mail.Credentials{User: "relay", Password: "hush"},
			Hosts: []mail.Host{{Name: "a.smart.test", Port: 587}, {Name: "b.smart.test", Port: 25, Pref: 1}},
		},
		{
			Domain: "*", Kind: mail.ByHost, TLS: mail.TLSImplicit, Auth: &mail.Credentials{User: "relay", Password: "from the environment"},
			Hosts: []mail.Host{{Name: "2001:db8::25", Port: 465, Addr: netip.MustParseAddr("2001:db8::25")}},
		},
	}, c.Route.Rules)
	same(t, "aliases", []auth.Alias{{
		Address: smtp.Address{Local: "postmaster", Domain: "example.test"},
		To:      []smtp.Address{{Local: "admin", Domain: "example.test"}, {Local: "ops", Domain: "corp.test"}},
	}}, c.Auth.Aliases)
	same(t, "kept keys", rotation.Config{Dir: "/data/dkim", Domains: []rotation.Domain{{Name: "kept.test", Every: 180 * 24 * time.Hour}}, Hold: c.Queue.Expire}, c.Rotation)
	same(t, "dkim", []dkim.Key{{Domain: "example.test", Selector: "s2026", Path: "/data/dkim/example.test.pem"}}, c.DKIM.Keys)
	for _, ok := range []struct {
		what string
		held bool
	}{
		{"hostname in lower case, everywhere", c.Hostname == "mx1.sender.test" && c.Ingress.Hostname == c.Hostname && c.Delivery.Hostname == c.Hostname && c.Intake.Hostname == c.Hostname},
		{"dns", c.DNS.TrustAD && c.DNS.Timeout == 3*time.Second},
		{"delivery", c.Route.Port == 2525 && c.Route.PrivateDestinations && c.Delivery.PrivateDestinations && c.Delivery.NoBDAT && !c.Delivery.NoPipelining},
		{"times", c.Queue.Expire == 36*time.Hour && c.Queue.DelayNotice == 4*time.Hour && c.Delivery.Timeouts.Dot == 15*time.Minute && c.Delivery.Timeouts.Banner == time.Minute},
		{"lane limits reach both stages", c.Queue.LaneConnections == 20 && c.Delivery.LaneConnections == 20},
		{"signatures of others and long lines are kept, notices unlimited", c.Rendition.KeepSignatures && c.Rendition.KeepLongLines && c.Bounce.PerSender == 0},
		{"mail log", c.MailLog.Dir == "/var/log/tenma" && !c.MailLog.Sync && c.MailLog.Retain == 90*24*time.Hour},
		{"files in data_dir", c.Auth.Path == "/data/accounts.toml" && c.Admin.TokenPath == "/data/admin-token" && c.Mailbox.Dir == "/data/mailboxes"},
		{"self-signed", c.TLS.SelfSigned && c.TLS.Certificate == "/data/self-signed.crt"},
		{"program log", c.Log.JSON && c.Log.Level == -4},
	} {
		if !ok.held {
			t.Errorf("%s: not as written", ok.what)
		}
	}
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// A file beside the configuration is taken only if data_dir has none of that name.
func TestInputFilesPreferDataDir(t *testing.T) {
	c, _, errs := read(t, "data_dir = \"/data\"\n[[listen]]\nprotocol=\"http\"\naddress=\"127.0.0.1:1\"\n[[route]]\ndomain=\"*\"\nto=\"smtps://a.test\"\nuser=\"u\"\npassword={file=\"both\"}\n")
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if got := c.Route.Rules[0].Auth.Password; got != "in data" {
		t.Errorf("password %q", got)
	}
}

func TestDefault(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range c.Ingress.Listeners {
		got = append(got, fmt.Sprint(l.Address, " ", l.TLS, " ", l.Auth, " ", l.Submission, " ", l.RelayFrom))
	}
	same(t, "listeners", []string{
		"127.0.0.1:2525 starttls optional false [127.0.0.0/8 ::1/128]",
		"127.0.0.1:2587 starttls required true []",
		"127.0.0.1:2465 implicit required true []",
	}, got)
	got = nil
	for _, l := range c.IMAP.Listeners {
		got = append(got, fmt.Sprint("imap ", l.Address, " ", l.TLS))
	}
	for _, l := range c.POP3.Listeners {
		got = append(got, fmt.Sprint("pop3 ", l.Address, " ", l.TLS))
	}
	same(t, "mailbox listeners", []string{
		"imap 127.0.0.1:2143 starttls", "imap 127.0.0.1:2993 implicit", "pop3 127.0.0.1:2110 starttls", "pop3 127.0.0.1:2995 implicit",
	}, got)
	if dir, _ := os.Getwd(); c.DataDir != filepath.Join(dir, "tenma-data") || c.Path != "" || c.Hostname == "" {
		t.Errorf("data in %s, path %q, hostname %q", c.DataDir, c.Path, c.Hostname)
	}
	if entries, _ := os.ReadDir("."); len(entries) > 0 {
		t.Errorf("reading a configuration made %v", entries)
	}
}

func TestLoadFromDisk(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tenma.toml")
	if err := os.WriteFile(path, []byte("hostname = \"mx.sender.test\"\ndata_dir = \"data\"\n[[listen]]\nprotocol = \"http\"\naddress = \"127.0.0.1:0\"\n[[route]]\ndomain = \"*\"\nto = \"smtps://a.test\"\nuser = \"u\"\npassword = \"geheim\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, warnings, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != filepath.Join(dir, "data") || c.Path != path {
		t.Errorf("data_dir %s, path %s", c.DataDir, c.Path)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Text, "everyone may read") || strings.Contains(warnings[0].Text, "geheim") {
		t.Errorf("warnings %v", warnings)
	}
	large := filepath.Join(dir, "large.toml")
	if err := os.WriteFile(large, []byte("# "+strings.Repeat("x", maxInput)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		large:                           "larger than",
		filepath.Join(dir, "none.toml"): "no such file",
		dir:                             "not a regular file",
	} {
		if _, _, err := Load(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%s): %v", name, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(whole)
	f.Add(DefaultText())
	archive, err := txtar.ParseFile("testdata/problems.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if strings.HasSuffix(file.Name, ".toml") {
			f.Add(string(file.Data))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, warnings, errs := read(t, text)
		for _, p := range append(warnings, errs...) {
			lines := strings.Count(text, "\n") + 1
			if p.Line < 0 || p.Line > lines || p.Text == "" || strings.ContainsAny(p.Text, "\n\r") {
				t.Errorf("problem %q at %d of %d lines", p.Text, p.Line, lines)
			}
		}
		if len(errs) > 0 {
			return
		}
		// What is taken is usable.
		if c.Hostname == "" || !filepath.IsAbs(c.DataDir) || len(c.Queue.Retry) == 0 || c.Route.Port == 0 || len(c.Ingress.Listeners)+len(c.Admin.Listeners)+len(c.IMAP.Listeners)+len(c.POP3.Listeners) == 0 {
			t.Errorf("taken, but not usable: %+v", c)
		}
		for _, r := range c.Route.Rules {
			if r.Kind == mail.ByHost && len(r.Hosts) == 0 {
				t.Errorf("route without hosts: %+v", r)
			}
		}
	})
}

// Peek is for commands that run before the named files are there.
func TestPeek(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenma.toml")
	text := "[[listen]]\nprotocol = \"http\"\naddress = \"127.0.0.1:1\"\n[tls]\ncertificate = \"none\"\nkey = \"none\"\n" +
		"[[dkim]]\ndomain = \"a.test\"\nselector = \"s\"\nkey = \"none\"\n[[route]]\ndomain = \"*\"\nto = \"smtps://a.test\"\nuser = \"u\"\npassword = { file = \"none\" }\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Peek(path); err != nil || len(c.DKIM.Keys) != 1 {
		t.Errorf("Peek: %v", err)
	}
	var errs Errors
	if _, _, err := Load(path); !errors.As(err, &errs) || len(errs) != 4 {
		t.Errorf("Load: %v", err)
	}
}

// The rules of replies are read from the file that [bounce] names, unless nobody
// wants to look into files.
func TestBounceRules(t *testing.T) {
	text := "hostname = \"mx.test\"\n[[listen]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:2525\"\n[bounce]\nrules = \"rules.toml\"\n"
	c, _, errs := read(t, text)
	if len(errs) > 0 || c.Classify.Rules != standardFiles()["/etc/tenma/rules.toml"] {
		t.Errorf("%q, %v", c.Classify.Rules, errs)
	}
	w := fake(nil)
	w.peek = true
	if _, _, errs := parse("tenma.toml", "/etc/tenma/tenma.toml", []byte(text), w); len(errs) > 0 {
		t.Errorf("peeking: %v", errs)
	}
}

func TestVerdicts(t *testing.T) {
	const head = "hostname = \"mx.test\"\n[[listen]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:2525\"\n[verdicts]\n"
	for _, c := range []struct{ text, problem, warning string }{
		{"", "", ""},
		{"dmarc = \"reject\"\nforwarders = [\"list.test\"]\ntimeout = \"5s\"\n", "", ""},
		{"dmarc = \"delete\"\n", "dmarc", ""},
		{"check = false\ndmarc = \"reject\"\n", "check is false", ""},
		{"forwarders = [\"list.test\"]\n", "", "forwarders"},
		{"forwarders = [\"..\"]\ndmarc = \"reject\"\n", "forwarders", ""},
		{"timeout = \"1h\"\n", "timeout", ""},
	} {
		cfg, warnings, errs := read(t, head+c.text)
		if (c.problem != "") != (len(errs) > 0) || c.problem != "" && !strings.Contains(errs.Error(), c.problem) {
			t.Errorf("%q: %v", c.text, errs)
		}
		if told := strings.Contains(fmt.Sprint(warnings), "forwarders are only"); told != (c.warning != "") {
			t.Errorf("%q: warnings %v", c.text, warnings)
		}
		if len(errs) == 0 && cfg.Verdict.Hostname != "mx.test" {
			t.Errorf("%q: results in the name of %q", c.text, cfg.Verdict.Hostname)
		}
	}
}

// A domain here whose mail nobody signs, though mail of others is signed, was
// forgotten.
func TestUnaligned(t *testing.T) {
	const head = "hostname = \"mx.test\"\ndata_dir = \"/data\"\n[[listen]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:2525\"\n[[domain]]\nname = \"example.test\"\n[[domain]]\nname = \"news.example.test\"\n"
	for key, want := range map[string]int{"": 0, "example.test": 0, "news.example.test": 1, "ample.test": 2} {
		text := head
		if key != "" {
			text += "[[dkim]]\ndomain = \"" + key + "\"\nselector = \"s\"\nkey = \"dkim/example.test.pem\"\n"
		}
		_, warnings, errs := read(t, text)
		if n := strings.Count(fmt.Sprint(warnings), "what DMARC counts"); n != want || len(errs) > 0 {
			t.Errorf("with a key of %q: %d warnings, %v", key, n, errs)
		}
	}
}
