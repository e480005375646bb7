package relaytest

import (
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"tenma/relay/wire/header"
)

// cmdReturn sends a message about the last one that a receiver took.
func cmdReturn(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("return", flag.ContinueOnError)
	about := flags.String("about", "", "")
	ts.Check(flags.Parse(args))
	args = flags.Args()
	need(ts, neg, args, 4)
	got := world(ts).Got(args[0])
	for len(got) > 0 && *about != "" && !slices.Contains(got[len(got)-1].To, *about) {
		got = got[:len(got)-1]
	}
	if len(got) == 0 {
		ts.Fatalf("%s took no such message", args[0])
	}
	last := got[len(got)-1]
	to := args[2]
	if to == "" {
		to = last.From
	}
	h, _ := header.Split(last.Data)
	text := strings.NewReplacer(
		"{path}", last.From, "{header}\n", strings.ReplaceAll(string(h), "\r\n", "\n"), "{id}", h.Text("Message-ID"),
	).Replace(ts.ReadFile(args[3]))
	var b strings.Builder
	fmt.Fprintf(&b, "S: 220\nC: EHLO %s\nS: 250\nC: MAIL FROM:<%s>\nS: 250\nC: RCPT TO:<%s>\nS: 250\nC: DATA\nS: 354\n", args[0], args[1], to)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, ".") {
			line = "." + line
		}
		b.WriteString("C: " + line + "\n")
	}
	b.WriteString("C: .\nS: 250\nC: QUIT\nS: 221\n")
	stranger := Client{From: netip.MustParseAddr("203.0.113.9")}
	ts.Check(world(ts).DialogueAs(stranger, b.String()))
}
