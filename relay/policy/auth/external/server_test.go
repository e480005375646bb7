package external

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// server is an LDAP server (RFC 4511) that knows binds by name and password, and
// searches by their filter.
type server struct {
	t         testing.TB
	tls       *tls.Config
	passwords map[string]string   // by name
	entries   map[string][]string // names, by "base filter"

	mu    sync.Mutex
	now   mood
	asked []string // "bind NAME", "search BASE FILTER", "tls"
}

// mood is how a server is.
type mood struct {
	code   int64 // of every answer, if not 0
	mute   bool  // answers nothing
	refuse bool  // cannot be reached
}

func (s *server) mood() mood {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *server) become(m mood) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = m
}

// dial is a Config.Dial.
func (s *server) dial(context.Context, string, string) (net.Conn, error) {
	if s.mood().refuse {
		return nil, errors.New("connection refused")
	}
	if s.tls == nil {
		near, far := net.Pipe()
		go s.serve(far)
		return near, nil
	}
	// A handshake that fails writes on both sides, which a pipe does not hold.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	far, err := l.Accept()
	if err != nil {
		return nil, err
	}
	go s.serve(far)
	return near, nil
}

func (s *server) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, text)
}

func (s *server) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.asked
	s.asked = nil
	return all
}

func (s *server) serve(c net.Conn) {
	defer func() { c.Close() }()
	for {
		p, err := ber.ReadPacket(c)
		if err != nil || len(p.Children) < 2 {
			return
		}
		id, op := p.Children[0].Value.(int64), p.Children[1]
		if s.mood().mute {
			continue
		}
		switch op.Tag {
		case ldap.ApplicationBindRequest:
			name, password := op.Children[1].Value.(string), op.Children[2].Data.String()
			s.note("bind " + name)
			code := int64(ldap.LDAPResultInvalidCredentials)
			if want, ok := s.passwords[name]; password == "" || ok && want == password {
				code = ldap.LDAPResultSuccess // an empty password is an anonymous bind
			}
			s.answer(c, id, ldap.ApplicationBindResponse, code)
		case ldap.ApplicationSearchRequest:
			filter, err := ldap.DecompileFilter(op.Children[6])
			if err != nil {
				s.t.Error(err)
			}
			asked := op.Children[0].Value.(string) + " " + filter
			s.note("search " + asked)
			names, known := s.entries[asked]
			for _, dn := range names {
				s.entry(c, id, dn)
			}
			code := int64(ldap.LDAPResultSuccess)
			if !known && op.Children[1].Value.(int64) == ldap.ScopeBaseObject {
				code = ldap.LDAPResultNoSuchObject
			}
			s.answer(c, id, ldap.ApplicationSearchResultDone, code)
		case ldap.ApplicationExtendedRequest:
			s.note("tls")
			if s.tls == nil {
				s.answer(c, id, ldap.ApplicationExtendedResponse, ldap.LDAPResultUnavailable)
				continue
			}
			s.answer(c, id, ldap.ApplicationExtendedResponse, ldap.LDAPResultSuccess)
			c = tls.Server(c, s.tls)
		default:
			return
		}
	}
}

func (s *server) send(c net.Conn, id int64, op *ber.Packet) {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(op)
	_, _ = c.Write(p.Bytes())
}

func (s *server) answer(c net.Conn, id int64, tag ber.Tag, code int64) {
	code = cmp.Or(s.mood().code, code)
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	s.send(c, id, op)
}

func (s *server) entry(c net.Conn, id int64, dn string) {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, dn, ""))
	op.AppendChild(ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, ""))
	s.send(c, id, op)
}

// certify gives a server a certificate for name, and the file that trusts it.
func (s *server) certify(name string) (ca string) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	ca = filepath.Join(s.t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return ca
}
