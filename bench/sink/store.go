package sink

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"tenma/bench/load"
)

// store writes messages to files, RUN.NUMBER.eml; the second arrival is
// RUN.NUMBER.2.eml, and messages of no run are untagged.NUMBER.eml. A file is
// the message as its sender had it: dots unstuffed, CRLF line ends.
type store struct {
	dir   string
	max   int64 // files; 0: no limit
	late  bool  // keeps them until flush, up to maxHeld
	taken atomic.Int64
	other atomic.Int64

	mu   sync.Mutex
	held []heldMessage
	size int64 // octets of held
}

// heldMessage is one that is not written yet.
type heldMessage struct {
	name string
	data []byte
}

// maxHeld is how many octets of messages wait in memory.
const maxHeld = 1 << 30

// room reports whether one more message is wanted, and counts on it.
func (st *store) room() bool {
	if st == nil || st.max > 0 && st.taken.Add(1) > st.max {
		st.giveBack()
		return false
	}
	return true
}

// giveBack is of a message that was not written after all.
func (st *store) giveBack() {
	if st != nil && st.max > 0 {
		st.taken.Add(-1)
	}
}

// write writes one message. tagged is false for one of no run.
func (st *store) write(tag load.Tag, tagged bool, count uint32, data []byte) error {
	name := fmt.Sprintf("%s.%d", strings.Map(harmless, tag.Run), tag.N)
	switch {
	case !tagged:
		name = fmt.Sprintf("untagged.%d", st.other.Add(1))
	case count > 1:
		name += fmt.Sprintf(".%d", count)
	}
	if st.late && st.hold(name, data) {
		return nil
	}
	return st.file(name, data)
}

// hold keeps a copy of a message for flush, unless there are too many.
func (st *store) hold(name string, data []byte) bool {
	data = bytes.Clone(data)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.size+int64(len(data)) > maxHeld {
		return false
	}
	st.size += int64(len(data))
	st.held = append(st.held, heldMessage{name, data})
	return true
}

// flush writes what is held.
func (st *store) flush() error {
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, m := range st.held {
		if err := st.file(m.name, m.data); err != nil {
			return fmt.Errorf("storing messages: %w", err)
		}
	}
	st.held, st.size = nil, 0
	return nil
}

func (st *store) file(name string, data []byte) error {
	err := os.WriteFile(filepath.Join(st.dir, name+".eml"), data, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(err, errors.New("the folder was there when the sink began"))
	}
	return err
}

// harmless lets through what may stand in a file's name: the run is what a
// stranger wrote.
func harmless(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
		return r
	}
	return '_'
}

// unstuff takes away what DATA added (RFC 5321 section 4.5.2), in place: the
// end, and the dot before each line that begins with one.
func unstuff(raw []byte) []byte {
	raw = raw[:max(0, len(raw)-len(".\r\n"))]
	raw = bytes.TrimPrefix(raw, []byte{'.'})
	if !bytes.Contains(raw, []byte("\r\n.")) {
		return raw
	}
	return bytes.ReplaceAll(raw, []byte("\r\n."), []byte("\r\n"))
}
