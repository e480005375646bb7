package relaytest

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"net/http"
	"net/mail"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// tlsReport is a report on TLS as RFC 8460 section 4.4 has it, read from there and
// not from what the relay writes by; a name that is not in it is an error.
type tlsReport struct {
	Organization string `json:"organization-name"`
	DateRange    struct {
		Start time.Time `json:"start-datetime"`
		End   time.Time `json:"end-datetime"`
	} `json:"date-range"`
	Contact  string `json:"contact-info"`
	ID       string `json:"report-id"`
	Policies []struct {
		Policy struct {
			Type   string   `json:"policy-type"`
			String []string `json:"policy-string"`
			Domain string   `json:"policy-domain"`
			MXHost []string `json:"mx-host"`
		} `json:"policy"`
		Summary struct {
			Success *int `json:"total-successful-session-count"`
			Failure *int `json:"total-failure-session-count"`
		} `json:"summary"`
		Details []struct {
			Type    string `json:"result-type"`
			Sending string `json:"sending-mta-ip"`
			MX      string `json:"receiving-mx-hostname"`
			HELO    string `json:"receiving-mx-helo"`
			IP      string `json:"receiving-ip"`
			Count   *int   `json:"failed-session-count"`
			More    string `json:"additional-information"`
			Reason  string `json:"failure-reason-code"`
		} `json:"failure-details"`
	} `json:"policies"`
}

// posts is a web server that takes reports.
type posts struct {
	mu      sync.Mutex
	code    int      // guarded by mu: that it answers with
	reports [][]byte // guarded by mu: what it took
}

func (p *posts) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, err := io.ReadAll(q.Body)
	if err != nil || q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/tlsrpt+gzip" {
		http.Error(w, "not a report", http.StatusUnsupportedMediaType)
		return
	}
	if p.code/100 == 2 {
		p.reports = append(p.reports, body)
	}
	w.WriteHeader(p.code)
}

// Collect puts a web server for reports on the network, or changes the code that it
// answers with. Its certificate is for certName.
func (w *World) Collect(host, address string, code int, certName string) {
	w.t.Helper()
	if p := w.posts[host]; p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.code = code
		return
	}
	l, err := w.Net.Listen("tcp", address)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	p := &posts{code: code}
	w.posts[host] = p
	s := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)}
	cert := w.authority().issue(certName)
	w.wg.Go(func() { _ = s.Serve(tls.NewListener(l, cert)) })
	w.wg.Go(func() {
		<-w.ctx.Done()
		_ = s.Close()
	})
}

// cmdCollector is "collector HOST ADDRESS CODE [CERTIFICATE'S NAME]".
func cmdCollector(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3)
	var code int
	_, err := fmt.Sscan(args[2], &code)
	ts.Check(err)
	name := args[0]
	if len(args) > 3 {
		name = args[3]
	}
	world(ts).Collect(args[0], args[1], code, name)
}

// cmdReports is "reports NAME": the TLS reports that a receiver or a collector got,
// checked against RFC 8460, one line for each of their parts.
func cmdReports(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	synctest.Wait()
	w := world(ts)
	fmt.Fprintf(ts.Stdout(), "at %s\n", args[0])
	if p := w.posts[args[0]]; p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, packed := range p.reports {
			r, err := readReport(packed)
			ts.Check(err)
			r.print(ts.Stdout())
		}
		return
	}
	for _, m := range w.Got(args[0]) {
		file, packed, err := reportOf(m.Data)
		ts.Check(err)
		if packed == nil {
			continue // other mail
		}
		r, err := readReport(packed)
		ts.Check(err)
		fmt.Fprintf(ts.Stdout(), "file %s\n", file)
		r.print(ts.Stdout())
	}
}

// reportOf takes a report out of a message (RFC 8460 section 5.3); nil: it has none.
func reportOf(text []byte) (file string, packed []byte, err error) {
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return "", nil, err
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "tlsrpt" {
		return "", nil, nil //nolint:nilerr // of another kind
	}
	if m.Header.Get("TLS-Report-Domain") == "" || m.Header.Get("TLS-Report-Submitter") == "" {
		return "", nil, fmt.Errorf("without its header fields: %v", m.Header)
	}
	want := fmt.Sprintf("Report Domain: %s Submitter: %s Report-ID: <", m.Header.Get("TLS-Report-Domain"), m.Header.Get("TLS-Report-Submitter"))
	if s := m.Header.Get("Subject"); !strings.HasPrefix(s, want) || !strings.HasSuffix(s, ">") {
		return "", nil, fmt.Errorf("subject %q, want %q", s, want)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	people, err := parts.NextPart()
	if err != nil || !strings.HasPrefix(people.Header.Get("Content-Type"), "text/plain") {
		return "", nil, fmt.Errorf("first part: %v, %v", people, err)
	}
	p, err := parts.NextPart()
	if err != nil || p.Header.Get("Content-Type") != "application/tlsrpt+gzip" || p.Header.Get("Content-Transfer-Encoding") != "base64" {
		return "", nil, fmt.Errorf("second part: %v, %v", p, err)
	}
	if packed, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, p)); err != nil {
		return "", nil, err
	}
	if _, err := parts.NextPart(); err != io.EOF {
		return "", nil, fmt.Errorf("a third part, %v", err)
	}
	return p.FileName(), packed, nil
}

func readReport(packed []byte) (*tlsReport, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text := json.NewDecoder(z)
	text.DisallowUnknownFields()
	r := new(tlsReport)
	if err := text.Decode(r); err != nil {
		return nil, err
	}
	if _, err := text.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows the report: %v", err)
	}
	return r, r.check()
}

// check looks for what every report must have.
func (r *tlsReport) check() error {
	if r.Organization == "" || r.Contact == "" || r.ID == "" || len(r.Policies) == 0 {
		return fmt.Errorf("incomplete: %+v", r)
	}
	if d := r.DateRange; d.Start.Hour() != 0 || d.End.Sub(d.Start) != 24*time.Hour-time.Second {
		return fmt.Errorf("not a day: %+v", d)
	}
	for _, p := range r.Policies {
		if p.Summary.Success == nil || p.Summary.Failure == nil {
			return fmt.Errorf("without summary: %+v", p)
		}
		sum := 0
		for _, d := range p.Details {
			if d.Count == nil || d.Type == "" {
				return fmt.Errorf("incomplete: %+v", d)
			}
			sum += *d.Count
		}
		if sum != *p.Summary.Failure {
			return fmt.Errorf("%d failures in all, %d one by one", *p.Summary.Failure, sum)
		}
	}
	return nil
}

func (r *tlsReport) print(out io.Writer) {
	fmt.Fprintf(out, "report %s from %q contact %s day %s\n", r.ID, r.Organization, r.Contact, r.DateRange.Start.Format(time.RFC3339))
	for _, p := range r.Policies {
		fmt.Fprintf(out, "policy %s %s good=%d bad=%d mx=%s text=%q\n",
			p.Policy.Type, p.Policy.Domain, *p.Summary.Success, *p.Summary.Failure, strings.Join(p.Policy.MXHost, ","), strings.Join(p.Policy.String, "; "))
		for _, d := range p.Details {
			fmt.Fprintf(out, "failure %s host=%s from=%s to=%s count=%d %s\n", d.Type, d.MX, d.Sending, d.IP, *d.Count, d.Reason)
		}
	}
}
