package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

type versionCommand struct {
	JSON bool `name:"json" help:"Print as JSON."`
}

// Run is the command.
func (x *versionCommand) Run(c *console) error {
	v := struct {
		Version  string `json:"version"`
		Revision string `json:"revision,omitempty"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
	}{version(), revision(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if x.JSON {
		return c.JSON(v)
	}
	_, err := fmt.Fprintf(c.Out, "tenma %s, %s, %s\n", build(), v.Go, v.Platform)
	return err
}

// build is the version, with its commit where that is known.
func build() string {
	if r := revision(); r != "" {
		return version() + " (" + r + ")"
	}
	return version()
}

// program is how to call this program again in the same directory.
func program() string {
	if strings.Contains(os.Args[0], "go-build") { // started by go run, which deletes its file
		return "go run ./cmd/tenma"
	}
	return os.Args[0]
}

// version is the module's, "devel" for a build from a checkout.
func version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return "devel"
}

// revision is the commit that was built, with a plus if files were changed.
func revision() string {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	rev := ""
	for _, s := range b.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			rev += "+"
		}
	}
	return rev
}
