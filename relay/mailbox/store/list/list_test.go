package list

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func all(l List) (es []Entry) {
	l.Range(0, l.Len(), func(_ int, e Entry) bool { es = append(es, e); return true })
	return es
}

// TestAgainstSlices changes a list and a slice in the same way, while others keep
// older states of both.
func TestAgainstSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type state struct {
			l List
			s []Entry
		}
		now := state{}
		var kept []state
		next := uint32(1)
		pick := func(t *rapid.T) []uint32 {
			if len(now.s) == 0 {
				t.Skip("empty")
			}
			from := rapid.IntRange(0, len(now.s)-1).Draw(t, "from")
			n := rapid.IntRange(1, min(600, len(now.s)-from)).Draw(t, "n")
			step := rapid.IntRange(1, 5).Draw(t, "step")
			var uids []uint32
			for i := from; i < from+n; i += step {
				uids = append(uids, now.s[i].UID)
			}
			return uids
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				n := rapid.IntRange(1, 700).Draw(t, "n")
				var more []Entry
				for range n {
					more = append(more, Entry{UID: next, Size: next * 3})
					next += 1 + next%3
				}
				now = state{now.l.Append(more...), append(slices.Clone(now.s), more...)}
			},
			"set": func(t *rapid.T) {
				var changed []Entry
				s := slices.Clone(now.s)
				for _, uid := range pick(t) {
					i, _ := slices.BinarySearchFunc(s, uid, byUID)
					s[i].Flags++
					s[i].ModSeq = uint64(next)
					changed = append(changed, s[i])
				}
				now = state{now.l.Set(changed), s}
			},
			"remove": func(t *rapid.T) {
				uids := pick(t)
				now = state{now.l.Remove(uids), slices.DeleteFunc(slices.Clone(now.s), func(e Entry) bool { return slices.Contains(uids, e.UID) })}
			},
			"keep": func(t *rapid.T) { kept = append(kept, now) },
			"compare": func(t *rapid.T) {
				if len(kept) == 0 {
					t.Skip("nothing kept")
				}
				old := rapid.SampledFrom(kept).Draw(t, "old")
				var gone, came []uint32
				changed := 0
				Diff(old.l, now.l, func(i int) { gone = append(gone, old.l.At(i).UID) },
					func(i, j int) {
						if old.l.At(i).UID != now.l.At(j).UID {
							t.Fatal(i, j)
						}
						changed++
					}, func(j int) { came = append(came, now.l.At(j).UID) })
				var wantGone, wantCame []uint32
				union := slices.Clone(now.s)
				for _, e := range old.s {
					i, ok := slices.BinarySearchFunc(now.s, e.UID, byUID)
					switch {
					case !ok:
						wantGone = append(wantGone, e.UID)
						union = append(union, e)
					case now.s[i] != e:
						changed--
					}
				}
				for _, e := range now.s {
					if _, ok := slices.BinarySearchFunc(old.s, e.UID, byUID); !ok {
						wantCame = append(wantCame, e.UID)
					}
				}
				if !slices.Equal(gone, wantGone) || !slices.Equal(came, wantCame) || changed != 0 {
					t.Fatal("diff", len(gone), len(wantGone), len(came), len(wantCame), changed)
				}
				slices.SortFunc(union, func(a, b Entry) int { return byUID(a, b.UID) })
				if !slices.Equal(all(Union(old.l, now.l)), union) {
					t.Fatal("union")
				}
			},
			"": func(t *rapid.T) {
				for _, st := range append(kept, now) {
					if !slices.Equal(all(st.l), st.s) || st.l.Len() != len(st.s) {
						t.Fatal("the list is another")
					}
				}
				uid := uint32(rapid.IntRange(0, int(next)).Draw(t, "uid"))
				i, ok := slices.BinarySearchFunc(now.s, uid, byUID)
				j, e, found := now.l.Find(uid)
				if i != j || ok != found || ok && e != now.s[i] || now.l.Until(uid).Len() != i {
					t.Fatal(uid, i, j, ok, found)
				}
			},
		})
	})
}
