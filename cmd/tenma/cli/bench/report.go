package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tenma/bench/load"
	"tenma/bench/report"
	"tenma/cmd/tenma/cli"
)

type reportCommand struct {
	Results []string `arg:"" optional:"" help:"Raw data: files of JSON lines, folders of *.jsonl, or - for the standard input."`

	Output      string `short:"o" placeholder:"DIR" help:"Write report.html, report.md and charts/ into this folder."`
	Markdown    bool   `help:"Markdown only; without -o to the standard output."`
	HTML        bool   `name:"html" help:"The HTML page only; without -o to the standard output."`
	PNG         bool   `name:"png" help:"With -o: the charts as PNG too."`
	JSON        bool   `name:"json" help:"Print medians, spreads and ratios as JSON."`
	Against     string `placeholder:"NAME" help:"Mail server that ratios are over (default: the first in the results)."`
	Title       string `placeholder:"TEXT" help:"Title of the pages."`
	ResultsPage string `placeholder:"FILE" help:"Make this results page anew from the raw data, targets and charts in the folder \"results\" beside it."`
}

// Help is the long text.
func (*reportCommand) Help() string {
	return `Prints a table of medians and ratios, or makes pages with charts of it. Runs that lost mail, comparisons across machines and single rounds are marked.`
}

// Run is the command.
func (x *reportCommand) Run(c *cli.Console) error {
	if err := x.check(); err != nil {
		return err
	}
	if x.ResultsPage != "" {
		files, err := filesOf(x.Results)
		if err != nil {
			return err
		}
		return report.Page{File: x.ResultsPage, Raw: files, Against: x.Against}.Write()
	}
	results, err := x.load(c)
	if err != nil {
		return err
	}
	r := report.New(results, report.Options{Against: x.Against, Title: x.Title})
	if x.Output != "" {
		return x.write(c, r)
	}
	text := r.Table()
	switch {
	case x.JSON:
		return c.JSON(r.Summary())
	case x.Markdown:
		text = r.Markdown()
	case x.HTML:
		if text, err = r.HTML(); err != nil {
			return err
		}
	}
	_, err = fmt.Fprint(c.Out, text)
	return err
}

func (x *reportCommand) check() error {
	forms := 0
	for _, set := range []bool{x.JSON, x.Markdown, x.HTML, x.ResultsPage != ""} {
		if set {
			forms++
		}
	}
	switch {
	case forms > 1:
		return cli.Misuse("only one of --json, --markdown, --html and --results-page")
	case x.PNG && x.Output == "":
		return cli.Misuse("--png wants a folder: -o DIR")
	case x.Output != "" && (x.JSON || x.ResultsPage != ""):
		return cli.Misuse("-o is for pages and charts, not with --json or --results-page")
	case len(x.Results) == 0 && x.ResultsPage == "":
		return cli.Misuse("name the raw data: a file, a folder, or - for the standard input")
	}
	return nil
}

// filesOf puts in place of a folder its files of raw data.
func filesOf(names []string) ([]string, error) {
	var all []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("raw data: %w", err)
		}
		if !info.IsDir() {
			all = append(all, name)
			continue
		}
		files, err := report.Folder(name)
		if err != nil {
			return nil, fmt.Errorf("raw data: %w", err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("raw data: %s has no *.jsonl", name)
		}
		all = append(all, files...)
	}
	return all, nil
}

func (x *reportCommand) load(c *cli.Console) ([]load.Result, error) {
	var results []load.Result
	if len(x.Results) == 1 && x.Results[0] == "-" {
		var err error
		if results, err = report.Load(c.In); err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
	} else {
		files, err := filesOf(x.Results)
		if err != nil {
			return nil, err
		}
		if results, err = report.LoadFiles(files...); err != nil {
			return nil, fmt.Errorf("raw data: %w", err)
		}
	}
	if len(results) == 0 {
		return nil, errors.New("the raw data has no results")
	}
	return results, nil
}

// write puts the pages and the charts into the folder.
func (x *reportCommand) write(c *cli.Console, r *report.Report) error {
	charts, err := r.WriteCharts(filepath.Join(x.Output, "charts"), x.PNG)
	if err != nil {
		return err
	}
	if !x.Markdown {
		text, err := r.HTML()
		if err == nil {
			err = x.file(c, "report.html", text)
		}
		if err != nil {
			return err
		}
	}
	if !x.HTML {
		if err := x.file(c, "report.md", r.Markdown()); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.Out, "%s (%s)\n", filepath.Join(x.Output, "charts"), cli.Count(len(charts), "chart"))
	return err
}

func (x *reportCommand) file(c *cli.Console, name, text string) error {
	name = filepath.Join(x.Output, name)
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.Out, name)
	return err
}
