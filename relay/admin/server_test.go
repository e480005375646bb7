package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"tenma/relay/admin/setup"
	"tenma/relay/admin/unsubscribe"
	"tenma/relay/mail"
	"tenma/relay/mailbox"
	"tenma/relay/queue"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	first  = spool.NewID(time.Unix(1_800_000_000, 0), [10]byte{1})
	second = spool.NewID(time.Unix(1_800_000_060, 0), [10]byte{2})
)

// fakeQueue holds two messages and notes what it is asked.
type fakeQueue struct {
	lanes int // in the summary; 0: the one that most tests look at
	down  int // so many of lanes rest
	asked []string
	err   error
}

func (q *fakeQueue) note(verb string, f queue.Filter) (int, error) {
	q.asked = q.asked[max(0, len(q.asked)-100):] // a fuzzer asks for ever
	q.asked = append(q.asked, fmt.Sprintf("%s %+v", verb, f))
	return 2, q.err
}

func (q *fakeQueue) Retry(_ context.Context, f queue.Filter) (int, error) { return q.note("retry", f) }

func (q *fakeQueue) Delete(_ context.Context, f queue.Filter) (int, error) {
	return q.note("delete", f)
}

func (q *fakeQueue) Hold(_ context.Context, f queue.Filter) (int, error) { return q.note("hold", f) }

func (q *fakeQueue) Release(_ context.Context, f queue.Filter) (int, error) {
	return q.note("release", f)
}

func (q *fakeQueue) Summary(context.Context) (queue.Summary, error) {
	if q.lanes > 0 {
		all := make([]queue.LaneSummary, q.lanes)
		for i := range q.down {
			now := time.Now()
			l := &all[len(all)-1-i]
			l.Lane, l.LastReply, l.Ready, l.Deferred = "default->down.test", "down.test: 451 4.4.1 no connection", 3, 4
			l.Since, l.Resting = now.Add(-90*time.Minute-30*time.Second), now.Add(40*time.Minute+30*time.Second)
		}
		return queue.Summary{Lanes: all}, nil
	}
	return queue.Summary{
		Messages: 2, Ready: 1, Deferred: 1, Running: 0, Parked: 3,
		Lanes: []queue.LaneSummary{{Lane: "default->mx.<b>rcpt</b>.test", Ready: 1, Oldest: time.Unix(1_800_000_000, 0), LastReply: "mx.test said: 451 4.7.1 <script>greylisted</script>"}},
	}, q.err
}

func (q *fakeQueue) message(id spool.ID) queue.Message {
	return queue.Message{
		ID: id,
		Envelope: &mail.Envelope{
			Sender: smtp.Address{Local: "a", Domain: "sender.test"}, Received: id.Time(), Size: 1234,
			Recipients: []mail.Recipient{{Address: smtp.Address{Local: "b", Domain: "rcpt.test"}}, {Address: smtp.Address{Local: "c", Domain: "rcpt.test"}}},
			Client:     netip.MustParseAddrPort("127.0.0.1:4711"), Subject: "hello",
		},
		State: &mail.State{Held: true, Recipients: []mail.RecipientState{
			{Fate: mail.Deferred, Attempts: 3, Due: time.Unix(1_800_003_600, 0), Reply: smtp.Reply{Code: 451, Text: "later"}, Host: "mx.rcpt.test"}, {Fate: mail.Sent},
		}},
		Lanes: []mail.Lane{"default->rcpt.test"},
	}
}

func (q *fakeQueue) List(_ context.Context, f queue.Filter) ([]queue.Message, error) {
	_, err := q.note("list", f)
	all := []queue.Message{q.message(first), q.message(second)}
	return all[:min(f.Limit, 2)], err
}

func (q *fakeQueue) Show(_ context.Context, id spool.ID) (queue.Message, error) {
	if id != first {
		return queue.Message{}, fmt.Errorf("reading: %w", spool.ErrNotFound)
	}
	return q.message(id), q.err
}

const testToken = "a-token-of-an-operator"

// started gives a Server that knows testToken.
func started(t *testing.T, q *fakeQueue) *Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin-token")
	if err := os.WriteFile(path, []byte(testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewRegistry()
	r.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "tenma_test"}))
	s := New(Config{TokenPath: path}, Deps{Queue: q, Mailboxes: fakeMailboxes{}, Suppressions: aList(t), Explain: fakeExplain, Gatherer: r, Version: "v0"})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends one request past the listeners. Headers are "Name: value".
