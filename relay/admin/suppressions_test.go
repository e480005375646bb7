package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"tenma/relay/policy/suppress"
	"tenma/relay/policy/suppress/table"
)

// aList is a suppression list in memory.
func aList(t testing.TB) *suppress.List {
	t.Helper()
	tab, err := table.Open(table.Options{Dir: "list", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tab.Close() })
	return suppress.New(suppress.Config{Expire: suppress.DefaultExpire()}, suppress.Deps{Store: tab})
}

// What is wrong is told; what is not is done.
func TestSuppressions(t *testing.T) {
	s := started(t, &fakeQueue{})
	long := strings.Repeat("x", 200)
	for _, c := range []struct {
		request, body string
		code          int
		want          string
	}{
		{"POST /api/v1/suppressions", `{"entries":[]}`, 400, "from 1 to 1000"},
		{
			"POST /api/v1/suppressions", `{"entries":[{"address":"A@a.test"},{"address":"nobody"},{"address":"b.test","tenant":"shop","reason":"complaint","detail":"x\ny"},
			{"address":"c@a.test","reason":"because"},{"address":"c@a.test","campaign":"x"},{"address":"c@a.test","creator":"` + long + `"},
			{"address":"d@a.test","reason":"hard_bounce","rule":"r","provider":"p.test","created":"2026-01-01T00:00:00Z","expires":"2126-01-01T00:00:00Z"}]}`, 200,
			`{"added":3,"replaced":0,"bad":[{"index":1,"error":"\"nobody\" is neither an address nor a domain"},{"index":3,"error":"there is no reason`,
		},
		{"POST /api/v1/suppressions", `{"entries":[{"address":"a@a.test"}]}`, 200, `{"added":0,"replaced":1,"bad":[]}`},
		{"POST /api/v1/suppressions", `{"entries":[{"addres":"a@a.test"}]}`, 400, "addres"},
		{"GET /api/v1/suppressions", "", 200, `"address":"a@a.test","reason":"manual"`},
		{"GET /api/v1/suppressions?address=b.test", "", 200, `"detail":"x y"`},
		{"GET /api/v1/suppressions?reason=hard_bounce&rule=r&provider=p.test&tenant=&since=2025-12-31T23:00:00Z", "", 200, `"expires":"2126-01-01T00:00:00Z","rule":"r"`},
		{"GET /api/v1/suppressions?rule=other", "", 200, `{"entries":[]}`},
		{"GET /api/v1/suppressions?held=true", "", 200, `{"entries":[]}`},
		{"GET /api/v1/suppressions?held=perhaps", "", 400, "true or false"},
		{"GET /api/v1/suppressions?limit=0", "", 400, "limit"},
		{"GET /api/v1/suppressions?after=%00", "", 400, "after"},
		{"GET /api/v1/suppressions?address=x", "", 400, "neither"},
		{"GET /api/v1/suppressions?reason=x", "", 400, "no reason"},
		{"GET /api/v1/suppressions?since=yesterday", "", 400, "since"},
		{"GET /api/v1/suppressions?adress=a@a.test", "", 400, "unknown parameter"},
		{"GET /api/v1/suppressions?tenant=a&tenant=b", "", 400, "stands 2 times"},
		{"POST /api/v1/suppressions/undo", `{}`, 400, "since is missing"},
		{"POST /api/v1/suppressions/undo", `{"since":"2025-01-01T00:00:00Z","rule":"r","dry_run":true}`, 200, `{"entries":1}`},
		{"POST /api/v1/suppressions/undo", `{"since":"2025-01-01T00:00:00Z","rule":"r"}`, 200, `{"entries":1}`},
		{"POST /api/v1/suppressions/undo", `{"since":"2025-01-01T00:00:00Z"}`, 200, `{"entries":0}`},
		{"POST /api/v1/suppressions/release", `{}`, 200, `{"entries":0}`},
		{"DELETE /api/v1/suppressions", "", 400, "address"},
		{"DELETE /api/v1/suppressions?address=a@a.test&all=true&tenant=x", "", 400, "contradict"},
		{"DELETE /api/v1/suppressions?address=a@a.test&campaign=x", "", 400, "scope"},
		{"DELETE /api/v1/suppressions?address=b.test", "", 200, `{"entries":0}`},
		{"DELETE /api/v1/suppressions?address=b.test&tenant=shop", "", 200, `{"entries":1}`},
		{"DELETE /api/v1/suppressions?address=A@A.test&all=true", "", 200, `{"entries":1}`},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		w := ask(s, method, target, c.body, bearer, asJSON)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %.80s: %d %s", c.request, c.body, w.Code, w.Body)
		}
	}
}

