package ledger

import (
	"reflect"
	"testing"
)

func TestRecords(t *testing.T) {
	f := Folder{
		Name: "a/b", Use: `\Junk`, Subscribed: true, Marked: true, Validity: 1, Next: 2, ModSeq: 1 << 40, Messages: 3, Unseen: 4, Deleted: 5,
		Recent: 6, FirstRecent: 7, Octets: 1 << 41, DeletedSize: 9, Keywords: []string{"x", "y"},
	}
	if got, err := DecodeFolder(f.Encode()); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("%+v, %v", got, err)
	}
	i := Info{Blob: BlobID{1, 2}, BlobSize: 1 << 33, Date: -5, Saved: 1 << 35, Prefix: []byte("p"), Digest: []byte("d")}
	if got, err := DecodeInfo(i.Encode()); err != nil || !reflect.DeepEqual(got, i) {
		t.Errorf("%+v, %v", got, err)
	}
	u := User{1, 2, 3, 4, 5}
	if got, err := DecodeUser(u.Encode()); err != nil || got != u {
		t.Errorf("%+v, %v", got, err)
	}
	it := Item{1 << 63, 2, 3}
	if got, err := DecodeItem(it.Encode()); err != nil || got != it {
		t.Errorf("%+v, %v", got, err)
	}
}

// FuzzRecords: a damaged record is an error or a record, never a panic or a
// great deal of memory.
func FuzzRecords(f *testing.F) {
	f.Add((&Folder{Name: "a", Keywords: []string{"k"}}).Encode())
	f.Add((&Info{Prefix: []byte("x")}).Encode())
	f.Add(User{}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeFolder(b); err == nil {
			if again, err := DecodeFolder(r.Encode()); err != nil || !reflect.DeepEqual(again, r) {
				t.Errorf("%+v is %+v", r, again)
			}
		}
		if r, err := DecodeInfo(b); err == nil {
			if again, err := DecodeInfo(r.Encode()); err != nil || !reflect.DeepEqual(again.Digest, r.Digest) && len(r.Digest) > 0 {
				t.Errorf("%+v is %+v", r, again)
			}
		}
		_, _ = DecodeUser(b)
		_, _ = DecodeItem(b)
		_, _ = DecodeMeta(b)
	})
}
