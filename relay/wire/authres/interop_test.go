//go:build interop

package authres_test

import (
	"os/exec"
	"strings"
	"testing"

	"tenma/relay/wire/authres"
)

// Python's authres reads what we write.
func TestInteropReader(t *testing.T) {
	const read = "import authres, sys\nh = authres.AuthenticationResultsHeader.parse('Authentication-Results: ' + sys.argv[1])\nprint(h.authserv_id, *[r.method + '=' + r.result for r in h.results])"
	value := string(authres.Append(nil, "mx.test", results()))
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", read, value).CombinedOutput()
	if err != nil {
		t.Fatalf("python3-authres is needed: %v: %s", err, out)
	}
	if got := strings.TrimSpace(string(out)); got != "mx.test spf=pass dkim=fail dmarc=none arc=pass" {
		t.Error(got)
	}
}
