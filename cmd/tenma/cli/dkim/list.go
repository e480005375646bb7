package dkim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"tenma/cmd/tenma/cli"
	keys "tenma/relay/policy/dkim"
	"tenma/relay/policy/dkim/rotation"
)

type listCommand struct {
	cli.Settings
	JSON bool `name:"json" help:"Print as JSON."`
}

// Help is the long text.
func (*listCommand) Help() string {
	return `A key that tenma keeps is in one of four phases. next: it waits for its record. active: it signs. retiring: it signs no more, but mail that it signed is still under way, so its record must stay. retired: its record can be revoked.`
}

type keyInList struct {
	Domain     string     `json:"domain"`
	Selector   string     `json:"selector"`
	Algorithm  string     `json:"algorithm,omitempty"`
	Bits       int        `json:"bits,omitempty"`
	Key        string     `json:"key"`
	Configured bool       `json:"configured"` // named in the configuration, or kept
	Phase      string     `json:"phase,omitempty"`
	Since      *time.Time `json:"since,omitempty"`
	Seen       string     `json:"seen,omitempty"`  // what the DNS had at the relay's last look
	Until      *time.Time `json:"until,omitempty"` // next: signs from; retiring: its record must stay
	Name       string     `json:"name,omitempty"`
	Record     string     `json:"record,omitempty"`
	Error      string     `json:"error,omitempty"`
	Warning    string     `json:"warning,omitempty"`

	info keys.Info
	kept rotation.Key // Phase "" for a key that is not kept
}

func asKey(i keys.Info, configured bool) keyInList {
	k := keyInList{
		Domain: string(i.Domain), Selector: i.Selector, Algorithm: i.Algorithm, Bits: i.Bits, Key: i.Path,
		Configured: configured, Name: i.Name, Record: i.Record, Warning: i.Warning, info: i,
	}
	if i.Err != nil {
		k.Error = i.Err.Error()
	}
	return k
}

func asKept(i keys.Info, r rotation.Key, hold time.Duration) keyInList {
	k := asKey(i, true)
	k.kept, k.Phase, k.Seen = r, string(r.Phase), string(r.Sight)
	k.Since = &r.Since
	var until time.Time
	switch {
	case r.Phase == rotation.Retiring:
		until = r.Since.Add(rotation.RecordStays(hold))
	case r.Phase == rotation.Next && !r.Seen.IsZero():
		until = r.Seen.Add(rotation.Settle)
	default:
		return k
	}
	k.Until = &until
	return k
}

// inspect gives the keys that the configuration names, those that are kept, and
// then those that lie in the data directory and are neither.
func inspect(s *cli.Settings) ([]keyInList, error) {
	cfg, err := s.Peek()
	if err != nil {
		return nil, err
	}
	all := []keyInList{}
	for _, i := range keys.Inspect(cfg.DKIM.Keys) {
		all = append(all, asKey(i, true))
	}
	kept, err := rotation.Kept(cfg.Rotation, time.Now())
	if err != nil {
		return nil, err
	}
	for _, r := range kept {
		all = append(all, asKept(cfg.Rotation.Inspect(r), r, cfg.Rotation.Hold))
	}
	files, err := rotation.Files(cfg.Rotation.Dir)
	if err != nil {
		return nil, err
	}
	for _, d := range slices.Sorted(maps.Keys(files)) {
		for _, f := range files[d] {
			k := keys.Key{Domain: d, Selector: f.Selector, Path: rotation.Path(cfg.Rotation.Dir, d, f.Selector)}
			if !slices.ContainsFunc(all, func(o keyInList) bool { return o.Key == k.Path }) {
				all = append(all, asKey(keys.Inspect([]keys.Key{k})[0], false))
			}
		}
	}
	return all, nil
}

// Run is the command.
func (x *listCommand) Run(c *cli.Console) error {
	all, err := inspect(&x.Settings)
	if err != nil {
		return err
	}
	if x.JSON {
		return c.JSON(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.Out, `No key: mail goes out unsigned. "tenma dkim new DOMAIN" makes one.`)
		return err
	}
	rows := [][]string{{"DOMAIN", "SELECTOR", "KEY", "PHASE", "SINCE", "RECORD", "WHAT"}}
	for _, k := range all {
		kind := k.Algorithm
		if kind == keys.RSA {
			kind = fmt.Sprintf("%s %d", k.Algorithm, k.Bits)
		}
		phase, since, seen := "-", "-", "-"
		if k.Phase != "" {
			phase, since, seen = k.Phase, k.Since.Local().Format(time.DateOnly), k.Seen
		}
		rows = append(rows, []string{k.Domain, k.Selector, kind, phase, since, seen, k.what()})
	}
	return c.Table(rows)
}

// what says what the key does, and what is to be done about it.
func (k *keyInList) what() string {
	when := func() string { return k.Until.Local().Format("2006-01-02 15:04") }
	switch {
	case k.Error != "" && k.kept.Phase != rotation.Retired:
		return "cannot be used: " + k.Error
	case !k.Configured:
		return "not in the configuration"
	}
	switch k.kept.Phase {
	case rotation.Next:
		switch {
		case k.Until != nil:
			return "signs from " + when() + " on, if its record stays"
		case k.kept.Sight == rotation.Unknown:
			return fmt.Sprintf("a running relay looks for its record: \"tenma dkim dns %s\"", k.Domain)
		}
		return fmt.Sprintf("publish its record: \"tenma dkim dns %s\"", k.Domain)
	case rotation.Retiring:
		if k.kept.Sight != rotation.Published && k.kept.Sight != rotation.Unknown {
			return "mail that it signed is under way: publish its record again until " + when()
		}
		return "signs no more; leave its record until " + when()
	case rotation.Retired:
		return "revoke its record (v=DKIM1; p=) or take it out, then remove " + k.Key
	case rotation.Active:
		switch k.kept.Sight {
		case rotation.Missing, rotation.Different, rotation.Revoked:
			return fmt.Sprintf("signs, but nobody can verify it: publish its record now, \"tenma dkim dns %s\"", k.Domain)
		}
	}
	if k.Warning != "" {
		return "signs; " + k.Warning
	}
	return "signs"
}