func ask(s *Server, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

const (
	bearer = "Authorization: Bearer " + testToken
	asJSON = "Content-Type: application/json"
)

func TestTokenIsWanted(t *testing.T) {
	q := &fakeQueue{}
	s := started(t, q)
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		if w := ask(s, "GET", path, ""); w.Code != 200 {
			t.Errorf("%s wants a token: %d", path, w.Code)
		}
	}
	locked := []string{"GET /", "GET /api/v1/openapi.json", "GET /debug/pprof/", "GET /debug/pprof/cmdline", "GET /debug/pprof/profile", "GET /debug/pprof/trace"}
	for _, c := range calls() {
		locked = append(locked, c.method+" "+strings.ReplaceAll(c.path, "{id}", first.String()))
	}
	basic := httptest.NewRequest("GET", "/", nil)
	basic.SetBasicAuth("anyone", testToken)
	withBasic := "Authorization: " + basic.Header.Get("Authorization")
	for _, l := range locked {
		method, path, _ := strings.Cut(l, " ")
		for _, header := range []string{"X: y", "Authorization: Bearer", "Authorization: Bearer ", "Authorization: Bearer " + testToken + "x", "Authorization: Basic !!"} {
			w := ask(s, method, path, `{"all":true}`, asJSON, header)
			if w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q: %d", l, header, w.Code)
			}
		}
		if strings.HasPrefix(path, "/debug/") {
			continue // a profile takes its time
		}
		w := ask(s, method, path, `{"all":true}`, asJSON, withBasic)
		if verb := method != "GET"; verb != (w.Code == 401) {
			t.Errorf("%s with basic authentication: %d", l, w.Code)
		}
	}
	if slices.ContainsFunc(q.asked, func(s string) bool { return !strings.HasPrefix(s, "list") }) {
		t.Errorf("the queue was asked without a token: %q", q.asked)
	}
	unready := New(Config{}, Deps{Queue: q})
	if w := ask(unready, "GET", "/", "", "Authorization: Bearer "); w.Code != 401 {
		t.Errorf("before the token is read: %d", w.Code)
	}
}

