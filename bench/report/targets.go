package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"tenma/bench/load"
)

// A Target is what a server must hold in one figure of one scenario, and what
// it reaches for. It is a line of a targets file:
//
//	SCENARIO COLUMN AT-LEAST REACH-FOR [of SCENARIO] [over SERVER] [: words]
//
// COLUMN is a figure's name (delivered, ack-p99, cpu, extra.NAME, ...), or two
// with a slash: the first over the second, round by round. A value is a plain
// number, or octets as 400MiB; or a ratio over the server compared against, 8x or 1/500x, where "of"
// makes it a ratio over the same server in another scenario; or a multiple of
// the message's size, 1.3size. Which direction is good follows from the two
// values. "server NAME" and "against NAME" on lines of their own say who is
// judged and what ratios are over from there on; # begins a comment.
type Target struct {
	Scenario, Column string
	Server, Against  string
	Of               string // another scenario, of the same server
	AtLeast, Reach   float64
	Unit             Unit
	Words            string
	atLeast, reach   string // as written
	better           better
}

// Unit is what a target's values count.
type Unit int8

// The units of a target.
const (
	Plain Unit = iota // the column's own
	Ratio             // over another server or scenario
	Sizes             // multiples of the message's size
)

// Bounds of a targets file.
const (
	maxTargets    = 200
	maxTargetLine = 1000
)

// ParseTargets reads a targets file. An error is a [*LineError].
func ParseTargets(r io.Reader) ([]Target, error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxTargetLine)
	server, against := "tenma", "postfix"
	var all []Target
	n := 0
	for in.Scan() {
		n++
		text, _, _ := strings.Cut(in.Text(), "#")
		f := strings.Fields(text)
		if len(f) == 0 {
			continue
		}
		var err error
		switch {
		case !printable(text) || len(all) == maxTargets:
			err = fmt.Errorf("not printable, or more than %d targets", maxTargets)
		case f[0] == "server" && len(f) == 2:
			server = f[1]
		case f[0] == "against" && len(f) == 2:
			against = f[1]
		default:
			t := Target{Server: server, Against: against}
			if err = t.parse(text); err == nil {
				all = append(all, t)
			}
		}
		if err != nil {
			return all, &LineError{Line: n, Err: err}
		}
	}
	if err := in.Err(); errors.Is(err, bufio.ErrTooLong) {
		return all, &LineError{Line: n + 1, Err: fmt.Errorf("longer than %d octets", maxTargetLine)}
	} else if err != nil {
		return all, err
	}
	return all, nil
}

func (t *Target) parse(text string) error {
	text, words, _ := strings.Cut(text, ":")
	t.Words = strings.TrimSpace(words)
	f := strings.Fields(text)
	if len(f) < 4 || len(f)%2 != 0 {
		return errors.New("a target is SCENARIO COLUMN AT-LEAST REACH-FOR [of SCENARIO] [over SERVER] [: words]")
	}
	t.Scenario, t.Column, t.atLeast, t.reach = f[0], f[1], f[2], f[3]
	for rest := f[4:]; len(rest) > 0; rest = rest[2:] {
		switch rest[0] {
		case "of":
			t.Of = rest[1]
		case "over":
			t.Against = rest[1]
		default:
			return fmt.Errorf("%q is neither of nor over", rest[0])
		}
	}
	c, err := columnOf(t.Column)
	if err != nil {
		return err
	}
	var other Unit
	if t.AtLeast, t.Unit, err = parseValue(t.atLeast); err != nil {
		return err
	}
	if t.Reach, other, err = parseValue(t.reach); err != nil {
		return err
	}
	switch {
	case other != t.Unit:
		return fmt.Errorf("%s and %s do not count the same", t.atLeast, t.reach)
	case t.Of != "" && t.Unit != Ratio:
		return fmt.Errorf("of %s wants ratios, such as 1.5x", t.Of)
	case t.Reach > t.AtLeast:
		t.better = higher
	case t.Reach < t.AtLeast, c.better == lower:
		t.better = lower
	default:
		t.better = higher
	}
	if c.better != neither && c.better != t.better {
		return fmt.Errorf("%s to %s is the wrong way for %s", t.atLeast, t.reach, t.Column)
	}
	return nil
}

// parseValue reads 8x, 1/500x, 0.15, 400MiB, 1.3size.
func parseValue(s string) (v float64, u Unit, err error) {
	if v, ok := parseSize(s); ok {
		return v, Plain, nil
	}
	number := s
	if n, ok := strings.CutSuffix(s, "x"); ok {
		number, u = n, Ratio
	} else if n, ok := strings.CutSuffix(s, "size"); ok {
		number, u = n, Sizes
	}
	top, bottom, fraction := strings.Cut(number, "/")
	v, err = strconv.ParseFloat(top, 64)
	if fraction && err == nil {
		var d float64
		if d, err = strconv.ParseFloat(bottom, 64); err == nil {
			v /= d
		}
	}
	if err != nil || math.IsNaN(v) || v < 0 || v > maxFigure {
		return 0, u, fmt.Errorf("%q is no value: a number, octets (400MiB), a ratio (8x, 1/500x) or a multiple of the size (1.3size)", s)
	}
	return v, u, nil
}

