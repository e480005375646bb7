package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tenma/bench/source/letter"
)

func TestParse(t *testing.T) {
	c, err := Parse(strings.Fields("address=mx.test:25 sessions=50 per-session=0 count=10000 duration=1m rate=10..20/5s spacing=constant pipeline=across bdat window=9 " +
		"lmtp hello=h.test tls=implicit ca=f verify name=n.test resume=no user=u password=p=q mechanism=login from= recipients=3 users=7 " +
		"domains=a.test/10~1.5=2,b.test size=4KiB=80,1MB=20 corpus= bind=127.0.0.2 run=x seed=9 timeout=1s patience=2s grace=3s wait=4s sink=127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Address: "mx.test:25", Sessions: 50, Count: 10000, Duration: time.Minute, Rate: Rate{10, 20, 5 * time.Second}, Spacing: SpacingConstant,
		Pipelining: PipelineAcross, BDAT: true, Window: 9, LMTP: true, Hello: "h.test", TLS: TLSImplicit, CAFile: "f", Verify: true, ServerName: "n.test",
		User: "u", Password: "p=q", Mechanism: "LOGIN", Recipients: 3, Users: 7, Run: "x", Seed: 9,
		Timeout: time.Second, Patience: 2 * time.Second, Grace: 3 * time.Second, Wait: 4 * time.Second,
	}
	if c.Sink == nil || c.Domains.String() != "a.test/10~1.5=2,b.test=1" || c.Size.String() != "4KiB=80,1000000=20" || !slices.Equal(c.Bind, []netip.Addr{netip.MustParseAddr("127.0.0.2")}) {
		t.Errorf("%+v", c)
	}
	got := c
	got.Sink, got.Domains, got.Size, got.Bind = nil, nil, nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
}

func TestParseErrors(t *testing.T) {
	for words, why := range map[string]string{
		"sesions=5":                `"sesions" is no word of a source`,
		"sessions=five":            "sessions=five: ",
		"sessions=0":               "sessions is 0, not between 1 and 100000",
		"count=99999999999":        "count is 99999999999",
		"rate=0":                   "rate=0: a rate must be above 0",
		"rate=10..20":              "neither a number nor a ramp",
		"rate=10..20/0s":           "a ramp takes a time",
		"rate=NaN":                 "must be above 0",
		"pipeline=yes":             `"yes" is none of across, off, on`,
		"size=4XB":                 `size "4XB" is not a number of octets`,
		"size=2GiB":                "up to 1GiB",
		"size=4KiB=0":              "weight must be above 0",
		"size=":                    "not a number of octets",
		"domains=":                 "not a domain",
		"domains=a~1":              "Zipf weights need a count",
		"domains=a/0":              "count 0",
		"domains=a=x":              "the weight is no number",
		"domains=a/2~x":            "exponent is no number",
		"domains=a/x":              "the count is no number",
		"domains=a\tb":             "not a domain",
		"bind=127.0.0.9-127.0.0.2": "neither an address",
		"bind=10.0.0.0/8":          "more than 65535",
		"bind=x":                   "neither an address",
		"run=a/b":                  "run \"a/b\" is not of",
		"address=mx.test":          "it is HOST:PORT",
		"from=a>":                  "is not an address",
		"hello=":                   "is not a host name",
		"password=hush":            "needs a user",
		"verify":                   "needs tls=starttls",
		"timeout=0s":               "timeout",
		"sink=ftp://x":             "control port is http",
		"mechanism=cram":           "none of login, plain, scram-sha-256",
		"user=u password=a\x00b":   "control character",
		"bdat=perhaps":             "none of",
		"recipients=1001":          "recipients is 1001",
	} {
		if _, err := Parse(strings.Split(words, " ")); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", words, err, why)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("the password is in %v", err)
		}
	}
}

func TestParseBind(t *testing.T) {
	got, err := ParseBind("127.0.0.254-127.0.1.1,::1,10.1.2.3/30")
	want := "[127.0.0.254 127.0.0.255 127.0.1.0 127.0.1.1 ::1 10.1.2.0 10.1.2.1 10.1.2.2 10.1.2.3]"
	if text := fmt.Sprint(got); err != nil || text != want {
		t.Errorf("%s: %v", text, err)
	}
}

// Words come from files that anybody may have written: whatever they are,
// there is a Config that can be used, or an error.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"sessions=5 rate=1..2/3s", "size=1KiB=3,2", "domains=a/5~2=3,b", "bind=::/120,1.2.3.4-1.2.3.9", "rate=1e300", "user=a mechanism=plain"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Parse(strings.Fields(s))
		if err != nil {
			return
		}
		if ds, err := letter.ParseDomains(c.Domains.String()); err != nil || !slices.Equal(ds, c.Domains) && len(ds) > 1 {
			t.Errorf("domains %q: %v", c.Domains, err)
		}
		if ss, err := letter.ParseSizes(c.Size.String()); err != nil || !slices.Equal(ss, c.Size) && len(ss) > 1 {
			t.Errorf("sizes %q: %v", c.Size, err)
		}
		if !c.Rate.open() {
			return
		}
		last := c.Rate.at(0)
		for _, x := range []float64{0.5, 1, 10, 1e3, 1e9} {
			at := c.Rate.at(x)
			if at < last || at < 0 {
				t.Errorf("rate %s: %v messages at %v, before %v", c.Rate, x, at, last)
			}
			last = at
		}
	})
}

// fed is a connection that reads from a buffer, in pieces.
type fed struct {
	net.Conn
	in    *bytes.Reader
	piece int
}

func (f *fed) Read(p []byte) (int, error) { return f.in.Read(p[:min(len(p), f.piece)]) }

// FuzzReply reads what a server may say. However it is cut into packets, the
// replies are the same, and they end.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n354\n", "2", "250", "999 x\r\n", strings.Repeat("x", 5000), strings.Repeat("250-x\r\n", 300)} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		read := func(piece int) (all []int, failed error) {
			c := newConn(&fed{in: bytes.NewReader(b), piece: piece}, time.Minute)
			for {
				code, last, err := c.reply(nil)
				if err != nil {
					return all, err
				}
				if code < 200 || code > 599 || len(last) > maxLine {
					t.Fatalf("code %d in %q", code, last)
				}
				all = append(all, code)
			}
		}
		whole, werr := read(1 << 20)
		parts, perr := read(1 + (piece%100+100)%100)
		if !slices.Equal(whole, parts) || errors.Is(werr, io.EOF) != errors.Is(perr, io.EOF) {
			t.Errorf("%v (%v) and %v (%v)", whole, werr, parts, perr)
		}
	})
}
