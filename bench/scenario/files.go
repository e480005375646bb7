package scenario

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed files/*.scenario
var files embed.FS

// Names lists the scenarios that are built in, in the order of the alphabet.
func Names() []string {
	all, _ := fs.Glob(files, "files/*.scenario")
	for i, f := range all {
		all[i] = strings.TrimSuffix(path.Base(f), ".scenario")
	}
	return all
}

// Find reads the scenario that is built in under this name, or the file of
// this path; extra lines are read after it, as Parse does.
func Find(name string, extra ...string) (Scenario, error) {
	text, err := files.ReadFile("files/" + name + ".scenario")
	if err == nil {
		return Parse(name, name+".scenario", string(text), extra...)
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, "./") {
		return Scenario{}, fmt.Errorf("no scenario called %q and no file either; there are %s", name, strings.Join(Names(), ", "))
	}
	if err != nil {
		return Scenario{}, fmt.Errorf("reading a scenario: %w", err)
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Scenario{}, fmt.Errorf("reading a scenario: %w", err)
	}
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	return Parse(base, name, string(text), extra...)
}
