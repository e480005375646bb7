package imap

// cmdID tells who we are, and notes who asks (RFC 2971).
func (s *session) cmdID(c *command) error {
	const maxFields = 30 // section 3.3
	var told []any
	if c.p.Peek() == '(' {
		c.p.MaybeList(func() {
			name := c.p.String()
			c.p.SP()
			value, _ := c.p.NString()
			told = append(told, clean(name), clean(value))
			if len(told) > 2*maxFields {
				c.p.Fail("at most %d fields", maxFields)
			}
		})
	} else if _, there := c.p.NString(); there {
		c.p.Fail("expected a list or NIL")
	}
	if err := c.p.End(); err != nil {
		return err
	}
	if len(told) > 0 {
		s.log().Debug("imap client says what it is", "id", told)
	}
	s.out.Raw(`* ID ("name" "tenma"`)
	if v := s.l.s.cfg.Version; v != "" {
		s.out.Raw(` "version" `)
		s.out.String(oneLine(v))
	}
	s.out.Raw(")\r\n")
	return nil
}

// clean makes what a client said fit for a log.
func clean(s string) string { return oneLine(s[:min(len(s), 100)]) }

// quotaRoot is the one that there is (RFC 9208 section 3.2): of the account.
const quotaRoot = ""

// cmdGetQuota: RFC 9208 section 4.2.1.
func (s *session) cmdGetQuota(c *command) error {
	root := c.p.AString()
	if err := c.p.End(); err != nil {
		return err
	}
	if root != quotaRoot {
		return no("NONEXISTENT", "There is no such quota root")
	}
	s.writeQuota()
	return nil
}

// cmdGetQuotaRoot: RFC 9208 section 4.2.2.
func (s *session) cmdGetQuotaRoot(c *command) error {
	name := c.p.Mailbox()
	if err := c.p.End(); err != nil {
		return err
	}
	if _, err := s.box.Folder(name); err != nil {
		return err
	}
	s.out.Raw("* QUOTAROOT ")
	s.out.Mailbox(name)
	s.out.Raw(" ")
	s.out.String(quotaRoot)
	s.out.Raw("\r\n")
	s.writeQuota()
	return nil
}

// writeQuota tells what is used of what is allowed, in units of 1,024 octets
// (RFC 9208 section 5.1). Without a limit there is nothing to tell.
func (s *session) writeQuota() {
	s.out.Raw("* QUOTA ")
	s.out.String(quotaRoot)
	s.out.Raw(" (")
	if u := s.box.Usage(); u.Limit > 0 {
		s.out.Raw("STORAGE ")
		s.out.Number((u.Octets + 1023) / 1024)
		s.out.Raw(" ")
		s.out.Number(u.Limit / 1024)
	}
	s.out.Raw(")\r\n")
}

// cmdSetQuota: only the administrator may (RFC 9208 section 4.1.3).
func (s *session) cmdSetQuota(*command) error {
	return no("NOPERM", "Quotas are set by the administrator")
}
