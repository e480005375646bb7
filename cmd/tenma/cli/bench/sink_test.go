package bench

import (
	"bytes"
	"context"
	"errors"
	"net/smtp"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"tenma/bench/sink"
	"tenma/cmd/tenma/cli"
)

// lines hands on each line that is written.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// run runs a command until use, which gets its first words, is done.
func run(t *testing.T, command func(context.Context, *cli.Console) error, use func(said string)) (out string, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said, ended := make(lines, 100), make(chan error, 1)
	var b bytes.Buffer
	go func() { ended <- command(ctx, &cli.Console{In: strings.NewReader(""), Out: &b, Err: said}) }()
	select {
	case s := <-said:
		use(s)
		cancel()
		err = <-ended
	case err = <-ended:
	}
	return b.String(), err
}

func TestSink(t *testing.T) {
	x := sinkCommand{Listen: []string{"127.0.0.1:0"}, hostFlags: hostFlags{Control: "none", Name: "mx.test", Domain: []string{"bad.test reject:rcpt=1"}}}
	out, err := run(t, x.Run, func(said string) {
		at := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(said)
		if err := smtp.SendMail(at, nil, "a@src.test", []string{"b@dst.test"}, []byte("X-Bench: r1 5\r\n\r\nx\r\n")); err != nil {
			t.Errorf("%s: %v", said, err)
		}
		if err := smtp.SendMail(at, nil, "a@src.test", []string{"b@bad.test"}, []byte("x\r\n")); err == nil {
			t.Error("a domain's manner is not kept")
		}
	})
	for _, want := range []string{"messages of r1 1", "refused recipients 1", "connections 2"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("%q is missing in %v\n%s", want, err, out)
		}
	}
	if err != nil {
		t.Error(err)
	}
	x.JSON = true
	if out, err := run(t, x.Run, func(string) {}); err != nil || !strings.Contains(out, `"unique": 0`) {
		t.Errorf("%s, %v", out, err)
	}
	x.JSON = false
	if out, err := run(t, x.Run, func(string) {}); err != nil || out != "nobody came\n" {
		t.Errorf("%s, %v", out, err)
	}
}

func TestInternet(t *testing.T) {
	x := internetCommand{Hosts: "127.0.0.1", DNS: "127.0.0.1:0", Zones: []string{"test"}, MX: 1, TTL: 300, TXT: []string{"s1._domainkey.src.test v=DKIM1; p=x"}, hostFlags: hostFlags{Control: "none"}}
	_, err := run(t, x.Run, func(said string) {
		at := regexp.MustCompile(`DNS on (\S+)`).FindStringSubmatch(said)
		if at == nil {
			t.Fatal(said)
		}
		m, err := dns.Exchange(new(dns.Msg).SetQuestion("d7.test.", dns.TypeMX), at[1])
		if err != nil || len(m.Answer) != 1 {
			t.Errorf("%v, %v", m, err)
		}
		m, err = dns.Exchange(new(dns.Msg).SetQuestion("s1._domainkey.src.test.", dns.TypeTXT), at[1])
		if err != nil || len(m.Answer) != 1 || !strings.Contains(m.Answer[0].String(), `"v=DKIM1; p=x"`) {
			t.Errorf("%v, %v", m, err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSinkMisuse(t *testing.T) {
	good := internetCommand{Hosts: "127.0.0.1", DNS: "127.0.0.1:0", Zones: []string{"test"}, MX: 1, hostFlags: hostFlags{Control: "none"}}
	for _, change := range []func(x *internetCommand){
		func(x *internetCommand) { x.Hosts = "127.0.0.9-3" },
		func(x *internetCommand) { x.NXDomain = 2 },
		func(x *internetCommand) { x.TXT = []string{"x"} },
		func(x *internetCommand) { x.Manner = "nonsense" },
		func(x *internetCommand) { x.Manner = "lmtp" },
		func(x *internetCommand) { x.At = []string{" "} },
		func(x *internetCommand) { x.Domain = []string{"x.test nonsense"} },
		func(x *internetCommand) { x.MX = 99 },
	} {
		x := good
		change(&x)
		_, err := run(t, x.Run, func(string) {})
		var usage *cli.UsageError
		if !errors.As(err, &usage) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", x, err)
		}
	}
}

func TestSinkLine(t *testing.T) {
	var before, now sink.Stats
	before.Total, now.Total, now.Unique, now.Untagged, now.Open, now.Refused, now.Down = 100, 300, 299, 10, 3, 7, true
	if got, want := sinkLine(before, now, 5*time.Second), "42/s, 299 unique, 0 duplicates, 3 connections, 10 others, 7 refused, down"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := sinkLine(now, before, time.Second); !strings.HasPrefix(got, "0/s") { // after a reset
		t.Error(got)
	}
}
