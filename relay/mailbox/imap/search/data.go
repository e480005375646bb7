package search

import (
	"github.com/emersion/go-imap/v2"
)

// Data makes the answer to SEARCH of the numbers that Run found: sequence
// numbers or, with uid, UIDs. All numbers are ranges, so that a hundred thousand
// messages in a row are one. Only what opts asks for is set (RFC 9051 section
// 6.4.4); no option at all asks for ALL. With modSeq the highest mod-sequence
// is told (RFC 7162 section 3.1.10): of the smallest or largest message, or
// both, where no other is returned.
func Data(v View, found []uint32, uid bool, opts *imap.SearchOptions, modSeq bool) *imap.SearchData {
	data := &imap.SearchData{All: imap.SeqSet(nil)}
	if uid {
		data.All = imap.UIDSet(nil)
	}
	if len(found) == 0 {
		return data
	}
	number := func(seq uint32) uint32 {
		if uid {
			return v.UID(int(seq))
		}
		return seq
	}
	everything := opts == nil || !opts.ReturnMin && !opts.ReturnMax && !opts.ReturnCount
	first, last := found[0], found[len(found)-1]
	if opts != nil && opts.ReturnMin {
		data.Min = number(first)
	}
	if opts != nil && opts.ReturnMax {
		data.Max = number(last)
	}
	if opts != nil && opts.ReturnCount {
		data.Count = uint32(len(found))
	}
	if everything || opts.ReturnAll {
		if uid {
			data.All = UIDs(v, found)
		} else {
			data.All = seqs(found)
		}
	}
	if modSeq {
		told := found
		if opts != nil && !everything && !opts.ReturnAll && !opts.ReturnCount {
			told = nil
			if opts.ReturnMin {
				told = append(told, first)
			}
			if opts.ReturnMax {
				told = append(told, last)
			}
		}
		for _, seq := range told {
			_, m := v.Flags(int(seq))
			data.ModSeq = max(data.ModSeq, m)
		}
	}
	return data
}

// UIDs gives the UIDs of messages as a set, for a result that is saved.
func UIDs(v View, found []uint32) imap.UIDSet {
	var set imap.UIDSet
	for _, seq := range found {
		u := imap.UID(v.UID(int(seq)))
		if k := len(set) - 1; k >= 0 && set[k].Stop+1 == u {
			set[k].Stop = u
		} else {
			set = append(set, imap.UIDRange{Start: u, Stop: u})
		}
	}
	return set
}

func seqs(found []uint32) imap.SeqSet {
	var set imap.SeqSet
	for _, s := range found {
		if k := len(set) - 1; k >= 0 && set[k].Stop+1 == s {
			set[k].Stop = s
		} else {
			set = append(set, imap.SeqRange{Start: s, Stop: s})
		}
	}
	return set
}
