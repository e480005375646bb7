package ledger

import "slices"

// Known is what is kept of the message with a UID.
type Known struct {
	UID uint32
	Info
}

// near is how far UIDs may lie apart to be read in one go.
const near = 32

// ReadInfos reads what is kept of messages of a folder; uids rise. Those that
// are not there are left out.
func (d *DB) ReadInfos(user, folder uint32, uids []uint32) ([]Known, error) {
	all := make([]Known, 0, len(uids))
	for len(uids) > 0 {
		n := 1
		for n < len(uids) && uids[n]-uids[n-1] <= near {
			n++
		}
		want := uids[:n]
		uids = uids[n:]
		err := d.EachInfo(user, folder, want[0], want[n-1], func(uid uint32, value []byte) (bool, error) {
			for len(want) > 0 && want[0] < uid {
				want = want[1:]
			}
			if len(want) == 0 || want[0] != uid {
				return true, nil
			}
			i, err := DecodeInfo(slices.Clone(value))
			all = append(all, Known{uid, i})
			return true, err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// ReadInfo reads what is kept of one message; ok is false if it is not there.
func (d *DB) ReadInfo(p Place) (i Info, ok bool, err error) {
	rec, err := d.Get(InfoKey(p))
	if err != nil || rec == nil {
		return i, false, err
	}
	i, err = DecodeInfo(rec)
	return i, err == nil, err
}

// EachInfo calls fn for the Infos of a folder from one UID to the last, which is
// included, see Scan.
func (d *DB) EachInfo(user, folder, first, last uint32, fn func(uid uint32, value []byte) (bool, error)) error {
	lower, upper := Infos(user, folder, first, last)
	return d.Scan(lower, upper, func(key, value []byte) (bool, error) { return fn(PlaceOf(key).UID, value) })
}

// EachItem calls fn for the messages of a folder with UIDs before next.
func (d *DB) EachItem(user, folder, next uint32, fn func(uid uint32, i Item)) error {
	if next == 0 {
		return nil
	}
	lower, upper := Items(user, folder, 0, next-1)
	return d.Scan(lower, upper, func(key, value []byte) (bool, error) {
		i, err := DecodeItem(value)
		if err == nil {
			fn(PlaceOf(key).UID, i)
		}
		return true, err
	})
}

// EachAccount calls fn for each account, by name, until it says false. fn may take
// its time.
func (d *DB) EachAccount(fn func(name string) bool) error {
	const run = 1000
	for last := ""; ; {
		var names []string
		lower, upper := Accounts(last)
		err := d.Scan(lower, upper, func(key, _ []byte) (bool, error) {
			names = append(names, AccountOf(key))
			return len(names) < run, nil
		})
		if err != nil {
			return err
		}
		for _, n := range names {
			if !fn(n) {
				return nil
			}
		}
		if len(names) < run {
			return nil
		}
		last = names[run-1]
	}
}
