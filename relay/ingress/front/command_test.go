package front

import "testing"

func TestVerbOf(t *testing.T) {
	for word, want := range map[string]string{
		"mail": "MAIL", "Rcpt": "RCPT", "DATA": "DATA", "bDAT": "BDAT", "starttls": "STARTTLS", "": "",
		"no-op": "NO-OP", "starttlsx": "", "m\xc3\xa4il": "M\xc3\xa4IL",
	} {
		if got := verbOf([]byte(word)); got != want {
			t.Errorf("%q: %q, not %q", word, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { verbOf([]byte("mail")) }); n > 0 {
		t.Errorf("%v allocations for a usual command", n)
	}
}
