package relaytest

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"regexp"
	"sync/atomic"
	"testing/synctest"

	"github.com/rogpeppe/go-internal/testscript"

	"tenma/relay/wire/mtasts"
)

// policyHost is a web server with the MTA-STS policy of one domain.
type policyHost struct{ text atomic.Pointer[string] } // nil: 404

func (p *policyHost) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	text := p.text.Load()
	if text == nil {
		http.Error(w, "nothing here", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, *text)
}

// Policy puts the web server mta-sts.DOMAIN on the network, with a certificate
// that the relay trusts, or changes what it has: the text of a policy, nil for
// nothing.
func (w *World) Policy(domain, address string, text *string) {
	w.t.Helper()
	if p := w.policies[domain]; p != nil {
		p.text.Store(text)
		return
	}
	l, err := w.Net.Listen("tcp", address)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	p := &policyHost{}
	p.text.Store(text)
	w.policies[domain] = p
	s := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)}
	cert := w.authority().issue(mtasts.Host(domain))
	w.wg.Go(func() { _ = s.Serve(tls.NewListener(l, cert)) })
	w.wg.Go(func() {
		<-w.ctx.Done()
		_ = s.Close()
	})
}

// tlsaOf is what stands in a zone for the TLSA record of a receiver's key.
var tlsaOf = regexp.MustCompile(`KEY\(([a-z0-9.-]+)\)`)

// withKeys puts the digests of receivers' keys in the place of KEY(RECEIVER).
func (w *World) withKeys(zone string) string {
	return tlsaOf.ReplaceAllStringFunc(zone, func(m string) string {
		cert := w.certs[tlsaOf.FindStringSubmatch(m)[1]]
		if cert == nil {
			w.t.Fatalf("%s: no such receiver, or without TLS", m)
		}
		leaf, err := x509.ParseCertificate(cert.Certificates[0].Certificate[0])
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
		return hex.EncodeToString(sum[:])
	})
}

// cmdPolicy is "policy DOMAIN ADDRESS [FILE]".
func cmdPolicy(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	var text *string
	if len(args) > 2 {
		s := ts.ReadFile(args[2])
		text = &s
	}
	world(ts).Policy(args[0], args[1], text)
}

// cmdMetric is "metric NAME": its lines go to stdout as "NAME{LABELS} VALUE".
func cmdMetric(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	synctest.Wait()
	families, err := world(ts).registry.Gather()
	ts.Check(err)
	for _, f := range families {
		if f.GetName() != args[0] {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += fmt.Sprintf(" %s=%s", l.GetName(), l.GetValue())
			}
			fmt.Fprintf(ts.Stdout(), "%s%s %v\n", f.GetName(), labels, m.GetCounter().GetValue()+m.GetGauge().GetValue())
		}
	}
}
