package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"

	"tenma/relay/config"
	"tenma/relay/config/certificate"
)

const (
	// checkEvery is how often certmagic looks whether a certificate is due. It renews
	// in the last third of its life, or when the authority says (RFC 9773); to look
	// costs nothing where nothing is due.
	checkEvery = time.Minute
	// firstWait and longestWait are the pauses between tries to obtain a certificate.
	// Let's Encrypt takes five failures of a name within an hour
	// (letsencrypt.org/docs/rate-limits), so pauses double from a quarter of that.
	firstWait, longestWait = 15 * time.Minute, 6 * time.Hour
	// attemptTime bounds one try.
	attemptTime = 5 * time.Minute
)

// Keeper keeps certificates. Its methods may be called from any goroutine.
type Keeper struct {
	hostname string
	fallback *certificate.Pair
	log      *slog.Logger
	changed  chan struct{} // capacity 1: settings are new

	mu       sync.Mutex
	settings config.ACME // guarded by mu
	state    atomic.Pointer[state]
}

// state is certmagic at work.
type state struct {
	magic *certmagic.Config
	cache *certmagic.Cache
}

// New makes a Keeper for the names of s. hostname is the one that clients get who name
// none, as most mail servers do; fallback is shown where there is no certificate yet.
func New(s config.ACME, hostname string, fallback *certificate.Pair, log *slog.Logger) *Keeper {
	return &Keeper{settings: s, hostname: hostname, fallback: fallback, log: log, changed: make(chan struct{}, 1)}
}

// Server gives the TLS settings of a listener.
func (k *Keeper) Server() *tls.Config {
	c := k.fallback.Server()
	c.GetCertificate = k.get
	return c
}

func (k *Keeper) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	// certmagic looks at the connection of a client whose name it does not know.
	if st := k.state.Load(); st != nil && hello.Conn != nil {
		if cert, err := st.magic.GetCertificate(hello); err == nil {
			return cert, nil
		}
	}
	return k.fallback.Get(hello)
}

// NotAfter is until when the certificate of the hostname is valid, or the self-signed
// one where it has none.
func (k *Keeper) NotAfter() time.Time {
	st := k.state.Load()
	if st == nil {
		return k.fallback.NotAfter()
	}
	var found time.Time
	for _, c := range st.cache.AllMatchingCertificates(k.hostname) {
		if found.Before(c.Leaf.NotAfter) {
			found = c.Leaf.NotAfter // a successor may be there beside the former
		}
	}
	if found.IsZero() {
		return k.fallback.NotAfter()
	}
	return found
}

// Apply puts other settings in force. Without names the certificates that are there
// stay until the next start.
func (k *Keeper) Apply(s config.ACME) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if fmt.Sprint(s) == fmt.Sprint(k.settings) {
		return
	}
	k.settings = s
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// Run obtains certificates and renews them until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		k.mu.Lock()
		s := k.settings
		k.mu.Unlock()
		own, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			k.manage(own, s)
		}()
		select {
		case <-ctx.Done():
		case <-k.changed:
		}
		stop()
		<-ended
	}
	return nil
}

// manage keeps the certificates of one state of the settings.
func (k *Keeper) manage(ctx context.Context, s config.ACME) {
	if len(s.Names) == 0 {
		<-ctx.Done()
		return
	}
	issuer, err := k.issuer(s)
	if err != nil {
		k.log.Error("no certificates can be obtained; correct [acme] and reload", "err", err)
		<-ctx.Done()
		return
	}
	var magic *certmagic.Config
	logger := bridge(k.log)
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		RenewCheckInterval: checkEvery,
		Logger:             logger,
	})
	defer cache.Stop()
	magic = certmagic.New(cache, certmagic.Config{
		Storage:           newStore(s.Dir),
		DefaultServerName: k.hostname, FallbackServerName: k.hostname,
		Logger: logger,
	})
	issuer.Logger = logger
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, issuer)}
	k.state.Store(&state{magic, cache})
	k.obtain(ctx, magic, s)
	<-ctx.Done()
}

// issuer makes settings for certmagic of ours.
func (k *Keeper) issuer(s config.ACME) (certmagic.ACMEIssuer, error) {
	i := certmagic.ACMEIssuer{
		CA: s.Directory, Email: s.Email, Agreed: true, CertObtainTimeout: attemptTime,
		DisableHTTPChallenge: s.Challenge != config.ACMEHTTP, DisableTLSALPNChallenge: s.Challenge == config.ACMEHTTP,
	}
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return i, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return i, err
	}
	i.ListenHost, i.AltHTTPPort, i.AltTLSALPNPort = host, n, n
	if s.CA != "" {
		text, err := os.ReadFile(s.CA)
		if err != nil {
			return i, fmt.Errorf("ca: %w", err)
		}
		i.TrustedRoots = x509.NewCertPool()
		if !i.TrustedRoots.AppendCertsFromPEM(text) {
			return i, fmt.Errorf("ca: %s has no certificate", s.CA)
		}
	}
	return i, nil
}

// obtain takes the certificates that are on disk and gets those that are missing, until
// all are there.
func (k *Keeper) obtain(ctx context.Context, magic *certmagic.Config, s config.ACME) {
	missing := s.Names
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		var failed []string
		for _, name := range missing {
			if err := magic.ManageSync(ctx, []string{name}); ctx.Err() != nil {
				return
			} else if err != nil {
				failed = append(failed, name)
				k.log.Error("no certificate; see that the name leads to this host and that the authority reaches the address of the challenge",
					"name", name, "challenge", s.Challenge, "address", s.Address, "directory", s.Directory, "again_in", wait, "err", err)
				continue
			}
			k.log.Info("certificate is there", "name", name)
		}
		if missing = failed; len(missing) == 0 {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
