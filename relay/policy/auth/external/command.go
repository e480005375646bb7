package external

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"tenma/relay/wire/smtp"
)

// program asks by running a program for each question. It never sees a password
// in its arguments or environment, which others on the machine can read.
type program struct {
	path string
	args []string
}

func newProgram(c Config) (*program, error) {
	if len(c.Command) == 0 || c.Command[0] == "" {
		return nil, errors.New(`kind "command" without a command`)
	}
	path, err := exec.LookPath(c.Command[0])
	if err != nil {
		return nil, err
	}
	return &program{path: path, args: c.Command[1:]}, nil
}

func (p *program) verify(ctx context.Context, a smtp.Address, password string) error {
	yes, err := p.run(ctx, "verify", a.String()+"\n"+password+"\n")
	if err == nil && !yes {
		return ErrRefused
	}
	return err
}

func (p *program) lookup(ctx context.Context, a smtp.Address) (bool, error) {
	return p.run(ctx, "lookup", a.String()+"\n")
}

// run runs the program, which has until ctx ends. What it prints goes nowhere:
// it might be a password.
func (p *program) run(ctx context.Context, verb, input string) (yes bool, err error) {
	c := exec.CommandContext(ctx, p.path, append(p.args[:len(p.args):len(p.args)], verb)...)
	c.Stdin = strings.NewReader(input)
	// The relay's own environment may hold secrets of its configuration.
	c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	c.WaitDelay = time.Second // for children that hold the standard input open
	alone(c)
	err = c.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return false, fmt.Errorf("%s %s: %w", p.path, verb, ctx.Err())
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return false, nil
	case errors.As(err, &exit):
		return false, fmt.Errorf("%w: %s %s: %s", errThis, p.path, verb, exit.ProcessState)
	case err != nil && c.ProcessState != nil && c.ProcessState.Success():
		return true, nil // it has not read its input to the end, or left a child behind
	case err != nil:
		return false, fmt.Errorf("%s %s: %w", p.path, verb, err)
	}
	return true, nil
}
