package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestControl(t *testing.T) {
	var asked []string
	arrivals := []Arrival{{N: 7, Count: 2, First: 1_700_000_000_123_456_789}, {N: MaxMessages - 1, Count: 1}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		switch r.URL.Path {
		case "/stats":
			w.Write([]byte(`{"run":"a b","total":3,"unique":2,"duplicates":1,"last_ns":9}`))
		case "/arrivals":
			var b []byte
			for _, a := range arrivals {
				b = a.Append(b)
			}
			w.Write(b)
		}
	}))
	defer srv.Close()
	c, err := NewControl(strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Reset(t.Context(), "a&b"); err != nil {
		t.Error(err)
	}
	if s, err := c.Stats(t.Context()); err != nil || s != (SinkStats{Run: "a b", Total: 3, Unique: 2, Duplicates: 1, Last: 9}) {
		t.Errorf("%+v, %v", s, err)
	}
	if got, err := c.Arrivals(t.Context(), "r"); err != nil || !slices.Equal(got, arrivals) {
		t.Errorf("%v, %v", got, err)
	}
	if want := []string{"POST /reset?run=a%26b", "GET /stats", "GET /arrivals?run=r"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
}

func TestControlErrors(t *testing.T) {
	for _, address := range []string{"", "ftp://x", "http://", "::"} {
		if _, err := NewControl(address); err == nil {
			t.Errorf("%q is taken", address)
		}
	}
	srv := httptest.NewServer(http.NotFoundHandler())
	c, err := NewControl(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Reset(t.Context(), "r"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a 404: %v", err)
	}
	srv.Close()
	if _, err := c.Stats(context.Background()); err == nil {
		t.Error("a closed port is no error")
	}
}

func FuzzParseArrivals(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 15))
	f.Add(Arrival{N: 3, Count: 1, First: -1}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := ParseArrivals(b)
		if err != nil {
			return
		}
		var again []byte
		for _, a := range all {
			again = a.Append(again)
		}
		if string(again) != string(b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}
