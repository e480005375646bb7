package relay_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lines is the law of the tree: a package may import the lines above it, never
// its own line, never below. A pattern that ends in "/..." covers what is
// beneath it. Parents and children may import each other's way round freely.
var lines = [][]string{
	{"metrics"},
	{"spool/...", "dnscache/...", "deploy/..."}, // deploy: what makes the files to watch by
	{"relay/wire/..."},
	{"relay/mail/..."},
	{"relay/policy/..."},
	{"relay/door"},
	{"relay/ingress/...", "relay/inject", "relay/intake/...", "relay/queue/...", "relay/delivery/...", "relay/mailbox/...", "relay/bounce/...", "relay/tlsrpt/...", "relay/maillog"},
	{"relay/admin/..."},
	{"relay/config/..."},
	{"relay"},
	{"bench/internet/..."}, // stands below relaytest, which uses it
	{"relay/relaytest/..."},
	{"bench/load"},
	{"bench/source/...", "bench/sink/...", "bench/peer"},
	{"bench/..."},
	{"cmd/..."},
}

const stageLine = 6

// thirdParty lists each module that shipped code may import, with the reason.
var thirdParty = map[string]string{
	"github.com/emersion/go-smtp":             "grammar of SMTP sessions, behind ingress/front",
	"github.com/emersion/go-imap/v2":          "grammar and dispatch of IMAP sessions, behind mailbox/imap/front",
	"github.com/emersion/go-sasl":             "SASL mechanisms PLAIN and LOGIN",
	"github.com/go-ldap/ldap/v3":              "logins that a directory server decides, by bind",
	"github.com/xdg-go/scram":                 "SCRAM-SHA-256, server side",
	"github.com/emersion/go-msgauth":          "DKIM signing and verification",
	"github.com/emersion/go-message":          "MIME, for reading messages",
	"blitiri.com.ar/go/spf":                   "SPF, the language of its records and the limits on them",
	"github.com/cockroachdb/pebble/v2":        "the store under the spool: an LSM tree with a WAL and a crashable memory file system for tests",
	"github.com/miekg/dns":                    "DNS messages on the wire, behind dnscache",
	"github.com/prometheus/client_golang":     "metrics in the format that everyone scrapes",
	"github.com/pelletier/go-toml/v2":         "strict TOML with line and column in its errors",
	"github.com/alecthomas/kong":              "command line",
	"github.com/pires/go-proxyproto":          "the PROXY protocol, in door",
	"github.com/klauspost/compress":           "zstd for sealed log segments",
	"github.com/caddyserver/certmagic":        "certificates by ACME, and their renewal",
	"go.uber.org/zap":                         "the log that certmagic writes to, bridged to ours",
	"github.com/ebitengine/purego":            "RSA by the host's libcrypto, without cgo",
	"github.com/HdrHistogram/hdrhistogram-go": "latency quantiles of a load, in bounded memory",
	"github.com/schollz/progressbar/v3":       "progress of long commands",
	"github.com/google/pprof":                 "reading CPU profiles, for flame graphs",
	"gonum.org/v1/plot":                       "charts of a load's report",
	"golang.org/x/crypto":                     "argon2id, PBKDF2",
	"golang.org/x/net":                        "IDNA, and the public suffix list: which hosts are one party's",
	"golang.org/x/sys":                        "free disk space, file locks",
	"golang.org/x/sync":                       "single flight and bounded groups",
	"golang.org/x/term":                       "reading a password without echo, size of a terminal",
	"golang.org/x/text":                       "Unicode normal forms of header text",
}

// testParty lists the modules that tests may import besides.
var testParty = map[string]string{
	"github.com/google/go-cmp":        "readable differences",
	"go.uber.org/goleak":              "goroutines that a test left behind",
	"github.com/go-asn1-ber/asn1-ber": "a small LDAP server to log in to",
	"pgregory.net/rapid":              "properties with shrinking",
	"github.com/rogpeppe/go-internal": "testscript: end-to-end stories as text",
}

// Sizes, in lines of shipped Go code, comments included.
const (
	maxFile    = 500
	maxPackage = 2500
	maxMail    = 1000
)

type source struct {
	path, dir string
	test      bool
	lines     int
	ast       *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	root := ".."
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(p, root), string(filepath.Separator)))
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata" || d.Name() == "tenma-data") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(rel, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), rel, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{path: rel, dir: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"), lines: strings.Count(string(text), "\n"), ast: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d Go files found: the test looks in the wrong place", len(all))
	}
	return all
}