func TestQueueCalls(t *testing.T) {
	q := &fakeQueue{}
	s := started(t, q)
	for _, c := range []struct {
		request, body string
		code          int
		want          string // in the answer
		asked         string // of the queue
	}{
		{"GET /api/v1/queue/summary", "", 200, `"last_reply":"mx.test said: 451`, ""},
		{"GET /api/v1/queue", "", 200, `"next":""`, "All:true"},
		{"GET /api/v1/queue?limit=1", "", 200, `"next":"` + first.String(), "Limit:1"},
		{"GET /api/v1/queue?domain=Rcpt.Test&older_than=90m&after=" + first.String(), "", 200, `"address":"b@rcpt.test","fate":"deferred","attempts":3,"due":"2027-01-15T09:00:00Z","reply":"451 later"`, "Domain:rcpt.test Sender: Tenant: Campaign: OlderThan:1h30m0s All:false After:" + first.String()},
		{"GET /api/v1/queue?recipent=a@b.test", "", 400, "unknown parameter", ""},
		{"GET /api/v1/queue?limit=100000", "", 400, "limit", ""},
		{"GET /api/v1/queue?tenant=a&tenant=b", "", 400, "stands 2 times", ""},
		{"GET /api/v1/queue/" + strings.ToLower(first.String()), "", 200, `"held":true`, ""},
		{"GET /api/v1/queue/" + second.String(), "", 404, "no such message", ""},
		{"GET /api/v1/queue/xyz", "", 400, "not a message id", ""},
		{"POST /api/v1/queue/retry", `{"ids":["` + first.String() + `"]}`, 200, `{"messages":2}`, "retry {IDs:[" + first.String()},
		{"POST /api/v1/queue/delete", `{"sender":"@sender.test"}`, 200, `{"messages":2}`, "delete {IDs:[] Recipient: Domain: Sender:@sender.test"},
		{"POST /api/v1/queue/hold", `{"all":true}`, 200, `{"messages":2}`, "hold {IDs:[] Recipient: Domain: Sender: Tenant: Campaign: OlderThan:0s All:true"},
		{"POST /api/v1/queue/release", `{"recipient":"B@rcpt.test","older_than":"1h"}`, 200, `{"messages":2}`, "release {IDs:[] Recipient:B@rcpt.test"},
		{"POST /api/v1/queue/delete", `{}`, 400, "nothing is selected", ""},
		{"POST /api/v1/queue/delete", `{"all":true,"domain":"a.test"}`, 400, "contradict", ""},
		{"POST /api/v1/queue/delete", `{"al":true}`, 400, "unknown field", ""},
		{"POST /api/v1/queue/delete", `{"all":true} {"all":true}`, 400, "more than one", ""},
		{"POST /api/v1/queue/delete", `{"all":tru`, 400, "not as described", ""},
		{"POST /api/v1/queue/delete", `{"ids":["nope"]}`, 400, "not a message id", ""},
		{"POST /api/v1/queue/delete", `{"recipient":"nobody"}`, 400, "not an address", ""},
		{"POST /api/v1/queue/delete", `{"older_than":"-5m"}`, 400, "not a duration", ""},
		{"POST /api/v1/queue/delete", `{"domain":"` + strings.Repeat("a", 600) + `"}`, 400, "longer", ""},
		{"POST /api/v1/queue/delete", `{"tenant":"` + strings.Repeat("a", maxBody) + `"}`, 413, "larger", ""},
		{"POST /api/v1/queue", ``, 405, "takes GET", ""},
		{"GET /api/v1/queue/retry/now", ``, 404, "nothing is here", ""},
		{"DELETE /healthz", ``, 405, "takes GET", ""},
	} {
		q.asked = nil
		method, target, _ := strings.Cut(c.request, " ")
		w := ask(s, method, target, c.body, bearer, asJSON)
		if w.Code != c.code || c.want != `"next":""` && !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %.80s: %d %s", c.request, c.body, w.Code, w.Body)
		}
		if got := strings.Join(q.asked, "; "); !strings.Contains(got, c.asked) || c.asked == "" && got != "" {
			t.Errorf("%s: the queue was asked %q", c.request, got)
		}
		if kind := w.Header().Get("Content-Type"); c.code != 200 && kind != "application/problem+json" {
			t.Errorf("%s: error as %s", c.request, kind)
		}
		if c.code != 200 {
			var p Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != c.code || p.Title == "" {
				t.Errorf("%s: %s is no problem document: %v", c.request, w.Body, err)
			}
		}
	}
	if w := ask(s, "POST", "/api/v1/queue/delete", `{"all":true}`, bearer, "Content-Type: text/plain"); w.Code != 415 {
		t.Errorf("a form's content type is taken: %d", w.Code)
	}
	q.err = errors.New("disk gone")
	if w := ask(s, "GET", "/api/v1/queue/summary", "", bearer); w.Code != 500 || !strings.Contains(w.Body.String(), "disk gone") {
		t.Errorf("a queue that fails: %d %s", w.Code, w.Body)
	}
	q.err = spool.ErrClosed
	if w := ask(s, "GET", "/api/v1/queue/summary", "", bearer); w.Code != 503 {
		t.Errorf("a queue that is closed: %d", w.Code)
	}
}

// On a loopback address the Host must be loopback's own; elsewhere any will do.
func TestDNSRebinding(t *testing.T) {
	s := started(t, &fakeQueue{})
	on := func(local, host string) int {
		a := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(local))
		r := httptest.NewRequest("GET", "/healthz", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(a))))
		return w.Code
	}
	for _, host := range []string{"localhost:2580", "LOCALHOST", "127.0.0.1:2580", "127.0.0.1", "[::1]:2580", "[::1]"} {
		if code := on("127.0.0.1:2580", host); code != 200 {
			t.Errorf("%s: %d", host, code)
		}
	}
	for _, host := range []string{"evil.test", "evil.test:2580", "localhost.evil.test", "192.0.2.1", ""} {
		for _, local := range []string{"127.0.0.1:2580", "[::1]:2580", "[::ffff:127.0.0.1]:2580"} {
			if code := on(local, host); code != http.StatusMisdirectedRequest {
				t.Errorf("%q on %s: %d", host, local, code)
			}
		}
	}
	if code := on("192.0.2.1:2580", "relay.test"); code != 200 {
		t.Errorf("another address: %d", code)
	}
}

