//go:build unix

package dkim

import (
	"os"
	"path/filepath"
	"syscall"
)

// ownLikeParent gives path the owner of the directory it lies in, so that a
// relay that runs as another user can read the key that root made. Only root
// can; for others it is theirs already. A link that was put in its place
// meanwhile is not followed.
func ownLikeParent(path string) {
	if os.Geteuid() != 0 {
		return
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = os.Lchown(path, int(st.Uid), int(st.Gid))
	}
}
