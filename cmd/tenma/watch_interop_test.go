//go:build interop

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// await reports whether cond comes true within limit. It is asked again
// whenever the kernel tells of something new at one of the paths, files or
// folders; for one that is not there yet its nearest parent is watched. It is asked
// every second too: a folder that is made between two looks may get its files
// before it is watched.
func await(t *testing.T, limit time.Duration, cond func() bool, paths ...string) bool {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	defer f.Close()
	end := time.Now().Add(limit)
	news := make([]byte, 64<<10)
	for {
		for _, p := range paths {
			const news = syscall.IN_CREATE | syscall.IN_MOVED_TO | syscall.IN_MODIFY | syscall.IN_CLOSE_WRITE
			for err := error(syscall.ENOENT); errors.Is(err, syscall.ENOENT) && p != "/"; p = filepath.Dir(p) {
				_, err = syscall.InotifyAddWatch(fd, p, news)
			}
		}
		if cond() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		if err := f.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Read(news); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
}

// transcript is what a process prints. said is closed when it has printed mark.
type transcript struct {
	mark string
	said chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
	seen bool
}

func newTranscript(mark string) *transcript {
	return &transcript{mark: mark, said: make(chan struct{})}
}

func (x *transcript) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.text.Write(p)
	if !x.seen && bytes.Contains(x.text.Bytes(), []byte(x.mark)) {
		x.seen = true
		close(x.said)
	}
	return len(p), nil
}

func (x *transcript) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.text.String()
}
