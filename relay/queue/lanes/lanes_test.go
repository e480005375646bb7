package lanes

import (
	"testing"

	"tenma/relay/mail"
)

func TestKeys(t *testing.T) {
	toHost, toBox, lookup := Of(&mail.Route{Lane: "x"}), Of(&mail.Route{Kind: mail.Local, Lane: "x"}), Lookup("x")
	if toHost == toBox || toHost == lookup || toBox == lookup {
		t.Error("two kinds of lane have one key")
	}
	if Name(toHost) != "x" || Name(toBox) != "x" || Name(lookup) != "?x" || Name("") != "" {
		t.Errorf("%s %s %s %q", Name(toHost), Name(toBox), Name(lookup), Name(""))
	}
	if !IsLookup(lookup) || IsLookup(toHost) || !IsLocal(toBox) || IsLocal(toHost) {
		t.Error("the kind of lane is mistaken")
	}
	if Hash(toHost) == Hash(toBox) {
		t.Error("a poor hash")
	}
}
