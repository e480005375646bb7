//go:build interop

package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// keyDigest gives the data of "TLSA 3 1 1" for a certificate in a PEM file.
func keyDigest(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// zones are signed by BIND's tools, in a directory.
type zones struct {
	*peer
	conf string // of unbound: what it knows of them
}

func (z *zones) tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = z.dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return strings.TrimSpace(string(out))
}

// add makes a zone known, signed if end is not "": until then, as
// dnssec-signzone takes it. bend changes the text after it was signed.
func (z *zones) add(t *testing.T, name, records, end string, bend func(string) string) {
	t.Helper()
	file := z.write(t, name, "$TTL 300\n@ SOA ns."+name+". root."+name+". 1 3600 600 86400 60\n@ NS ns."+name+".\nns A 127.0.0.1\n"+records)
	if end != "" {
		z.tool(t, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", name)
		ksk := z.tool(t, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", name)
		z.tool(t, "dnssec-signzone", "-q", "-P", "-o", name, "-f", name+".signed", "-s", "20200101000000", "-e", end, "-S", "-K", z.dir, file)
		file = filepath.Join(z.dir, name+".signed")
		z.conf += fmt.Sprintf("  trust-anchor-file: %q\n", filepath.Join(z.dir, ksk+".key"))
	}
	if bend != nil {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(bend(string(text))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	z.conf += fmt.Sprintf("auth-zone:\n  name: %q\n  zonefile: %q\n  for-downstream: no\n  for-upstream: yes\nserver:\n", name, file)
}

// unbound runs Debian's unbound on the zones, validating or not, and gives its
// address.
func (z *zones) unbound(t *testing.T, validates bool) string {
	t.Helper()
	modules := "iterator"
	if validates {
		modules = "validator iterator"
	}
	addr := freePort(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(addr)
	conf := z.write(t, "unbound-"+port+".conf", fmt.Sprintf(`server:
  interface: 127.0.0.1@%s
  port: %s
  do-daemonize: no
  username: ""
  chroot: ""
  directory: %q
  pidfile: ""
  use-syslog: no
  logfile: %q
  module-config: %q
  local-zone: "test." nodefault
  access-control: 127.0.0.0/8 allow
%s`, port, port, z.dir, z.log, modules, z.conf))
	cmd := exec.Command("/usr/sbin/unbound", "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if log, err := os.ReadFile(z.log); err == nil && t.Failed() {
			t.Logf("unbound said:\n%s", log)
		}
	})
	if !await(t, patience, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, z.log) {
		t.Fatal("unbound does not come up")
	}
	return addr
}

// policyServer serves MTA-STS policies by HTTPS at 127.0.0.81, by domain, with a
// certificate that it writes to a PEM file.
func policyServer(t *testing.T, p *peer, policies map[string]string) (cert string) {
	t.Helper()
	var names []string
	for d := range policies {
		names = append(names, "mta-sts."+d)
	}
	cert, key := p.certificate(t, names...)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.81:443")
	if err != nil {
		t.Skipf("policies are at port 443, which is not for us: %v", err)
	}
	s := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "version: STSv1\nmax_age: 86400\n"+policies[strings.TrimPrefix(r.Host, "mta-sts.")])
	})}
	go s.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}}))
	t.Cleanup(func() { s.Close() })
	return cert
}

