package client

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

// scramServer plays the server's side of one SCRAM-SHA-256 login.
func scramServer(nc net.Conn, password string, skipProof bool) {
	defer nc.Close() //nolint:errcheck // a test's server
	user, err := scram.SHA256.NewClient("user", password, "")
	if err != nil {
		panic(err)
	}
	stored, err := user.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "saltsaltsalt", Iters: 4096})
	if err != nil {
		panic(err)
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if err != nil {
		panic(err)
	}
	conv, in := server.NewConversation(), bufio.NewReader(nc)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(strings.TrimPrefix(line, "AUTH SCRAM-SHA-256 "))
		if conv.Done() {
			fmt.Fprint(nc, "235 2.7.0 welcome\r\n")
			return
		}
		text, _ := base64.StdEncoding.DecodeString(line)
		answer, err := conv.Step(string(text))
		switch {
		case err != nil:
			fmt.Fprint(nc, "535 5.7.8 no\r\n")
			return
		case conv.Done() && skipProof:
			fmt.Fprint(nc, "235 2.7.0 welcome\r\n")
			return
		}
		fmt.Fprintf(nc, "334 %s\r\n", base64.StdEncoding.EncodeToString([]byte(answer)))
	}
}

func TestScram(t *testing.T) {
	for _, x := range []struct {
		name, password string
		skipProof      bool
		code           int
		fails          bool
	}{
		{"good", "secret", false, 235, false},
		{"wrong password", "other", false, 535, false},
		{"a server without proof", "secret", true, 235, true},
	} {
		a, b := net.Pipe()
		go scramServer(b, x.password, x.skipProof)
		c := New(a)
		c.Ext.Auth = ScramSHA256 | Plain
		r, err := c.Auth("user", "secret", time.Minute)
		if r.Code != x.code || (err != nil) != x.fails {
			t.Errorf("%s: %d %s, %v", x.name, r.Code, r.Lines(), err)
		}
		c.Close()
	}
}
