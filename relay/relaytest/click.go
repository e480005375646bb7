package relaytest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing/synctest"

	"github.com/rogpeppe/go-internal/testscript"

	"tenma/relay/wire/header"
)

// cmdClick follows the links to unsubscribe of what a receiver got, as a mailbox
// provider does (RFC 8058 section 3.2); with "get", as a person or a scanner. The
// proxy in front that the links mean is left out.
func cmdClick(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	w := world(ts)
	link := regexp.MustCompile(`<(https://[^>]+)>`)
	for _, m := range w.Got(args[0]) {
		section, _ := header.Split(m.Data)
		found := link.FindStringSubmatch(section.Text("List-Unsubscribe"))
		if found == nil {
			fmt.Fprintf(ts.Stdout(), "%v: no link\n", m.To)
			continue
		}
		u, err := url.Parse(found[1])
		ts.Check(err)
		method, body := http.MethodPost, section.Text("List-Unsubscribe-Post")
		if len(args) > 1 {
			method, body = http.MethodGet, ""
		}
		status, page := w.ask(ts, method, u.Path, body)
		fmt.Fprintf(ts.Stdout(), "%v: %d %s\n", m.To, status, strings.Join(strings.Fields(page), " "))
	}
	synctest.Wait()
}

// ask sends a request to the relay's HTTP listener.
func (w *World) ask(ts *testscript.TestScript, method, path, body string) (int, string) {
	t := &http.Transport{DialContext: w.Net.DialContext, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(w.ctx, method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	ts.Check(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := t.RoundTrip(r)
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	return answer.StatusCode, string(text)
}
