package relay

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// maxKeep bounds what is read back of a keep.
const maxKeep = 64 << 20

// keep is one small file in the data directory that is replaced as a whole. A
// crash leaves the former text or the new one.
type keep struct {
	fs        vfs.FS // nil: the machine's
	dir, name string
}

func (k *keep) disk() vfs.FS {
	if k.fs == nil {
		return vfs.Default
	}
	return k.fs
}

// Load gives what was saved last, nothing if nothing was.
func (k *keep) Load() ([]byte, error) {
	f, err := k.disk().Open(k.disk().PathJoin(k.dir, k.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeep+1))
	if err == nil && len(text) > maxKeep {
		err = fmt.Errorf("%s has more than %d octets", k.name, maxKeep)
	}
	return text, err
}

// Save replaces the text.
func (k *keep) Save(text []byte) error {
	disk := k.disk()
	if err := disk.MkdirAll(k.dir, 0o700); err != nil {
		return err
	}
	path := disk.PathJoin(k.dir, k.name)
	f, err := disk.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := disk.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := disk.OpenDir(k.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
