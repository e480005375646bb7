package setup

import (
	"encoding/xml"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/wire/smtp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func example() Config {
	return Config{
		Host: "mail.example.test", MX: "mx1.example.test", HTTP: true, STS: STSTesting,
		Domains: []smtp.Domain{"example.test", "second.test"},
		Services: []Service{
			{IMAP, 143, false},
			{IMAP, 993, true},
			{POP3, 995, true},
			{Submission, 587, false},
			{Submission, 465, true},
			{Submission, 465, true},
		},
	}
}

// ask sends a request and gives status and body.
func ask(t *testing.T, c Config, method, target, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if !Has(r.URL.Path) {
		t.Fatalf("%s is not taken for one of the paths", r.URL.Path)
	}
	w := httptest.NewRecorder()
	New(c).ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(text)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
	if strings.HasSuffix(name, ".xml") || strings.HasSuffix(name, ".mobileconfig") {
		wellFormed(t, got)
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("not XML: %v\n%s", err, text)
		}
	}
}

const outlook = `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
  <Request>
    <EMailAddress>ADDRESS</EMailAddress>
    <AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
  </Request>
</Autodiscover>`

// What each kind of program is told, as a whole.
func TestAnswers(t *testing.T) {
	for name, q := range map[string]struct{ method, target, body string }{
		"autoconfig.xml":     {"GET", "http://autoconfig.example.test/mail/config-v1.1.xml?emailaddress=ann@example.test", ""},
		"autodiscover.xml":   {"POST", "https://autodiscover.example.test/Autodiscover/Autodiscover.xml", strings.ReplaceAll(outlook, "ADDRESS", "ann@example.test")},
		"apple.mobileconfig": {"GET", "http://127.0.0.1:2580/apple.mobileconfig?email=ann@example.test", ""},
		"autodiscover.json":  {"GET", "https://autodiscover.example.test/autodiscover/autodiscover.json/v1.0/ann@example.test?Protocol=AutodiscoverV1", ""},
		"mta-sts.txt":        {"GET", "https://mta-sts.second.test/.well-known/mta-sts.txt", ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, text := ask(t, example(), q.method, q.target, q.body)
			if code != http.StatusOK {
				t.Errorf("status %d", code)
			}
			golden(t, name, text)
		})
	}
}

// The domain is that of the address, or of the name that was asked, and only
// one that lives here gets an answer.
func TestWhichDomain(t *testing.T) {
	only := example()
	only.Domains = only.Domains[:1]
	for _, q := range []struct {
		config Config
		target string
		want   string // the provider's id; "": 404
	}{
		{example(), "http://h/mail/config-v1.1.xml?emailaddress=bob@second.test", "second.test"},
		{example(), "http://h/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=Bob@SECOND.test", "second.test"},
		{example(), "http://autoconfig.second.test:8080/mail/config-v1.1.xml", "second.test"},
		{example(), "http://second.test/.well-known/autoconfig/mail/config-v1.1.xml", "second.test"},
		{example(), "http://h/mail/config-v1.1.xml", ""},
		{only, "http://h/mail/config-v1.1.xml", "example.test"},
		{only, "http://h/mail/config-v1.1.xml?emailaddress=x@foreign.test", ""},
		{example(), "http://autoconfig.second.test/mail/config-v1.1.xml?emailaddress=x@foreign.test", ""},
		{example(), "http://h/mail/config-v1.1.xml?emailaddress=example.test", ""},
		{example(), "http://h/mail/config-v1.1.xml?emailaddress=" + strings.Repeat("x", maxAddress) + "@example.test", ""},
	} {
		code, text := ask(t, q.config, "GET", q.target, "")
		if q.want == "" && code != http.StatusNotFound || q.want != "" && !strings.Contains(text, `<emailProvider id="`+q.want+`">`) {
			t.Errorf("%s: %d %s", q.target, code, text)
		}
	}
}

