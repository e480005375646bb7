package internet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"

	"tenma/bench/internet"
	"tenma/bench/internet/fakenet"
)

// send brings one message to a receiver with the standard library's client.
func send(t *testing.T, n *fakenet.Net, to, body string) error {
	t.Helper()
	c, err := n.Dial(t.Context(), netip.Addr{}, netip.MustParseAddrPort("192.0.2.25:25"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client, err := smtp.NewClient(c, "mx.test")
	if err != nil {
		return err
	}
	if err := client.Mail("a@src.test"); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	w.Write([]byte(body))
	return w.Close()
}

func serve(t *testing.T, words string, take func(internet.Message)) *fakenet.Net {
	t.Helper()
	m, err := internet.ParseManner(strings.Fields(words), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := fakenet.New()
	l, err := n.Listen("tcp", "192.0.2.25:25")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r := internet.NewReceiver("mx.test", m, 1, take)
	go func(l net.Listener) { r.Serve(ctx, l) }(l)
	return n
}

func TestTakesMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got internet.Message
		n := serve(t, "", func(m internet.Message) { got = m })
		long := strings.Repeat("x", 70_000) + ".y" // longer than any buffer
		if err := send(t, n, "b@dst.test", "Subject: x\r\n\r\n.dot\r\n"+long+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if want := "Subject: x\r\n\r\n.dot\r\n" + long + "\r\n"; string(got.Data) != want || got.To[0] != "b@dst.test" {
			t.Errorf("got %d octets for %v, want %d", len(got.Data), got.To, len(want))
		}
	})
}

func TestManners(t *testing.T) {
	for words, want := range map[string]string{
		"say:connect=554_no":        "554 no",
		"say:mail=451_4.3.0_later":  "451 4.3.0 later",
		"user:b=550_5.1.1_nobody":   "550 5.1.1 nobody",
		"greylist=5m":               "451 4.7.1 Greylisted, please try again later",
		"unknown=1":                 "550 5.1.1 <b@dst.test> User unknown",
		"tempfail=1":                "451 4.3.0 Temporary trouble",
		"say:dot=drop":              "EOF",
		"say:data=421_4.3.2_closed": "421 4.3.2 closed",
		"say:dot=550_one|550_two":   "550 one\ntwo",
	} {
		synctest.Test(t, func(t *testing.T) {
			n := serve(t, words, nil)
			err := send(t, n, "b@dst.test", "x\r\n")
			var reply *textproto.Error
			if errors.As(err, &reply) {
				err = fmt.Errorf("%d %s", reply.Code, reply.Msg)
			}
			if err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %s", words, err, want)
			}
		})
	}
}
