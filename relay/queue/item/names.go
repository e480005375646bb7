package item

// Names gives numbers to lane names, and takes them back when the last user
// has let go.
type Names struct {
	byKey map[string]uint32
	all   []name
	free  []uint32
}

type name struct {
	key  string
	refs int
}

// Hold gives the number of key and counts one more user.
func (n *Names) Hold(key string) uint32 {
	num, ok := n.byKey[key]
	if !ok {
		if k := len(n.free); k > 0 {
			num, n.free = n.free[k-1], n.free[:k-1]
		} else {
			num = uint32(len(n.all))
			n.all = append(n.all, name{})
		}
		n.all[num] = name{key: key}
		n.byKey[key] = num
	}
	n.all[num].refs++
	return num
}

// Release counts one user less.
func (n *Names) Release(num uint32) {
	e := &n.all[num]
	e.refs--
	if e.refs == 0 {
		delete(n.byKey, e.key)
		*e = name{}
		n.free = append(n.free, num)
	}
}

// Key is the name that has the number.
func (n *Names) Key(num uint32) string { return n.all[num].key }

// NewNames makes an empty Names.
func NewNames() Names { return Names{byKey: map[string]uint32{}} }
