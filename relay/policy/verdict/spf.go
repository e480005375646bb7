package verdict

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"blitiri.com.ar/go/spf"

	"tenma/dnscache"
	"tenma/relay/wire/smtp"
)

// errSilent says that the DNS has no answer now.
var errSilent = errors.New("verdict: no answer from the DNS")

// text gives the text records of a name, none if there is no such name. Its error
// is errSilent.
func (a *Adviser) text(ctx context.Context, name string) ([]string, error) {
	answer, err := a.deps.Resolver.LookupTXT(ctx, name)
	switch {
	case errors.Is(err, dnscache.ErrNotFound), errors.Is(err, dnscache.ErrNoData):
		return nil, nil
	case err != nil:
		return nil, errSilent
	}
	return answer.Records, nil
}

// spfResult is what SPF says about one identity; Domain is "" if there was none to
// ask about.
type spfResult struct {
	Result spf.Result
	Domain smtp.Domain
}

// mailFrom checks the domain of MAIL. The null sender has none: then it is that of
// EHLO, with postmaster for a local part (RFC 7208 section 2.4).
func (i *Inspection) mailFrom(ctx context.Context) spfResult {
	sender := i.e.Sender
	if sender.Domain == "" {
		return i.heloName(ctx)
	}
	// The library ends the local part at the first at sign, a quoted one included.
	local := strings.ReplaceAll(sender.Local, "@", "_")
	return i.spf(ctx, local, sender.Domain)
}

// heloName checks the name of EHLO, if it is one (section 2.3).
func (i *Inspection) heloName(ctx context.Context) spfResult {
	d, err := smtp.ParseDomain(i.e.HELO)
	if err != nil || !strings.Contains(string(d), ".") {
		return spfResult{Result: spf.None}
	}
	return i.spf(ctx, "postmaster", d)
}

func (i *Inspection) spf(ctx context.Context, local string, d smtp.Domain) spfResult {
	client := i.e.Client.Addr().Unmap().WithZone("")
	if d.IsLiteral() || !client.IsValid() {
		return spfResult{Result: spf.None, Domain: d}
	}
	// The error tells why, also of a pass. The library has the limits of section
	// 4.6.4: ten mechanisms that ask, two questions without an answer.
	r, _ := spf.CheckHostWithSender(net.IP(client.AsSlice()), i.e.HELO, local+"@"+string(d),
		spf.WithContext(ctx), spf.WithResolver(spfResolver{i.adviser.deps.Resolver}))
	return spfResult{Result: r, Domain: d}
}

// spfResolver gives the library our resolver and the errors that it knows.
type spfResolver struct{ dns Resolver }

// spfError turns an error of package dnscache into one of package net. No such
// record is the same as no such name (RFC 7208 section 4.6.4, void lookups).
func spfError(name string, err error) error {
	if err == nil {
		return nil
	}
	missing := errors.Is(err, dnscache.ErrNotFound) || errors.Is(err, dnscache.ErrNoData)
	return &net.DNSError{Err: err.Error(), Name: name, IsNotFound: missing, IsTemporary: !missing}
}

func (r spfResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := r.dns.LookupTXT(ctx, name)
	return a.Records, spfError(name, err)
}

func (r spfResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a, err := r.dns.LookupMX(ctx, name)
	if err != nil {
		return nil, spfError(name, err)
	}
	var all []*net.MX
	for _, mx := range a.Records {
		if mx.Host != "" { // not the null MX
			all = append(all, &net.MX{Host: mx.Host, Pref: mx.Pref})
		}
	}
	return all, nil
}

func (r spfResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	a, err := r.dns.LookupAddrs(ctx, host)
	if err != nil {
		return nil, spfError(host, err)
	}
	var all []net.IPAddr
	for _, addr := range a.Records {
		all = append(all, net.IPAddr{IP: addr.AsSlice()})
	}
	return all, nil
}

func (r spfResolver) LookupAddr(ctx context.Context, text string) ([]string, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return nil, spfError(text, dnscache.ErrNotFound)
	}
	a, err := r.dns.LookupPTR(ctx, addr)
	return a.Records, spfError(text, err)
}