func TestPage(t *testing.T) {
	q := &fakeQueue{}
	s := started(t, q)
	w := ask(s, "GET", "/", "", bearer)
	page := w.Body.String()
	for _, want := range []string{"default-&gt;mx.&lt;b&gt;rcpt", "&lt;script&gt;greylisted", "<dd>2</dd>", "<style>:root{"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "Not well") {
		t.Error("it says that something is wrong")
	}
	h := w.Header()
	if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", h)
	}
	s.deps.Ready = func() error { return errors.New("the spool is full") }
	if page := ask(s, "GET", "/", "", bearer).Body.String(); !strings.Contains(page, "the spool is full") {
		t.Error("the page does not say that the relay is not well")
	}
}

// Mail to everywhere waits: the page stays one that a browser can show.
func TestPageOfManyLanes(t *testing.T) {
	for lanes, want := range map[int]string{pageLanes: "", pageLanes + 1: "1 more lanes", 100_000: "99800 more lanes"} {
		page := ask(started(t, &fakeQueue{lanes: lanes}), "GET", "/", "", bearer).Body.String()
		if n := strings.Count(page, `<th scope="row">`); n != pageLanes {
			t.Errorf("%d of %d lanes are shown", n, lanes)
		}
		if strings.Contains(page, "more lanes") != (want != "") || !strings.Contains(page, want) {
			t.Errorf("%d lanes: the page does not say %q", lanes, want)
		}
	}
}

