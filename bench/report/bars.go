package report

import (
	"fmt"

	"tenma/bench/report/chart"
)

// bars gives the chart of one column in one scenario: a bar per server, with
// its name before it and its median and ratio behind, and a whisker from the
// lowest to the highest round.
func (s *scenario) bars(c column) (chart.Drawing, bool) {
	var all []chart.Bar
	for i := range s.servers {
		v := &s.servers[i]
		f := c.over(v.rounds)
		if !f.ok {
			continue
		}
		b := chart.Bar{Name: v.mta, Color: v.color, Value: f.value, Min: f.min, Max: f.max, Label: c.format(f.value)}
		if x, ok := s.ratio(c, v); ok {
			b.Label += "   " + ratio(x)
		}
		if n := v.lost(); n > 0 && c.better == higher {
			b.Bad = "lost " + whole(float64(n))
		}
		all = append(all, b)
	}
	if len(all) == 0 {
		return chart.Drawing{}, false
	}
	mark, caption := s.reference(c)
	d := chart.Bars(s.name, c.name()+c.better.says()+"; "+s.spreadNote(), all, mark, caption)
	d.Name = fileName(s.name + "-" + c.key)
	d.Title = fmt.Sprintf("%s, %s, by server", s.name, c.name())
	return d, true
}

// says is the direction in words.
func (b better) says() string {
	return [...]string{"", ", more is better", ", less is better"}[b]
}

func (s *scenario) spreadNote() string {
	for _, v := range s.servers {
		if len(v.rounds) > 1 {
			return "whisker: lowest to highest round"
		}
	}
	return "a single round"
}

// reference is a value to compare the bars by: a message's own size among the
// octets written for it. 0: none.
func (s *scenario) reference(c column) (v float64, caption string) {
	if size, ok := parseSize(s.servers[0].rounds[0].Size); ok && (c.key == "disk" || c.key == "spool") {
		return size / 1024, "the message itself"
	}
	return 0, ""
}

// fileName keeps letters, digits, hyphens and points of a name.
func fileName(s string) string {
	out := []byte(s)
	for i, c := range out {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.' && i > 0:
		default:
			out[i] = '_'
		}
	}
	return string(out)
}
