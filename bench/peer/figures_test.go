package peer

import (
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const someFigures = `# HELP a_total A thing.
# TYPE a_total counter
a_total 12
b{x="1 }",y="2"} 0.5 1700000000000
b{x="2"} 2
c NaN
d +Inf
e
`

func TestFigures(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(someFigures))
	}))
	defer srv.Close()
	s := &Server{metrics: srv.URL + "/metrics"}
	if got, err := s.Figures(t.Context()); err != nil || !maps.Equal(got, map[string]float64{"a_total": 12, "b": 2.5}) {
		t.Errorf("%v, %v", got, err)
	}
	s.metrics = srv.URL
	if _, err := s.Figures(t.Context()); err == nil {
		t.Error("a 404 is no error")
	}
	s.metrics = ""
	if got, err := s.Figures(t.Context()); got != nil || err != nil {
		t.Errorf("a server without metrics: %v, %v", got, err)
	}
}

func FuzzFigures(f *testing.F) {
	f.Add(someFigures)
	f.Add("a{")
	f.Add("} 1")
	f.Fuzz(func(t *testing.T, text string) {
		all, _ := parseFigures(strings.NewReader(text))
		for name, v := range all {
			if name == "" || math.IsNaN(v) {
				t.Errorf("%q %v", name, v)
			}
		}
	})
}
