package relaytest

import (
	"context"
	"fmt"
	"testing/synctest"

	"github.com/rogpeppe/go-internal/testscript"

	"tenma/relay/policy/suppress"
)

func cmdSuppress(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	scope := append(args[1:len(args):len(args)], "", "")
	a, err := suppress.ParseSubject(args[0])
	ts.Check(err)
	k, err := suppress.NewKey(a, scope[0], scope[1])
	ts.Check(err)
	_, err = world(ts).Relay().Suppressions().Add(context.Background(), []suppress.Entry{{Key: k, Reason: suppress.Manual, Creator: "test"}})
	ts.Check(err)
}

func cmdSuppressed(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 0)
	synctest.Wait()
	held := len(args) == 1 && args[0] == "held"
	page, _, _, err := world(ts).Relay().Suppressions().Page(suppress.Selection{Held: held}, suppress.Key{}, 10_000)
	ts.Check(err)
	for _, e := range page {
		fmt.Fprintf(ts.Stdout(), "%s tenant=%s campaign=%s %s rule=%s %s\n", e.Subject(), e.Tenant, e.Campaign, e.Reason, e.Rule, e.Detail)
	}
	if len(page) == 0 {
		fmt.Fprintln(ts.Stdout(), "empty")
	}
}
