// Command dashboard writes the Grafana dashboard of a relay,
// deploy/grafana/tenma.json. The dashboard follows a message: in from clients, to
// stable storage, through the queue, out to the next hop; the first row says
// whether mail flows at all. What each panel is for, and what to do when it looks
// bad, stands in the panel's description (the small i in its corner).
//
//	go run ./deploy/dashboard            # writes deploy/grafana/tenma.json
//	go run ./deploy/dashboard -o FILE    # or somewhere else; - is the standard output
//
// To change the dashboard, change rows.go or more.go and run it; edits made in
// Grafana are for trying things out.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "deploy/grafana/tenma.json", "write it there; - is the standard output")
	flag.Parse()
	text, err := render()
	if err == nil {
		err = write(*out, text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func write(path string, text []byte) error {
	if path == "-" {
		_, err := os.Stdout.Write(text)
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// render gives the dashboard as Grafana imports it.
func render() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(build(append(road(), beside()...)))
	return b.Bytes(), err
}