// A client reads everything, page by page, and a held entry that it adds is held.
func TestSuppressionsClient(t *testing.T) {
	s := started(t, &fakeQueue{})
	web := httptest.NewServer(s.handler)
	defer web.Close()
	c := &Client{URL: web.URL, Token: testToken, HTTP: web.Client()}
	ctx := context.Background()
	var all []Suppression
	for i := range 25 {
		all = append(all, Suppression{Address: fmt.Sprintf("u%02d@a.test", i), Tenant: "shop", Campaign: "spring", Reason: "hard_bounce", Creator: "me"})
	}
	all[7].Held = true
	if a, err := c.Suppress(ctx, all); err != nil || a.Added != 25 {
		t.Fatalf("%+v %v", a, err)
	}
	var got []Suppression
	after, more := "", true
	for more {
		p, err := c.Suppressions(ctx, SuppressionSelection{Tenant: "shop"}, after, 7)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p.Entries...)
		after, more = p.Next, p.Next != ""
	}
	if len(got) != 24 || got[0].Address != "u00@a.test" || got[0].Expires == nil || got[23].Address != "u24@a.test" {
		t.Errorf("%d entries", len(got))
	}
	now := time.Now().Add(-time.Hour)
	sel := SuppressionSelection{Held: true, Since: &now}
	if n, err := c.ChangeSuppressions(ctx, "release", sel); err != nil || n != 1 {
		t.Errorf("released %d, %v", n, err)
	}
	if n, err := c.Unsuppress(ctx, "u00@a.test", "shop", "spring", false); err != nil || n != 1 {
		t.Errorf("removed %d, %v", n, err)
	}
	if n, err := c.ChangeSuppressions(ctx, "undo", SuppressionSelection{Since: &now}); err != nil || n != 24 {
		t.Errorf("undone %d, %v", n, err)
	}
}

// Whatever comes, the answer is JSON and the list is not harmed.
func FuzzSuppressions(f *testing.F) {
	f.Add(`{"entries":[{"address":"a@a.test","expires":"2126-01-01T00:00:00Z"}]}`, "address=a@a.test&after=YQ")
	f.Add(`{"entries":[{"address":"\u0000@a.test","tenant":"\u0001"}]}`, "since=2026-01-01T00:00:00Z&held=1")
	s := New(Config{}, Deps{Queue: &fakeQueue{}, Suppressions: aList(f)})
	token := testToken
	s.token.Store(&token)
	f.Fuzz(func(t *testing.T, body, query string) {
		for _, request := range []string{"POST suppressions", "POST suppressions/undo", "POST suppressions/release", "GET suppressions", "DELETE suppressions"} {
			method, path, _ := strings.Cut(request, " ")
			r := httptest.NewRequest(method, "/api/v1/"+path, strings.NewReader(body))
			if method != "POST" {
				r.URL.RawQuery = query
			}
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			var answer map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 && w.Code != 400 && w.Code != 413 {
				t.Errorf("%s %q: %d %s", request, body, w.Code, w.Body)
			}
		}
	})
}

// A place in the list comes back as it was.
func FuzzCursor(f *testing.F) {
	f.Add("YS50ZXN0AGEAAA")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseCursor(text)
		if err != nil || text == "" {
			return
		}
		again, err := parseCursor(cursor(&k))
		if err != nil || !cmp.Equal(k, again) {
			t.Errorf("%q: %+v became %+v, %v", text, k, again, err)
		}
	})
}