// columnOf finds the column of a key, or makes the quotient of two.
func columnOf(key string) (column, error) {
	if top, bottom, two := strings.Cut(key, "/"); two {
		a, err := columnOf(top)
		if err != nil {
			return a, err
		}
		b, err := columnOf(bottom)
		if err != nil {
			return b, err
		}
		get := func(r *load.Result) float64 {
			x, y := a.over([]load.Result{*r}), b.over([]load.Result{*r})
			if !x.ok || !y.ok || y.value == 0 {
				return math.NaN()
			}
			return x.value / y.value
		}
		return column{key: key, head: [2]string{key, ""}, always: true, get: get, format: significant}, nil
	}
	if name, ok := strings.CutPrefix(key, "extra."); ok {
		return extraColumn(name), nil
	}
	all := columns()
	if i := slices.IndexFunc(all, func(c column) bool { return c.key == key }); i >= 0 {
		return all[i], nil
	}
	var keys []string
	for _, c := range all {
		keys = append(keys, c.key)
	}
	return column{}, fmt.Errorf("no column is called %q: %s, extra.NAME", key, strings.Join(keys, ", "))
}

// The verdicts on a target.
const (
	reached     = "reached"
	held        = "held"
	fellShort   = "short"
	notMeasured = "not measured"
	void        = "void" // mail was lost or signed wrongly, or the comparison was refused
)

// verdict is what came of a target.
type verdict struct {
	word     string
	measured string
	why      string
}

// judge holds a target against the results.
func (r *Report) judge(t Target) verdict {
	v := r.find(t.Scenario, t.Server)
	c, err := columnOf(t.Column)
	if v == nil || err != nil {
		return verdict{word: notMeasured}
	}
	if n := v.lost(); n > 0 && t.Column != "lost" {
		return verdict{word: void, why: t.Server + " lost " + whole(float64(n))}
	}
	if n := v.worst(func(r *load.Result) int64 { return int64(r.Extra[badSignatures]) }); n > 0 && t.Column != "extra."+badSignatures {
		return verdict{word: void, why: t.Server + " signed " + whole(float64(n)) + " wrongly"}
	}
	f := c.over(v.rounds)
	if !f.ok {
		return verdict{word: notMeasured}
	}
	got, text := f.value, c.format(f.value)
	switch t.Unit {
	case Ratio:
		base, why := r.targetBase(t, v)
		if base == nil {
			return verdict{word: why}
		}
		if why != "" {
			return verdict{word: void, why: why}
		}
		x, ok := over(c, v, base)
		if !ok {
			return verdict{word: notMeasured}
		}
		got, text = x, fmt.Sprintf("%s (%s against %s)", ratio(x), text, c.format(c.over(base.rounds).value))
	case Sizes:
		size, ok := parseSize(v.rounds[0].Size)
		if !ok {
			return verdict{word: void, why: "messages of several sizes"}
		}
		octets := f.value
		if c.key == "disk" || c.key == "spool" || c.key == "written" {
			octets *= 1024
		}
		got = octets / size
		text = fmt.Sprintf("%s sizes (%s)", significant(got), text)
	}
	return t.weigh(got, fmt.Sprintf("%s, %s", text, plural(len(v.rounds), "round")))
}

// targetBase is what a ratio is over, and why it cannot be.
func (r *Report) targetBase(t Target, v *server) (base *server, why string) {
	if t.Of != "" {
		if base = r.find(t.Of, t.Server); base == nil {
			return nil, notMeasured
		}
		if machine(base.rounds[0]) != machine(v.rounds[0]) {
			return base, "measured on another machine"
		}
		return base, ""
	}
	if base = r.find(t.Scenario, t.Against); base == nil {
		return nil, notMeasured
	}
	return base, differs(base.rounds, v.rounds)
}

func (t Target) weigh(got float64, text string) verdict {
	good := func(than float64) bool {
		if t.better == higher {
			return got >= than
		}
		return got <= than
	}
	switch {
	case good(t.Reach):
		return verdict{word: reached, measured: text}
	case good(t.AtLeast):
		return verdict{word: held, measured: text}
	}
	part := t.AtLeast / got
	if t.better == higher {
		part = got / t.AtLeast
	}
	return verdict{word: fellShort, measured: text, why: fmt.Sprintf("%.0f %% of it", 100*part)}
}
