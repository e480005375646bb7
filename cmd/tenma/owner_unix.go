//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// giveBack gives what root made in dir to the owner of like, so that a relay that
// runs as another user can open it. Only root can; for others it is theirs
// already. What has a second name may be a file from elsewhere that the owner of
// dir has put there, and stays what it is, as does a link.
func giveBack(dir, like string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	to, ok := info.Sys().(*syscall.Stat_t)
	if !ok || to.Uid == 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		info, err := root.Lstat(name)
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 0 || !info.IsDir() && st.Nlink > 1 {
			return nil
		}
		return root.Lchown(name, int(to.Uid), int(to.Gid))
	})
}
