package dkim

import "fmt"

// Result is what became of a signature (RFC 8601 section 2.7.1).
type Result string

// Results.
const (
	None      Result = "none"      // there is no signature
	Pass      Result = "pass"      // it is that of its domain, over these octets
	Fail      Result = "fail"      // it is over other octets, of another key, or past its time
	Policy    Result = "policy"    // it may be right, and we do not rely on its like
	Neutral   Result = "neutral"   // it cannot be read
	TempError Result = "temperror" // its key cannot be had now
	PermError Result = "permerror" // it has no key that could be used
)

// Fault is why a signature did not pass. Reason is for people; nothing of it was
// written by others.
type Fault struct {
	Result Result
	Reason string
}

// Error gives result and reason.
func (f *Fault) Error() string { return "dkim: " + string(f.Result) + ": " + f.Reason }

func fault(r Result, format string, args ...any) *Fault {
	return &Fault{Result: r, Reason: fmt.Sprintf(format, args...)}
}
