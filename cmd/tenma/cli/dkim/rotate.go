package dkim

import (
	"fmt"
	"os"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay/config"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/wire/smtp"
)

type rotateCommand struct {
	cli.Settings
	Domain string `arg:"" help:"The domain that signs, such as example.org."`
	JSON   bool   `name:"json" help:"Print as JSON."`
}

// Help is the long text.
func (*rotateCommand) Help() string {
	return `Makes a successor of each key that signs for the domain, and prints the records to publish. That is all that is to be done: the running relay looks for the records, signs with the new keys when it has seen them for three hours, and tells when the old records are needed no more, which is no sooner than "expire" of [delivery] and seven days later. "tenma dkim list" shows how far it is.

Given again, the command makes nothing new before the successors sign. To call it off, remove their files before they do.`
}

// Run is the command.
func (x *rotateCommand) Run(c *cli.Console) error {
	d, err := smtp.ParseDomain(x.Domain)
	if err != nil || d.IsLiteral() {
		return cli.Misuse("%q is not a domain name", cli.Clean(x.Domain))
	}
	cfg, err := x.Peek()
	if err != nil {
		return err
	}
	if !cfg.Rotation.Has(d) {
		return notKept(cfg, d)
	}
	next, made, err := successors(cfg, d, time.Now())
	if err != nil {
		return err
	}
	if x.JSON {
		return c.JSON(next)
	}
	return tell(c, next, made, d)
}

// notKept says how tenma comes to keep the keys of a domain.
func notKept(cfg *config.Config, d smtp.Domain) error {
	for _, k := range cfg.DKIM.Keys {
		if k.Domain != d {
			continue
		}
		path := rotation.Path(cfg.Rotation.Dir, d, k.Selector)
		move := ""
		if k.Path != path {
			move = fmt.Sprintf("move %s to %s, ", k.Path, path)
		}
		return fmt.Errorf("the key of %s is named in the configuration: %sleave out selector and key in its [[dkim]], reload, and then rotate", d, move)
	}
	return fmt.Errorf("no [[dkim]] names %s; \"tenma dkim new %s\" makes its first key", d, d)
}

// successors gives a next key for each active one, and how many had to be made.
func successors(cfg *config.Config, d smtp.Domain, now time.Time) (next []keyInList, made int, err error) {
	all, err := rotation.Kept(cfg.Rotation, now)
	if err != nil {
		return nil, 0, err
	}
	active := false
	for _, k := range all {
		if k.Domain != d {
			continue
		}
		info := cfg.Rotation.Inspect(k)
		switch {
		case k.Phase == rotation.Next && info.Err == nil:
			next = append(next, asKept(info, k, cfg.Rotation.Hold))
		case k.Phase == rotation.Active && !rotation.HasNext(all, k):
			if info.Err != nil {
				return nil, made, fmt.Errorf("the key that signs cannot be used: %w", info.Err)
			}
			if info, err = rotation.Make(cfg.Rotation.Dir, info, now); err != nil {
				return nil, made, fmt.Errorf("making the next key: %w", err)
			}
			made++
			next = append(next, asKept(info, rotation.Key{Domain: d, Selector: info.Selector, Algorithm: info.Algorithm, Phase: rotation.Next, Since: now, Sight: rotation.Unknown}, cfg.Rotation.Hold))
		}
		active = active || k.Phase == rotation.Active
	}
	if !active {
		return nil, made, fmt.Errorf("no key of %s signs: %w; \"tenma dkim new %s\" makes one", d, os.ErrNotExist, d)
	}
	return next, made, nil
}

func tell(c *cli.Console, next []keyInList, made int, d smtp.Domain) error {
	if made > 0 {
		fmt.Fprintf(c.Out, "Made %s. ", cli.Count(made, "key"))
	} else {
		fmt.Fprint(c.Out, "The next keys are there already. ")
	}
	fmt.Fprint(c.Out, "Publish, and leave the records of the keys that sign now where they are:\n\n")
	for _, k := range next {
		fmt.Fprintln(c.Out, zoneLine(k.info))
	}
	_, err := fmt.Fprintf(c.Out, `
A running relay does the rest: it signs with a new key when it has seen the record for %.0f hours.
"tenma dkim list" shows how far it is; "tenma dns check %s" looks at the records now.
`, rotation.Settle.Hours(), d)
	return err
}