// Lanes that rest are shown even where they are not among the longest: since
// when, until when, why, and how much waits.
func TestPageOfLanesAtRest(t *testing.T) {
	if page := ask(started(t, &fakeQueue{lanes: 5}), "GET", "/", "", bearer).Body.String(); strings.Contains(page, "Cannot be reached") {
		t.Error("lanes rest where there is none")
	}
	page := ask(started(t, &fakeQueue{lanes: 2 * pageLanes, down: 2}), "GET", "/", "", bearer).Body.String()
	_, rest, _ := strings.Cut(page, "Cannot be reached")
	rest, _, _ = strings.Cut(rest, "All lanes")
	for _, want := range []string{`default-&gt;down.test`, `"waiting">7<`, ">1h30m<", ">in 40m", "451 4.4.1 no connection"} {
		if strings.Count(rest, want) != 2 {
			t.Errorf("of the lanes at rest the page does not say %s:\n%s", want, rest)
		}
	}
	page = ask(started(t, &fakeQueue{lanes: 300, down: 201}), "GET", "/", "", bearer).Body.String()
	if !strings.Contains(page, "1 more: <code>tenma queue summary --resting") {
		t.Error("it does not say that there are more at rest")
	}
	c := &Client{}
	web := httptest.NewServer(started(t, &fakeQueue{lanes: 3, down: 2}).handler)
	defer web.Close()
	c.URL, c.Token, c.HTTP = web.URL, testToken, web.Client()
	sum, err := c.Summary(t.Context())
	if err != nil || sum.Resting != 2 || len(sum.AtRest()) != 2 || sum.Lanes[0].NextProbe != nil || sum.Lanes[2].RestsFrom == nil {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 5*time.Minute + 10*time.Second: "5m10s", 90 * time.Minute: "1h30m", 100 * time.Hour: "4d4h",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestProbes(t *testing.T) {
	ill := errors.New("spool: storage failed")
	s := New(Config{}, Deps{Queue: &fakeQueue{}, Health: func() error { return ill }, Ready: func() error { return nil }})
	if w := ask(s, "GET", "/healthz", ""); w.Code != 503 || w.Body.String() != "spool: storage failed\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if w := ask(s, "GET", "/readyz", ""); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if w := ask(s, "HEAD", "/readyz", ""); w.Code != 200 {
		t.Errorf("HEAD: %d", w.Code)
	}
	if w := ask(started(t, &fakeQueue{}), "GET", "/metrics", ""); !strings.Contains(w.Body.String(), "tenma_test 0") {
		t.Errorf("metrics: %s", w.Body)
	}
}

// The document describes each call, and each answer has the fields that the
// document promises and no others.
func TestOpenAPI(t *testing.T) {
	s := started(t, &fakeQueue{})
	w := ask(s, "GET", "/api/v1/openapi.json", "", bearer)
	var doc struct {
		OpenAPI string
		Info    struct{ Version string }
		Paths   map[string]map[string]struct {
			OperationID string
			RequestBody *struct{}
			Responses   map[string]struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					}
				}
			}
		}
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any
				Required   []string
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.OpenAPI != "3.1.0" || doc.Info.Version != "v0" {
		t.Fatalf("%v %+v", err, doc.Info)
	}
	served := 0
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			served++
			if ids[op.OperationID] {
				t.Errorf("two calls are %s", op.OperationID)
			}
			ids[op.OperationID] = true
			body := ""
			if op.RequestBody != nil {
				body = `{"all":true}`
				if strings.HasPrefix(path, "/api/v1/suppressions") {
					body = map[bool]string{true: `{"entries":[{"address":"a@b.test"}]}`, false: `{"since":"2026-01-01T00:00:00Z"}`}[path == "/api/v1/suppressions"]
				}
			}
			target := strings.NewReplacer("{id}", first.String(), "{address}", "ann@example.test", "explain", "explain?target=example.test").Replace(path)
			if method == "delete" {
				target += "?address=a@b.test"
			}
			w := ask(s, strings.ToUpper(method), target, body, bearer, asJSON)
			if w.Code != 200 {
				t.Errorf("%s %s, as described: %d %s", method, path, w.Code, w.Body)
				continue
			}
			name := strings.TrimPrefix(op.Responses["200"].Content["application/json"].Schema.Ref, "#/components/schemas/")
			schema := doc.Components.Schemas[name]
			var answer map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
			}
			for key := range answer {
				if schema.Properties[key] == nil {
					t.Errorf("%s %s answers %q, which %s does not have", method, path, key, name)
				}
			}
			for _, key := range schema.Required {
				if _, there := answer[key]; !there {
					t.Errorf("%s %s does not answer %q of %s", method, path, key, name)
				}
			}
		}
	}
	if served != len(calls()) {
		t.Errorf("%d calls described, %d served", served, len(calls()))
	}
	// Every field that a Selection has is a filter that counts.
	for f := range reflect.TypeFor[Selection]().Fields() {
		sel := Selection{}
		v := reflect.ValueOf(&sel).Elem().FieldByIndex(f.Index)
		switch v.Kind() {
		case reflect.Slice:
			sel.IDs = []string{first.String()}
		case reflect.Bool:
			v.SetBool(true)
		default:
			v.SetString(map[string]string{"OlderThan": "5m", "Domain": "a.test"}[f.Name])
			if v.String() == "" {
				v.SetString("a@b.test")
			}
		}
		if _, err := sel.filter(); err != nil {
			t.Errorf("%s alone selects nothing: %v", f.Name, err)
		}
	}
}

// racing is randomness during which another process makes the file.
type racing struct{ path string }

func (r racing) Read(p []byte) (int, error) {
	return len(p), os.WriteFile(r.path, []byte("made-by-another-process"), 0o600)
}

func TestTokenMadeAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin-token")
	token, err := makeToken(path, racing{path})
	if err != nil || token != "made-by-another-process" {
		t.Errorf("token %q, %v", token, err)
	}
}

