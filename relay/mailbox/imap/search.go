package imap

func (s *session) cmdSearch(c *command) error { return bad("", "not built") }
func (s *session) cmdSort(c *command) error   { return bad("", "not built") }
