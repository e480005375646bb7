package scenario

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tenma/bench/internet"
	"tenma/bench/peer"
)

// NameServer is where the sink's DNS listens, where that can be: as root.
const NameServer = "127.1.0.53:53"

// keyBits of the DKIM key: what nearly everyone signs with.
const keyBits = 2048

// Place is where a comparison happens: its folder, and the addresses on
// loopback.
type Place struct {
	Work    string // absolute; programs, keys, spools
	Sink    string // address of the smarthost
	Control string // of the sink
	DNS     string // address of the name server, "" for none
	Resolv  string // file that names it, as /etc/resolv.conf does; "" for none
	Tenma   string // binary
}

// NewPlace prepares a folder for a scenario: keys are made that are not there
// yet, and ports are chosen. Without root there is no name server, since
// port 53 and port 25 are out of reach, and scenarios by MX are refused.
func NewPlace(work, tenma string, s Scenario, root bool) (Place, error) {
	work, err := filepath.Abs(work)
	if err != nil {
		return Place{}, err
	}
	if s.Route == MX && !root {
		return Place{}, fmt.Errorf("scenario %s goes by MX, to ports 25 and 53 on loopback, which needs root: run it with sudo, or choose a scenario with a smarthost", s.Name)
	}
	// Servers give up root and must get through to their spool and keys.
	if err := os.MkdirAll(filepath.Join(work, "run"), 0o755); err != nil {
		return Place{}, fmt.Errorf("making the work folder: %w", err)
	}
	if root {
		for dir := work; dir != "/"; dir = filepath.Dir(dir) {
			if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
				return Place{}, fmt.Errorf("the work folder %s is below %s, which only its owner may enter; mail servers that run as users of their own cannot: choose another with --work", work, dir)
			}
		}
	}
	p := Place{Work: work, Tenma: tenma}
	for _, at := range []*string{&p.Sink, &p.Control} {
		if *at, err = freeAddress(); err != nil {
			return Place{}, err
		}
	}
	if root {
		p.DNS, p.Resolv = NameServer, filepath.Join(work, "resolv.conf")
		if err := os.WriteFile(p.Resolv, []byte("nameserver 127.1.0.53\n"), 0o644); err != nil {
			return Place{}, fmt.Errorf("writing resolv.conf: %w", err)
		}
	}
	return p, p.keys()
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (p Place) file(name string) string { return filepath.Join(p.Work, name) }

// keys makes the keys and the certificate. They protect nothing: all users may
// read them, as mail servers run as several.
func (p Place) keys() error {
	make := func(name string, key func() (kind string, der []byte, err error)) error {
		if _, err := os.Stat(p.file(name)); err == nil {
			return nil
		}
		kind, der, err := key()
		if err != nil {
			return fmt.Errorf("making %s: %w", name, err)
		}
		return os.WriteFile(p.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644)
	}
	cert := internet.SelfSigned("relay.src.test").Certificates[0]
	_, missing := os.Stat(p.file("tls-cert.pem"))
	if missing != nil {
		os.Remove(p.file("tls-key.pem")) // they belong together
	}
	return errors.Join(
		make("dkim-rsa.pem", func() (string, []byte, error) {
			key, err := rsa.GenerateKey(rand.Reader, keyBits)
			if err != nil {
				return "", nil, err
			}
			return "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), nil // which all of them read
		}),
		make("dkim-ed25519.pem", func() (string, []byte, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				return "", nil, err
			}
			der, err := x509.MarshalPKCS8PrivateKey(key)
			return "PRIVATE KEY", der, err
		}),
		make("tls-key.pem", func() (string, []byte, error) {
			der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
			return "PRIVATE KEY", der, err
		}),
		make("tls-cert.pem", func() (string, []byte, error) { return "CERTIFICATE", cert.Certificate[0], nil }),
	)
}

// Setup is what the scenario asks of the server with this driver.
func (p Place) Setup(s Scenario, d peer.Driver) peer.Setup {
	setup := peer.Setup{
		Work: p.Work, Run: filepath.Join(p.Work, "run", strings.ReplaceAll(d.Name, "/", "_")), Tenma: p.Tenma,
		Route: s.Route, Sink: p.Sink, MXPort: 25, DNS: p.DNS, Retry: s.Retry, Connections: s.Connections,
		TLSIn: s.TLSIn, TLSOut: s.TLSOut, Kind: string(s.Kind), CPUs: s.ServerCPUs, Cert: p.file("tls-cert.pem"), Key: p.file("tls-key.pem"), Extra: s.Config[d.Name],
	}
	if s.DKIM != "" {
		setup.DKIMKey = p.file("dkim-" + s.DKIM + ".pem")
	}
	return setup
}

// manner is the sink's manner in a scenario, in words.
func (p Place) manner(s Scenario, words []string) []string {
	if s.TLSOut {
		return append([]string{"tls"}, words...)
	}
	return slices.Clone(words)
}

// sinkWords are those of the whole sink.
func (p Place) sinkWords(s Scenario, words []string) []string {
	listen := p.Sink
	if s.Route == MX {
		listen = fmt.Sprintf("127.1.0.1-%d:25", s.Hosts)
	}
	return append([]string{"listen=" + listen, "control=" + p.Control, "manner"}, p.manner(s, words)...)
}

// sourceWords are those of the whole source.
func (p Place) sourceWords(s Scenario, input, run string, wait time.Duration) []string {
	words := append(slices.Clone(s.Source), "address="+input, "run="+run, "sink=http://"+p.Control, "wait="+wait.String())
	if s.TLSIn {
		words = append(words, "tls=starttls")
	}
	return words
}
