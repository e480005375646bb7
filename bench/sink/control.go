package sink

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"tenma/bench/internet"
	"tenma/bench/load"
)

// Handler is the control port, as load.Control speaks to it:
//
//	GET  /stats              Stats as JSON
//	POST /reset?run=NAME     Reset
//	GET  /arrivals?run=NAME  a load.Arrival record for each number that arrived
//	POST /mode?...           how hosts behave:
//	    down=1, down=0       Down
//	    manner=WORDS         of all hosts without a manner of their own, or
//	    &at=ADDRESS          of one listening address, or
//	    &domain=NAME         of a recipient domain; WORDS "none" takes it away
//
// It answers 200 and JSON, 400 and a line of text to what makes no sense, 404
// to another run's arrivals, 500 if an address could not be opened again.
func (s *Sink) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", s.serveStats)
	mux.HandleFunc("GET /arrivals", s.serveArrivals)
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, r *http.Request) {
		run := r.FormValue("run")
		if _, ok := load.ParseTag(run + " 0"); !ok && run != "" || strings.TrimSpace(run) != run {
			http.Error(w, "run is a word of at most 64 octets", http.StatusBadRequest)
			return
		}
		s.Reset(run)
		s.serveStats(w, r)
	})
	mux.HandleFunc("POST /mode", func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		set, down, err := mode(r.Form)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if set != nil {
			err = set(s)
		}
		if down != nil {
			err = errors.Join(err, s.Down(*down))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		s.serveStats(w, r)
	})
	return mux
}

// mode reads the form of /mode: the manner to set, if any, and down or not.
func mode(form map[string][]string) (set func(*Sink) error, down *bool, err error) {
	place, one := "", func(key string) string { return strings.Join(form[key], " ") }
	for key := range form {
		switch key {
		case "down", "manner":
		case "at":
			place = one(key)
		case "domain":
			place = "@" + one(key)
		default:
			return nil, nil, errors.New("no such field: " + key)
		}
	}
	switch {
	case len(form["at"]) > 0 && len(form["domain"]) > 0:
		return nil, nil, errors.New("either at or domain")
	case place != "" && form["manner"] == nil:
		return nil, nil, errors.New("manner is missing")
	}
	if form["manner"] != nil {
		var m *internet.Manner
		if words := one("manner"); words != "none" {
			parsed, err := ParseManner(strings.Fields(words))
			if err != nil {
				return nil, nil, err
			}
			m = &parsed
		}
		set = func(s *Sink) error { return s.SetManner(place, m) }
	}
	if form["down"] != nil {
		d := one("down") == "1"
		if !d && one("down") != "0" {
			return nil, nil, errors.New("down is 1 or 0")
		}
		down = &d
	}
	return set, down, nil
}

func (s *Sink) serveStats(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.Stats())
}

func (s *Sink) serveArrivals(w http.ResponseWriter, r *http.Request) {
	out := bufio.NewWriterSize(w, 64<<10)
	w.Header().Set("Content-Type", "application/octet-stream")
	var record []byte
	ok := s.Arrivals(r.FormValue("run"), func(n, count uint32, first int64) {
		record = load.Arrival{N: n, Count: count, First: first}.Append(record[:0])
		_, _ = out.Write(record)
	})
	if !ok {
		http.Error(w, "another run is being counted", http.StatusNotFound)
		return
	}
	_ = out.Flush()
}