// Whatever an address holds, it stays text.
func TestEscaping(t *testing.T) {
	nasty := `"</string><key>x&'"@example.test`
	nasty = strings.Replace(nasty, `'"@`, `'\""@`, 1)
	for name, q := range map[string]struct{ method, target, body string }{
		"profile":      {"GET", "http://h/apple.mobileconfig?email=" + url.QueryEscape(nasty), ""},
		"autodiscover": {"POST", "http://h/autodiscover/autodiscover.xml", strings.ReplaceAll(outlook, "ADDRESS", escape(nasty))},
	} {
		code, text := ask(t, example(), q.method, q.target, q.body)
		if code != http.StatusOK || strings.Contains(text, "</string><key>x") || !strings.Contains(text, "&lt;/string&gt;") {
			t.Errorf("%s: %d\n%s", name, code, text)
		}
		wellFormed(t, text)
	}
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// Outlook's other requests get the errors that it knows.
func TestAutodiscoverRefuses(t *testing.T) {
	for name, q := range map[string]struct {
		method, body string
		code         int
		want         string
	}{
		"foreign":   {"POST", strings.ReplaceAll(outlook, "ADDRESS", "x@foreign.test"), 200, "<ErrorCode>500<"},
		"empty":     {"POST", "", 200, "<ErrorCode>600<"},
		"get":       {"GET", "", 200, "<ErrorCode>600<"},
		"not XML":   {"POST", "<<<", 200, "<ErrorCode>600<"},
		"other XML": {"POST", "<html/>", 200, "<ErrorCode>600<"},
		"mobile":    {"POST", strings.ReplaceAll(outlook, "outlook/responseschema/2006a", "mobilesync/responseschema/2006"), 200, "<ErrorCode>601<"},
		"huge":      {"POST", strings.Repeat(" ", maxRequest+1), 413, "too large"},
		"entities":  {"POST", `<!DOCTYPE a [<!ENTITY x "y">]>` + strings.ReplaceAll(outlook, "ADDRESS", "&x;@example.test"), 200, "<ErrorCode>600<"},
		"deep":      {"POST", strings.Repeat("<a>", maxRequest/3), 200, "<ErrorCode>600<"},
		"put":       {"PUT", "", 405, "POST"},
	} {
		code, text := ask(t, example(), q.method, "http://h/autodiscover/autodiscover.xml", q.body)
		if code != q.code || !strings.Contains(text, q.want) {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	for target, want := range map[string]int{
		"http://h/autodiscover/autodiscover.json?Email=a@example.test&Protocol=ActiveSync":     400,
		"http://h/autodiscover/autodiscover.json?Email=a@foreign.test&Protocol=AutodiscoverV1": 404,
		"http://h/apple.mobileconfig":                                       404,
		"http://h/apple.mobileconfig?email=x@foreign.test":                  404,
		"http://mta-sts.foreign.test/.well-known/mta-sts.txt":               404,
		"http://example.test/.well-known/mta-sts.txt":                       404,
		"http://h/autodiscover/autodiscover.json/v1.0/?Protocol=ActiveSync": 404,
	} {
		if code, text := ask(t, example(), "GET", target, ""); code != want {
			t.Errorf("%s: %d %s, want %d", target, code, text, want)
		}
	}
}

// A profile that is fetched again replaces the first; another address has
// another one.
func TestProfileIsStable(t *testing.T) {
	_, one := ask(t, example(), "GET", "http://a/apple.mobileconfig?email=ann@example.test", "")
	_, again := ask(t, example(), "GET", "http://b/apple.mobileconfig?email=ann@example.test", "")
	_, other := ask(t, example(), "GET", "http://a/apple.mobileconfig?email=bob@example.test", "")
	if one != again {
		t.Error("a second download differs")
	}
	ids := func(s string) []string {
		var all []string
		for _, part := range strings.Split(s, "<key>PayloadUUID</key><string>")[1:] {
			all = append(all, part[:36])
		}
		return all
	}
	if a, b := ids(one), ids(other); len(a) != 2 || len(b) != 2 || a[0] == a[1] || a[0] == b[0] || a[1] == b[1] {
		t.Errorf("identifiers %v and %v", ids(one), ids(other))
	}
}

// Without IMAP the profile is for POP3; without either there is none.
func TestProfileFollowsServices(t *testing.T) {
	c := example()
	c.Services = c.Services[2:]
	if _, text := ask(t, c, "GET", "http://a/apple.mobileconfig?email=ann@example.test", ""); !strings.Contains(text, "EmailTypePOP") || !strings.Contains(text, "<integer>995<") {
		t.Error(text)
	}
	c.Services = c.Services[1:]
	if code, _ := ask(t, c, "GET", "http://a/apple.mobileconfig?email=ann@example.test", ""); code != http.StatusNotFound {
		t.Errorf("status %d", code)
	}
}

func TestApply(t *testing.T) {
	h := New(Config{})
	h.Apply(example())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://h/mail/config-v1.1.xml?emailaddress=ann@example.test", nil))
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
}

// The records follow what is configured; "." says that a service is not there.
func TestRecords(t *testing.T) {
	print := func(c Config, k Facts) string {
		var b strings.Builder
		for _, r := range Records(c, "example.test", k) {
			b.WriteString(r.Name + " " + r.Type + " " + r.Value + "\n")
		}
		return b.String()
	}
	full := print(example(), Facts{
		DKIM: []Record{{Name: "s._domainkey.example.test.", Type: "TXT", Value: "v=DKIM1; p=xyz"}}, TLSA: "3 1 1 00ff",
	})
	golden(t, "records.txt", full)
	bare := example()
	bare.HTTP, bare.STS, bare.Services = false, STSOff, nil
	golden(t, "records-bare.txt", print(bare, Facts{}))
	known := Facts{EHLO: "out.example.test", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.25"), netip.MustParseAddr("2001:db8::25")}}
	golden(t, "records-known.txt", print(bare, known))
	known.Elsewhere, known.Returns = true, "r.example.test"
	golden(t, "records-elsewhere.txt", print(example(), known))
	changed := example()
	changed.STS = STSEnforce
	if policyID(changed.policy()) == policyID((&bare).policy()) || print(changed, Facts{}) == print(example(), Facts{}) {
		t.Error("another policy has the same id")
	}
}

func FuzzAutodiscover(f *testing.F) {
	f.Add(strings.ReplaceAll(outlook, "ADDRESS", "ann@example.test"))
	f.Add(strings.ReplaceAll(outlook, "ADDRESS", `&quot;&lt;&gt;&quot;@example.test`))
	f.Add("<Autodiscover><Request/></Autodiscover>")
	f.Fuzz(func(t *testing.T, body string) {
		code, text := ask(t, example(), "POST", "http://h/autodiscover/autodiscover.xml", body)
		if code == http.StatusOK {
			wellFormed(t, text)
		} else if code != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", code)
		}
	})
}

func FuzzProfile(f *testing.F) {
	f.Add("ann@example.test")
	f.Add(`"</string>\""@example.test`)
	f.Fuzz(func(t *testing.T, address string) {
		code, text := ask(t, example(), "GET", "http://h/apple.mobileconfig?email="+url.QueryEscape(address), "")
		if code == http.StatusOK {
			wellFormed(t, text)
		}
	})
}
