package unsubscribe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// rig is a Handler, and what it asks.
type rig struct {
	*Handler
	done []mail.Reference
	err  error
}

var good, bad = strings.Repeat("Ab-_", 16), strings.Repeat("zzzz", 16)

func newRig(t *testing.T, base string) *rig {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{}
	r.Handler = New(Config{Base: u}, Deps{Links: r, Wishes: r})
	return r
}

func ref() mail.Reference {
	return mail.Reference{ID: spool.ID{7}, Recipient: smtp.Address{Local: "ann.smith", Domain: "dst.test"}, Tenant: "shop", Campaign: "spring"}
}

func (r *rig) Open(token string) (mail.Reference, error) {
	if token != good {
		return mail.Reference{}, errors.New("not ours")
	}
	return ref(), nil
}

func (r *rig) Unsubscribe(_ context.Context, x mail.Reference) (bool, error) {
	if r.err != nil {
		return false, r.err
	}
	r.done = append(r.done, x)
	return len(r.done) > 1, nil
}

func (r *rig) ask(method, path, kind, body string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(method, path, strings.NewReader(body))
	if kind != "" {
		q.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, q)
	return w
}

const urlencoded = "application/x-www-form-urlencoded"

func form(name, value string) (kind, body string) {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	_ = m.WriteField(name, value)
	_ = m.Close()
	return m.FormDataContentType(), b.String()
}

// RFC 8058 section 3.2: a program's POST, in either coding, is enough; the same
// again is answered alike.
func TestOneClick(t *testing.T) {
	kind, multi := form("List-Unsubscribe", "One-Click")
	for _, c := range []struct{ kind, body string }{
		{urlencoded, "List-Unsubscribe=One-Click"},
		{urlencoded + "; charset=UTF-8", "a=b&List-Unsubscribe=One-Click"},
		{kind, multi},
	} {
		r := newRig(t, "https://u.test/")
		for range 2 {
			w := r.ask("POST", "/"+good, c.kind, c.body)
			if w.Code != 200 || !strings.Contains(w.Body.String(), "You are unsubscribed") {
				t.Errorf("%q: %d %s", c.body, w.Code, w.Body)
			}
			if len(w.Result().Cookies()) > 0 || w.Header().Get("Location") != "" {
				t.Errorf("%v", w.Header())
			}
		}
		if len(r.done) != 2 || r.done[0] != ref() {
			t.Errorf("%+v", r.done)
		}
	}
}

// Whoever only looks changes nothing; what is no request of RFC 8058 neither.
func TestNothingHappens(t *testing.T) {
	kind, other := form("List-Unsubscribe", "no")
	r := newRig(t, "https://u.test/")
	for _, c := range []struct {
		method, path, kind, body string
		want                     int
	}{
		{"GET", "/" + good, "", "", 200},
		{"GET", "/" + good + "?List-Unsubscribe=One-Click", "", "", 200},
		{"HEAD", "/" + good, "", "", 200},
		{"PUT", "/" + good, urlencoded, "List-Unsubscribe=One-Click", 405},
		{"DELETE", "/" + good, "", "", 405},
		{"POST", "/" + good, "", "List-Unsubscribe=One-Click", 400},
		{"POST", "/" + good + "?List-Unsubscribe=One-Click", urlencoded, "", 400},
		{"POST", "/" + good, "text/plain", "List-Unsubscribe=One-Click", 400},
		{"POST", "/" + good, urlencoded, "List-Unsubscribe=no", 400},
		{"POST", "/" + good, urlencoded, "List-Unsubscribe=no&List-Unsubscribe=One-Click", 400},
		{"POST", "/" + good, urlencoded, "%zz", 400},
		{"POST", "/" + good, urlencoded, strings.Repeat("x", maxBody) + "&List-Unsubscribe=One-Click", 400},
		{"POST", "/" + good, kind, other, 400},
		{"POST", "/" + good, "multipart/form-data", other, 400},
		{"POST", "/" + good, kind, other[:20], 400},
		{"GET", "/" + bad, "", "", 404},
		{"POST", "/" + bad, urlencoded, "List-Unsubscribe=One-Click", 404},
		{"PUT", "/" + bad, "", "", 404},
	} {
		if w := r.ask(c.method, c.path, c.kind, c.body); w.Code != c.want {
			t.Errorf("%s %s %s %.40q: %d", c.method, c.path, c.kind, c.body, w.Code)
		}
	}
	if len(r.done) > 0 {
		t.Errorf("%d were unsubscribed", len(r.done))
	}
}

