package scenario

import (
	"strings"
	"testing"
)

// trace puts process ids in front of lines, as strace does with -f -o.
func trace(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

const (
	client = `7<TCP:[127.0.0.1:25->127.0.0.1:4000]>`
	other  = `8<TCP:[127.0.0.1:25->127.0.0.1:4001]>`
	got    = `10 read(` + client + `, "X-Bench: r.1 0\r\nx\r\n.\r\n", 4096) = 22`
	kept   = `10 write(9</spool/a>, "NX-Bench: r.1 0N", 100) = 100`
	synced = `10 fsync(9</spool/a>) = 0`
	yes    = `10 write(` + client + `, "250 2.0.0 queued\r\n", 18) = 18`
)

func TestPairSyncs(t *testing.T) {
	for _, c := range []struct {
		name            string
		trace           string
		replies, paired int
		fault           string
	}{
		{"as it should be", trace(got, kept, synced, yes), 1, 1, ""},
		{"no sync", trace(got, kept, yes), 1, 0, "no sync in between"},
		{"synced before it was written", trace(got, synced, kept, yes), 1, 0, "no sync in between"},
		{"synced after the reply", trace(got, kept, yes, synced), 1, 0, "no sync in between"},
		{"another file is synced", trace(got, kept, `10 fsync(9</spool/b>) = 0`, yes), 1, 0, "no sync in between"},
		{"everything is synced", trace(got, kept, `10 sync() = 0`, yes), 1, 1, ""},
		{"a file that syncs by itself", trace(`10 openat(AT_FDCWD</>, "/spool/a", O_WRONLY|O_CREAT|O_DSYNC, 0600) = 9</spool/a>`, got, kept, yes), 1, 1, ""},
		{"never written", trace(got, yes, synced), 1, 0, "in no file"},
		{"written after the reply", trace(got, yes, kept, synced), 1, 0, "in no file"},
		{"refused", trace(got, `10 write(`+client+`, "451 4.3.0 no\r\n", 18) = 18`), 0, 0, ""},
		{"the go-ahead is no reply to the message", trace(`10 write(`+client+`, "354 go\r\n", 8) = 8`, got, `10 write(`+client+`, "354 go\r\n", 8) = 8`, kept, synced, yes), 1, 1, ""},
		{"a reply to another", trace(got, kept, `10 write(`+other+`, "250 ok\r\n", 8) = 8`, synced, yes), 1, 1, ""},
		{"another run", trace(strings.ReplaceAll(got, "r.1", "r.10")), 0, 0, ""},
		{"a write that another process makes", trace(got, strings.Replace(kept, "10 ", "11 ", 1), strings.Replace(synced, "10 ", "11 ", 1), yes), 1, 1, ""},
		{
			"calls that overlap: the sync ends too late",
			trace(got, kept, `12 fdatasync(9</spool/a> <unfinished ...>`, yes, `12 <... fdatasync resumed>) = 0`), 1, 0, "no sync in between",
		},
		{
			"calls that overlap: the sync begins too early",
			trace(got, `10 write(9</spool/a>, "NX-Bench: r.1 0N", 100 <unfinished ...>`, `12 fdatasync(9</spool/a> <unfinished ...>`, `10 <... write resumed>) = 100`, `12 <... fdatasync resumed>) = 0`, yes), 1, 0, "no sync in between",
		},
		{
			"a read that waited",
			trace(`10 read(`+client+` <unfinished ...>`, `10 <... read resumed>, "X-Bench: r.1 0\r\n", 4096) = 22`, kept, synced, yes), 1, 1, "",
		},
		{"what began before the trace", trace(`10 <... read resumed>, "X-Bench: r.1 5\r\n", 4096) = 22`, `+++ exited with 0 +++`, got, kept, synced, yes), 1, 1, ""},
	} {
		p, err := pairSyncs(strings.NewReader(c.trace), "r.1")
		if err != nil {
			t.Fatal(err)
		}
		if p.replies != c.replies || p.paired != c.paired || len(p.faults) != c.replies-c.paired {
			t.Errorf("%s: %+v", c.name, p)
		}
		if c.fault != "" && (len(p.faults) == 0 || !strings.Contains(p.faults[0], c.fault)) {
			t.Errorf("%s: %q", c.name, p.faults)
		}
	}
}

func TestPairingCalls(t *testing.T) {
	p, err := pairSyncs(strings.NewReader(trace(synced, synced, `10 fdatasync(3</x>) = 0`, `10 openat(AT_FDCWD</>, "/x", O_RDWR|O_SYNC) = 3</x>`)), "r")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.callText(); got != "fdatasync 1, fsync 2, open_sync 1" {
		t.Error(got)
	}
	if got := (pairing{}).callText(); got != "none" {
		t.Error(got)
	}
}

func FuzzPairSyncs(f *testing.F) {
	f.Add(trace(got, kept, synced, yes))
	f.Add(trace(`10 read(`+client+` <unfinished ...>`, `10 <... read resumed>, "X-Bench: r.1 0\r\n", 4096) = 22`, `10 sync() = 0`))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := pairSyncs(strings.NewReader(text), "r.1")
		if err == nil && (p.paired > p.replies || len(p.faults) != p.replies-p.paired) {
			t.Errorf("%+v", p)
		}
	})
}