// TestInteropHostTLS delivers to Postfix and to a relay that has REQUIRETLS, by
// the word of unbound and of zones that BIND's tools signed, once validating,
// once not, and tells of each kind of domain what becomes of its mail.
func TestInteropHostTLS(t *testing.T) {
	for _, tool := range []string{"/usr/sbin/unbound", "/usr/bin/dnssec-signzone"} {
		if _, err := os.Stat(tool); err != nil {
			t.Skip("needs Debian's unbound and bind9-utils: ", err)
		}
	}
	rx := startPostfix(t, map[string]string{"mx": ""}, "relay_domains = static:ALL\ndefault_transport = discard:\nrelay_transport = discard:")
	_, port, _ := net.SplitHostPort(rx.addr["mx"])
	rxCert := filepath.Join(rx.dir, "cert.pem")

	strict := newPeer(t)
	strictCert, strictKey := strict.certificate(t, "rt.s.test")
	startRelay(t, binary(t), strict.dir, freePort(t, "127.0.0.1"), fmt.Sprintf(`[[listen]]
protocol = "smtp"
address = "127.0.0.2:%s"
relay_from = ["127.0.0.0/8"]
[tls]
certificate = %q
key = %q
[[route]]
domain = "*"
to = "discard"
`, port, strictCert, strictKey))

	web := newPeer(t)
	webCert := policyServer(t, web, map[string]string{
		"stsok.u.test":   "mode: enforce\nmx: rx.test\n",
		"stsname.u.test": "mode: enforce\nmx: *.rx.test\n",
		"stslist.u.test": "mode: enforce\nmx: *.elsewhere.test\n",
		"ststry.u.test":  "mode: testing\nmx: *.elsewhere.test\n",
		"rtsts.u.test":   "mode: enforce\nmx: rt.s.test\n",
		"stsboth.s.test": "mode: enforce\nmx: *.elsewhere.test\n",
	})

	z := &zones{peer: newPeer(t)}
	good, strictDigest, wrong := keyDigest(t, rxCert), keyDigest(t, strictCert), strings.Repeat("00", 32)
	at := "_" + port + "._tcp."
	z.add(t, "s.test", strings.NewReplacer("PORT.", at, "GOOD", good, "STRICT", strictDigest, "WRONG", wrong).Replace(`
ok       MX 10 mxok
mxok     A 127.0.0.1
PORT.mxok TLSA 3 1 1 GOOD
two      MX 10 mxtwo
mxtwo    A 127.0.0.1
PORT.mxtwo TLSA 3 1 1 WRONG
PORT.mxtwo TLSA 3 1 1 GOOD
bad      MX 10 mxbad
mxbad    A 127.0.0.1
PORT.mxbad TLSA 3 1 1 WRONG
odd      MX 10 mxodd
mxodd    A 127.0.0.1
PORT.mxodd TLSA 1 1 1 GOOD
none     MX 10 mxnone
mxnone   A 127.0.0.1
old      MX 10 mx.old.test.
bent     MX 10 mx.bent.test.
away     MX 10 mx.u.test.
rtok     MX 10 rt
rt       A 127.0.0.2
PORT.rt  TLSA 3 1 1 STRICT
stsboth  MX 10 mxok
_mta-sts.stsboth TXT "v=STSv1; id=1;"
mta-sts.stsboth  A 127.0.0.81
`), "20400101000000", nil)
	z.add(t, "old.test", "mx A 127.0.0.1\n"+at+"mx TLSA 3 1 1 "+good+"\n", "20210101000000", nil)
	z.add(t, "bent.test", "mx A 127.0.0.1\n"+at+"mx TLSA 3 1 1 "+wrong+"\n", "20400101000000", func(text string) string {
		bent := strings.Replace(text, "3 1 1 (", "3 0 1 (", 1)
		if bent == text {
			t.Fatalf("nothing to bend in\n%s", text)
		}
		return bent
	})
	unsigned := "mx A 127.0.0.1\n" + at + "mx TLSA 3 1 1 " + wrong + "\nplain MX 10 mx\nrtu MX 10 rt.s.test.\nstsgone MX 10 rx.test.\n" +
		"_mta-sts.stsgone TXT \"v=STSv1; id=1;\"\nmta-sts.stsgone A 127.0.0.82\n"
	for d, mx := range map[string]string{"stsok": "rx.test.", "stsname": "wrong.rx.test.", "stslist": "rx.test.", "ststry": "wrong.rx.test.", "rtsts": "rt.s.test."} {
		unsigned += fmt.Sprintf("%s MX 10 %s\n_mta-sts.%s TXT \"v=STSv1; id=1;\"\nmta-sts.%s A 127.0.0.81\n", d, mx, d, d)
	}
	z.add(t, "u.test", unsigned, "", nil)
	z.add(t, "rx.test", "@ A 127.0.0.1\nwrong A 127.0.0.1\n", "", nil)

	roots := ""
	for _, c := range []string{rxCert, strictCert, webCert} {
		text, err := os.ReadFile(c)
		if err != nil {
			t.Fatal(err)
		}
		roots += string(text)
	}
	bundle := z.write(t, "roots.pem", roots)

	rows := []struct {
		why, to  string
		require  bool
		secure   string // what becomes of it where the resolver validates: type, reply, policy
		insecure string // where it does not; "": the same
	}{
		{"DANE: the key is the record's", "ok.s.test", false, "Delivery 250 dane", "Delivery 250 opportunistic"},
		{"DANE: it is one of two", "two.s.test", false, "Delivery 250 dane", "Delivery 250 opportunistic"},
		{"DANE: mismatch", "bad.s.test", false, "TransientFailure 451 4.7.5 dane", "Delivery 250 opportunistic"},
		{"DANE: no record is usable", "odd.s.test", false, "Delivery 250 dane without usable records", "Delivery 250 opportunistic"},
		{"DANE: no records", "none.s.test", false, "Delivery 250 opportunistic", ""},
		{"DANE: the signatures have expired", "old.s.test", false, "TransientFailure 451 4.7.0 dane", "Delivery 250 opportunistic"},
		{"DANE: bogus", "bent.s.test", false, "TransientFailure 451 4.7.0 dane", "Delivery 250 opportunistic"},
		{"DANE: the host's zone is unsigned", "away.s.test", false, "Delivery 250 opportunistic", ""},
		{"DANE: the domain's zone is unsigned", "plain.u.test", false, "Delivery 250 opportunistic", ""},
		{"MTA-STS enforce", "stsok.u.test", false, "Delivery 250 mta-sts", ""},
		{"MTA-STS enforce: the certificate is for another name", "stsname.u.test", false, "TransientFailure 451 4.7.5 mta-sts", ""},
		{"MTA-STS enforce: the policy is for another host", "stslist.u.test", false, "TransientFailure 451 4.7.0 mta-sts", ""},
		{"MTA-STS: the policy cannot be had", "stsgone.u.test", false, "Delivery 250 opportunistic", ""},
		{"MTA-STS testing: nothing fits", "ststry.u.test", false, "Delivery 250 mta-sts testing", ""},
		{"DANE decides over MTA-STS", "stsboth.s.test", false, "Delivery 250 dane", "TransientFailure 451 4.7.0 mta-sts"},
		{"REQUIRETLS: met, by DANE", "rtok.s.test", true, "Delivery 250 dane", "Bounce 550 5.7.30 opportunistic"},
		{"REQUIRETLS: met, by MTA-STS", "rtsts.u.test", true, "Delivery 250 mta-sts", ""},
		{"REQUIRETLS: not offered", "ok.s.test", true, "Bounce 550 5.7.30 dane", "Bounce 550 5.7.30 opportunistic"},
		{"REQUIRETLS: nothing shows that the host is the domain's", "rtu.u.test", true, "Bounce 550 5.7.30 opportunistic", ""},
	}
	for _, validates := range []bool{true, false} {
		t.Run(fmt.Sprintf("validating %v", validates), func(t *testing.T) {
			dir, secureDoor := t.TempDir(), freePort(t, "127.0.0.1")
			relay := startRelay(t, binary(t), dir, freePort(t, "127.0.0.1"), fmt.Sprintf(`[[listen]]
protocol = "smtp"
address = %q
relay_from = ["127.0.0.0/8"]
[dns]
servers = [%q]
dnssec_probe = "s.test"
[delivery]
port = %s
private_destinations = true
`, secureDoor, z.unbound(t, validates), port), "env", "SSL_CERT_FILE="+bundle)
			plain, err := converse(relay.smtp)
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			safe := overTLS(t, secureDoor)
			defer safe.Close()
			for i, r := range rows {
				v, from := plain, "<>"
				if r.require {
					v, from = safe, "<> REQUIRETLS"
				}
				v.submit(t, from, []string{fmt.Sprintf("<r%d@%s>", i, r.to)}, specimens()[0].text)
			}
			journal := filepath.Join(dir, "data", "log", "mail.jsonl")
			var got map[string]string
			await(t, patience, func() bool {
				got = fates(t, journal)
				return len(got) == len(rows)
			}, journal)
			for i, r := range rows {
				want := r.secure
				if !validates && r.insecure != "" {
					want = r.insecure
				}
				if got := got[fmt.Sprintf("r%d@%s", i, r.to)]; !strings.HasPrefix(got, want) {
					t.Errorf("%s:\n got %s\nwant %s", r.why, got, want)
				}
			}
			check, err := exec.Command(binary(t), "check", "-c", relay.conf).Output()
			if says := strings.Contains(string(check), "the DNS servers validate"); err != nil || says != validates {
				t.Errorf("%v: %s", err, check)
			}
			relay.term()
		})
	}
}