// What cannot be written down now is not called done.
func TestLater(t *testing.T) {
	r := newRig(t, "https://u.test/")
	r.err = errors.New("no disk")
	w := r.ask("POST", "/"+good, urlencoded, "List-Unsubscribe=One-Click")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "no disk") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The page works without a script, posts to where it came from, whatever stands in
// front, and discloses little.
func TestPage(t *testing.T) {
	r := newRig(t, "https://u.test/")
	w := r.ask("GET", "/"+good, "", "")
	text := w.Body.String()
	for _, want := range []string{`<form method="post">`, `name="List-Unsubscribe" value="One-Click"`, "<button>", "a…@dst.test", `lang="en"`, "viewport"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, never := range []string{"<script", "ann.smith", "shop", "spring", "action="} {
		if strings.Contains(text, never) {
			t.Errorf("the page has %s", never)
		}
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "form-action 'self'") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %s", policy)
	}
	if text := r.ask("GET", "/"+bad, "", "").Body.String(); strings.Contains(text, "…@") || strings.Contains(text, "<form") {
		t.Errorf("%s", text)
	}
}

func TestHas(t *testing.T) {
	for _, c := range []struct {
		base, path string
		want       bool
	}{
		{"https://u.test/", "/" + good, true},
		{"https://u.test/leave/", "/leave/" + good, true},
		{"https://u.test/leave/", "/" + good, true}, // a proxy took the rest away
		{"https://u.test/leave/", "/other/" + good, false},
		{"https://u.test/", "/" + good + "/", false},
		{"https://u.test/", "/" + good + ".html", false},
		{"https://u.test/", "/" + good[:minToken-1], false},
		{"https://u.test/", "/" + strings.Repeat("x", maxToken+1), false},
		{"https://u.test/", "/", false},
		{"https://u.test/", "", false},
		{"https://u.test/", "/api/v1/queue", false},
		{"https://u.test/", "/metrics", false},
		{"https://u.test/", "/.well-known/autoconfig/mail/config-v1.1.xml", false},
	} {
		if got := newRig(t, c.base).Has(c.path); got != c.want {
			t.Errorf("%s %s: %v", c.base, c.path, got)
		}
	}
	if New(Config{}, Deps{}).Has("/" + good) {
		t.Error("links are served though nobody wanted it")
	}
}

func TestVeiled(t *testing.T) {
	for local, want := range map[string]string{"ann": "a…@d.test", "a": "a@d.test", "": "…@d.test", "öl": "ö…@d.test", "\xff\xfe": "…@d.test", `<b>`: "<…@d.test"} {
		if got := veiled(mail.Reference{Recipient: smtp.Address{Local: local, Domain: "d.test"}}); got != want {
			t.Errorf("%q: %q", local, got)
		}
	}
}

func FuzzPost(f *testing.F) {
	kind, body := form("List-Unsubscribe", "One-Click")
	f.Add(kind, []byte(body))
	f.Add(urlencoded, []byte("List-Unsubscribe=One-Click"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		q := httptest.NewRequest("POST", "/", io.NopCloser(bytes.NewReader(body)))
		q.Header.Set("Content-Type", kind)
		if wanted(httptest.NewRecorder(), q) && len(body) < len(fieldName)+len(oneClick) {
			t.Errorf("%q %q", kind, body)
		}
	})
}
