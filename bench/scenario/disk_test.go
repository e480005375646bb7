package scenario

import "testing"

const mounts = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
25 22 0:22 / /tmp rw - tmpfs tmpfs rw
26 22 254:17 / /srv/a\040b rw shared:2 - xfs /dev/vdb1 rw
27 22 0:30 /@ /home rw - btrfs /dev/vdc rw
28 22 0:31 / /srv/a\040b/c rw - overlay overlay rw
garbage
`

func TestMountOf(t *testing.T) {
	for _, c := range []struct{ dir, number, source, kind string }{
		{"/var/spool", "254:0", "/dev/vda", "ext4"},
		{"/tmp/x", "0:22", "tmpfs", "tmpfs"},
		{"/tmpx", "254:0", "/dev/vda", "ext4"},
		{"/srv/a b/d", "254:17", "/dev/vdb1", "xfs"},
		{"/home", "0:30", "/dev/vdc", "btrfs"},
		{"/srv/a b/c/d", "0:31", "overlay", "overlay"},
	} {
		if number, source, kind := mountOf(mounts, c.dir); number != c.number || source != c.source || kind != c.kind {
			t.Errorf("%s: %s %s %s", c.dir, number, source, kind)
		}
	}
}

func TestParseDiskStat(t *testing.T) {
	c := parseDiskStat("  12 0 34 5 67 8 9000 10 0 11 12 0 0 0 0 77 88\n")
	if c.written != 9000*512 || c.flushes != 77 {
		t.Errorf("%+v", c)
	}
	if c := parseDiskStat("1 2 3 4 5 6 7 8 9 10 11"); c.written != 7*512 || c.flushes != 0 { // before Linux 5.5
		t.Errorf("%+v", c)
	}
	if c := parseDiskStat(""); c != (diskCount{}) {
		t.Errorf("%+v", c)
	}
}

func TestField(t *testing.T) {
	if got := field("a: 1\nb:  2 kB \n", "b:"); got != "2 kB" {
		t.Errorf("%q", got)
	}
	if got := field("a: 1\n", "c:"); got != "" {
		t.Errorf("%q", got)
	}
}
