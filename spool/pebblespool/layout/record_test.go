package layout

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"tenma/spool"
)

func FuzzEntry(f *testing.F) {
	id := spool.ID{1}
	f.Add((&Entry{Run: 7, Body: id, Size: 300, Envelope: []byte("e")}).Append(nil, id))
	f.Add((&Entry{Run: 1 << 40, Body: spool.ID{2}, Size: 1 << 40}).Append(nil, id))
	f.Add([]byte{})
	f.Add([]byte{1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ReadEntry(b, id)
		if err != nil {
			return
		}
		again, err := ReadEntry(e.Append(nil, id), id)
		if err != nil || !bytes.Equal(again.Envelope, e.Envelope) || again.Run != e.Run || again.Body != e.Body || again.Size != e.Size {
			t.Errorf("%+v became %+v, %v", e, again, err)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add((&State{}).Append(nil))
	f.Add((&State{Parked: true, Words: true, Due: time.Unix(1, 2), Data: []byte("d")}).Append(nil))
	f.Add([]byte{1, 4, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ReadState(b)
		if err != nil {
			return
		}
		again, err := ReadState(s.Append(nil))
		if err != nil || !bytes.Equal(again.Data, s.Data) || !again.Due.Equal(s.Due) || again.Parked != s.Parked || again.Words != s.Words {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
	})
}

func FuzzWords(f *testing.F) {
	f.Add(AppendWords(nil, []string{"a", "", "bcd"}))
	f.Add([]byte{200})
	f.Fuzz(func(t *testing.T, b []byte) {
		words, err := ReadWords(b)
		if err != nil {
			return
		}
		if again, err := ReadWords(AppendWords(nil, words)); err != nil || !reflect.DeepEqual(words, again) {
			t.Errorf("%q became %q, %v", words, again, err)
		}
	})
}

func TestSeconds(t *testing.T) {
	for in, want := range map[time.Time]uint32{
		{}:                  0,
		time.Unix(10, 0):    10,
		time.Unix(10, 1):    11, // never early
		time.Unix(-5, 0):    0,
		time.Unix(1<<40, 0): 1<<32 - 1,
		time.Date(2106, 1, 1, 0, 0, 0, 0, time.UTC): 4291747200,
	} {
		if got := Seconds(in); got != want {
			t.Errorf("%v is %d, want %d", in, got, want)
		}
	}
}
