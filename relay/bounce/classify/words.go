package classify

import (
	"fmt"
	"strings"
)

// phrases reads a rule's phrases, each "{name}" for all the words of that name.
func phrases(list []string, words map[string][]string) (ps []phrase, err error) {
	for _, s := range list {
		variants, err := expand(s, words)
		if err != nil {
			return nil, err
		}
		for _, v := range variants {
			p := parsePhrase(v)
			if len(p.pieces) == 0 {
				return nil, fmt.Errorf("the phrase %q is empty", s)
			}
			ps = append(ps, p)
		}
	}
	return ps, nil
}

// expand gives the phrases that one stands for.
func expand(s string, words map[string][]string) ([]string, error) {
	out := []string{""}
	for rest := s; rest != ""; {
		before, after, braced := strings.Cut(rest, "{")
		choice := []string{""}
		if rest = ""; braced {
			name, behind, closed := strings.Cut(after, "}")
			if choice = words[name]; !closed || len(choice) == 0 {
				return nil, fmt.Errorf("the phrase %q: there are no [words] %q", s, name)
			}
			rest = behind
		}
		if len(out)*len(choice) > maxVariants {
			return nil, fmt.Errorf("the phrase %q stands for more than %d", s, maxVariants)
		}
		var longer []string
		for _, o := range out {
			for _, w := range choice {
				longer = append(longer, o+before+w)
			}
		}
		out = longer
	}
	for i, o := range out {
		out[i] = strings.ReplaceAll(o, "  ", " ") // where a word is ""
	}
	return out, nil
}
