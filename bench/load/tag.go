package load

import (
	"strconv"
	"strings"
)

// Field is the header field that a load's messages carry their Tag in.
const Field = "X-Bench"

// MaxMessages is the highest number of messages in a run: what sources and
// sinks keep per message is an array that long at most.
const MaxMessages = 1 << 25

// Tag names one message of a load: the run and its number there, from 0.
type Tag struct {
	Run string // no space, no line end, at most 64 octets
	N   uint32
}

// Append appends the whole header field, line end included.
func (t Tag) Append(b []byte) []byte {
	b = append(b, Field+": "...)
	b = append(b, t.Run...)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(t.N), 10)
	return append(b, "\r\n"...)
}

// ParseTag reads the field's value; ok is false for anything that Append
// would not have written.
func ParseTag(value string) (t Tag, ok bool) {
	run, number, found := strings.Cut(strings.TrimSpace(value), " ")
	n, err := strconv.ParseUint(number, 10, 32)
	if !found || err != nil || run == "" || len(run) > 64 || n >= MaxMessages {
		return Tag{}, false
	}
	return Tag{Run: run, N: uint32(n)}, true
}