func lineOf(pkg string) int {
	for i, l := range lines {
		for _, pat := range l {
			base, below := strings.CutSuffix(pat, "/...")
			if pkg == base || below && strings.HasPrefix(pkg, base+"/") {
				return i
			}
		}
	}
	return -1
}

// related reports that one package is an ancestor of the other, that both are wire
// packages of which the imported one is smtp or header, or that a section's reader
// imports that of documents.
func related(pkg, imported string) bool {
	if strings.HasPrefix(imported, pkg+"/") || strings.HasPrefix(pkg, imported+"/") {
		return true
	}
	if strings.HasPrefix(pkg, "relay/config/") && imported == "relay/config/document" {
		return true
	}
	return strings.HasPrefix(pkg, "relay/wire/") && (imported == "relay/wire/smtp" || imported == "relay/wire/header")
}

func TestImportsPointDown(t *testing.T) {
	for _, s := range sources(t) {
		if s.test && (strings.HasSuffix(s.ast.Name.Name, "_test") || s.dir == "relay") {
			continue // black-box tests may use what stands below them
		}
		own := lineOf(s.dir)
		if own < 0 {
			t.Errorf("%s: package %s has no line in the law of the tree", s.path, s.dir)
			continue
		}
		for _, im := range s.ast.Imports {
			imported, ours := strings.CutPrefix(strings.Trim(im.Path.Value, `"`), "tenma/")
			if !ours {
				continue
			}
			switch at := lineOf(imported); {
			case at < 0:
				t.Errorf("%s imports %s, which has no line", s.path, imported)
			case related(s.dir, imported) && at <= own:
			case at >= own && !s.test:
				t.Errorf("%s imports %s: line %d may not import line %d", s.path, imported, own, at)
			case own == stageLine && strings.HasPrefix(imported, "relay/policy/") && imported != "relay/policy/shape" && !s.test:
				t.Errorf("%s imports %s: of the advisers a stage sees only policy/shape", s.path, imported)
			}
		}
	}
}

func TestThirdParty(t *testing.T) {
	for _, s := range sources(t) {
		for _, im := range s.ast.Imports {
			p := strings.Trim(im.Path.Value, `"`)
			if !strings.Contains(strings.SplitN(p, "/", 2)[0], ".") || strings.HasPrefix(p, "tenma/") {
				continue
			}
			inModule := func(m string) bool { return p == m || strings.HasPrefix(p, m+"/") }
			ok := slices.ContainsFunc(keys(thirdParty), inModule) || s.test && slices.ContainsFunc(keys(testParty), inModule) ||
				(s.dir == "relay/relaytest" || s.dir == "spool/spooltest") && slices.ContainsFunc(keys(testParty), inModule)
			if !ok {
				t.Errorf("%s imports %s, which is not on the list with a reason", s.path, p)
			}
		}
	}
}

func keys(m map[string]string) []string {
	var k []string
	for name := range m {
		k = append(k, name)
	}
	return k
}

func TestPackagesExplainThemselves(t *testing.T) {
	doc := map[string]string{}
	for _, s := range sources(t) {
		if !s.test && s.ast.Doc != nil {
			doc[s.dir] += s.ast.Doc.Text()
		} else if _, seen := doc[s.dir]; !seen && !s.test {
			doc[s.dir] = ""
		}
	}
	for dir, text := range doc {
		if len(strings.Fields(text)) < 15 {
			t.Errorf("package %s: its comment does not teach its subject", dir)
		}
	}
}

func TestSizes(t *testing.T) {
	perPackage := map[string]int{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		perPackage[s.dir] += s.lines
		if s.lines > maxFile {
			t.Errorf("%s has %d lines, more than %d", s.path, s.lines, maxFile)
		}
	}
	for dir, n := range perPackage {
		if limit := map[bool]int{true: maxMail, false: maxPackage}[dir == "relay/mail"]; n > limit {
			t.Errorf("package %s has %d lines, more than %d", dir, n, limit)
		}
	}
}

// TestNoInit keeps code that runs before main out of
// the tree.
func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		full, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", s.path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range full.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function", s.path)
			}
		}
	}
}

func TestTopLevelNames(t *testing.T) {
	allowed := []string{"cmd", "relay", "spool", "dnscache", "metrics", "bench", "deploy", "go.mod", "go.sum", "README.md", "LICENSE"}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if n := e.Name(); !strings.HasPrefix(n, ".") && !slices.Contains(allowed, n) && n != "tenma" && n != "tenma-data" {
			t.Errorf("%s is not a name of the top level", n)
		}
	}
}