func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "admin-token")
	s := New(Config{TokenPath: path}, Deps{Queue: &fakeQueue{}})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	made, err := ReadToken(path)
	if err != nil || len(made) != 43 || made != *s.token.Load() {
		t.Errorf("token %q, %v", made, err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := s.Listen(); err != nil || *s.token.Load() != made {
		t.Error("a second start made another token")
	}
	if err := os.WriteFile(path, []byte("changed-by-the-operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(Config{TokenPath: path}); err != nil || *s.token.Load() != "changed-by-the-operator" {
		t.Errorf("a reload does not read the token: %v", err)
	}
	for _, text := range []string{"", "short", "two words of a token that is long", strings.Repeat("x", tokenMost+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("token %.20q: %v", text, err)
		}
	}
	if *s.token.Load() != "changed-by-the-operator" {
		t.Error("a bad token file changed the token")
	}
}

// A whole life on real sockets: listen, serve, stop. The Client is used too.
func TestLife(t *testing.T) {
	q := &fakeQueue{}
	path := filepath.Join(t.TempDir(), "admin-token")
	s := New(Config{Listeners: []Listener{{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0"}}, TokenPath: path}, Deps{Queue: q})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	token, err := ReadToken(path)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for _, a := range s.Addrs() {
		c := &Client{URL: "http://" + a.String(), Token: token, HTTP: &http.Client{Transport: transport}}
		if sum, err := c.Summary(ctx); err != nil || sum.Messages != 2 || len(sum.Lanes) != 1 {
			t.Errorf("%+v, %v", sum, err)
		}
		if m, err := c.Show(ctx, first.String()); err != nil || m.Subject != "hello" || *m.Recipients[0].Due != time.Unix(1_800_003_600, 0).UTC() {
			t.Errorf("%+v, %v", m, err)
		}
		_, err := c.Show(ctx, second.String())
		var p *Problem
		if !errors.As(err, &p) || p.Status != 404 {
			t.Errorf("Show of nothing: %v", err)
		}
		if p, err := c.List(ctx, Selection{Domain: "rcpt.test"}, "", 2); err != nil || len(p.Messages) != 2 || p.Next != second.String() {
			t.Errorf("%+v, %v", p, err)
		}
		if n, err := c.Act(ctx, "hold", Selection{All: true}); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		c.Token = "wrong"
		if _, err := c.Summary(ctx); !errors.As(err, &p) || p.Status != 401 {
			t.Errorf("a wrong token: %v", err)
		}
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
	defer other.Close()
	if _, err := (&Client{URL: other.URL, HTTP: &http.Client{Transport: transport}}).Summary(ctx); err == nil || !strings.Contains(err.Error(), "no tenma") {
		t.Errorf("another server: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := net.Dial("tcp", s.Addrs()[0].String()); err == nil {
		t.Error("still listens")
	}
}

// A listener that cannot be had gives back those that were taken.
func TestListenAllOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var opened []net.Listener
	s := New(Config{Listeners: []Listener{{Address: "127.0.0.1:0"}, {Address: taken.Addr().String()}}, TokenPath: filepath.Join(t.TempDir(), "t")}, Deps{
		Queue: &fakeQueue{},
		Listen: func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			if err == nil {
				opened = append(opened, l)
			}
			return l, err
		},
	})
	if err := s.Listen(); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("error %v", err)
	}
	if len(opened) != 1 || opened[0].Close() == nil || s.Addrs() != nil {
		t.Errorf("%d left open", len(opened))
	}
}

func FuzzSelection(f *testing.F) {
	f.Add(`{"all":true}`, "domain=a.test&limit=5")
	f.Add(`{"ids":["`+first.String()+`"],"older_than":"5m"}`, "after="+first.String())
	s := New(Config{}, Deps{Queue: &fakeQueue{}})
	token := testToken
	s.token.Store(&token)
	f.Fuzz(func(t *testing.T, body, query string) {
		r := httptest.NewRequest("POST", "/api/v1/queue/delete", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		var sel Selection
		if w.Code == 200 && (json.Unmarshal([]byte(body), &sel) != nil || cmp.Equal(sel, Selection{})) {
			t.Errorf("%q was taken as a selection", body)
		}
		g := httptest.NewRequest("GET", "/api/v1/queue", nil)
		g.URL.RawQuery = query
		g.Header.Set("Authorization", "Bearer "+token)
		w = httptest.NewRecorder()
		s.handler.ServeHTTP(w, g)
		if w.Code != 200 && w.Code != 400 {
			t.Errorf("query %q: %d", query, w.Code)
		}
	})
}

// noLink opens no link.
type noLink struct{ unsubscribe.Wishes }

func (noLink) Open(string) (mail.Reference, error) { return mail.Reference{}, errors.New("none") }

// Mail programs get their settings, and readers the pages behind links, without a
// token, by whatever name they came; a listener for them alone shows nothing else.
func TestSetup(t *testing.T) {
	guide := setup.New(setup.Config{Domains: []smtp.Domain{"example.test"}})
	s := New(Config{TokenPath: filepath.Join(t.TempDir(), "token")}, Deps{
		Queue: &fakeQueue{}, Setup: guide,
		Unsubscribe: unsubscribe.New(unsubscribe.Config{Base: &url.URL{Path: "/"}}, unsubscribe.Deps{Links: noLink{}}),
	})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	page := ""
	ask := func(l Listener, path string) int {
		r := httptest.NewRequest(http.MethodGet, "http://autoconfig.example.test"+path, nil)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80})))
		w := httptest.NewRecorder()
		s.server(l).Handler.ServeHTTP(w, r)
		page = w.Body.String()
		return w.Code
	}
	for _, only := range []bool{true, false} {
		if got := ask(Listener{SetupOnly: only}, "/"+strings.Repeat("A", 60)); got != 404 || !strings.Contains(page, "This link leads nowhere") {
			t.Errorf("a link, only setup %v: %d %s", only, got, page)
		}
	}
	for _, c := range []struct {
		only bool
		path string
		want int
	}{
		{false, "/mail/config-v1.1.xml", 200},
		{true, "/mail/config-v1.1.xml", 200},
		{false, "/api/v1/queue", http.StatusMisdirectedRequest},
		{true, "/api/v1/queue", 404},
		{true, "/", 404},
		{true, "/metrics", 404},
		{true, "/debug/pprof/", 404},
	} {
		if got := ask(Listener{SetupOnly: c.only}, c.path); got != c.want {
			t.Errorf("%s, only setup %v: %d, want %d", c.path, c.only, got, c.want)
		}
	}
}

// fakeMailboxes are two, of which one has two folders.
type fakeMailboxes struct{ err error }

func (f fakeMailboxes) Accounts(fn func(string) bool) error {
	for _, a := range []string{"ann@example.test", "bob@example.test"} {
		if !fn(a) {
			break
		}
	}
	return f.err
}

func (fakeMailboxes) Usage(account string) (mailbox.Usage, error) {
	return mailbox.Usage{Octets: 1234, Messages: int64(len(account)), Limit: -1}, nil
}

func (fakeMailboxes) Folders(string) ([]mailbox.Folder, error) {
	return []mailbox.Folder{{Name: "INBOX", Messages: 2, Unseen: 1, Octets: 30}, {Name: "a", NoSelect: true}, {Name: "a/b", Use: mailbox.Sent}}, nil
}

func TestMailboxes(t *testing.T) {
	s := New(Config{TokenPath: filepath.Join(t.TempDir(), "token")}, Deps{Queue: &fakeQueue{}, Mailboxes: fakeMailboxes{}})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.handler)
	defer web.Close()
	c := &Client{URL: web.URL, Token: *s.token.Load(), HTTP: web.Client()}
	page, err := c.Mailboxes(t.Context(), "")
	if err != nil || len(page.Mailboxes) != 2 || page.Next != "" || page.Mailboxes[0].Octets != 1234 || page.Mailboxes[0].Quota != 0 {
		t.Errorf("%+v, %v", page, err)
	}
	if page, err = c.Mailboxes(t.Context(), "ann@example.test"); err != nil || len(page.Mailboxes) != 1 || page.Mailboxes[0].Address != "bob@example.test" {
		t.Errorf("%+v, %v", page, err)
	}
	m, err := c.Mailbox(t.Context(), "Ann@Example.test")
	if d := cmp.Diff(Mailbox{
		Address: "ann@example.test", Messages: 16, Octets: 1234,
		Folders: []Folder{{Name: "INBOX", Messages: 2, Unseen: 1, Octets: 30}, {Name: "a/b", Use: `\Sent`}},
	}, m); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	for path, want := range map[string]int{
		"mailboxes?limit=1": 200, "mailboxes?limit=0": 400, "mailboxes?colour=red": 400, "mailboxes/ann": 400, "mailboxes/none@example.test": 404,
	} {
		err := c.do(t.Context(), http.MethodGet, path, nil, &page)
		var p *Problem
		if got := map[bool]int{true: 200}[err == nil]; errors.As(err, &p) && p.Status != want || p == nil && got != want {
			t.Errorf("%s: %v", path, err)
		}
		if path == "mailboxes?limit=1" && page.Next != "ann@example.test" {
			t.Errorf("%s: %+v", path, page)
		}
	}
}
