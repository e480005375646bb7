//go:build unix

package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// lock keeps other processes from changing the file at path until unlock. A
// lock file that is a link is an error: the directory belongs to the relay's
// user, and root must not be led to give that user a file from elsewhere.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || ok && st.Nlink != 1 {
		return nil, errors.Join(fmt.Errorf("%s is no file of its own, remove it", f.Name()), f.Close())
	}
	if dir, err := os.Stat(filepath.Dir(path)); err == nil {
		keepOwner(f, dir)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil // closing unlocks
}

// keepOwner gives f the owner of like, so that a relay that runs as another
// user can still read what root wrote. Only root can; for others it is theirs
// already.
func keepOwner(f *os.File, like fs.FileInfo) {
	if like == nil || os.Geteuid() != 0 {
		return
	}
	if st, ok := like.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
}