// overTLS is converse behind STARTTLS, whatever the certificate.
func overTLS(t *testing.T, addr string) *conversation {
	t.Helper()
	v, err := converse(addr)
	if err == nil {
		_, err = v.ask("STARTTLS\r\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(v.Conn, &tls.Config{InsecureSkipVerify: true})
	v = &conversation{c, bufio.NewReader(c)}
	if _, err := v.ask("EHLO client.test\r\n"); err != nil {
		t.Fatal(err)
	}
	return v
}

// fates gives of each recipient what the mail log has first: type, reply, policy
// and detail.
func fates(t *testing.T, journal string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(journal)
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		var e struct {
			Type      string
			Recipient any
			Response  struct {
				Code    int
				Content string
				Status  *struct{ Class, Subject, Detail int } `json:"enhanced_code"`
			}
			Policy string `json:"tls_policy"`
			Detail string
		}
		if json.Unmarshal([]byte(line), &e) != nil || e.Type == "Reception" {
			continue
		}
		to, _ := e.Recipient.(string)
		if _, there := out[to]; there || to == "" {
			continue
		}
		out[to] = fmt.Sprintf("%s %d", e.Type, e.Response.Code)
		if s := e.Response.Status; s != nil && e.Response.Code != 250 {
			out[to] += fmt.Sprintf(" %d.%d.%d", s.Class, s.Subject, s.Detail)
		}
		out[to] += " " + e.Policy + " (" + e.Response.Content + "; " + e.Detail + ")"
	}
	return out
}
