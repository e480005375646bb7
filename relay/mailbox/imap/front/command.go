package front

// Command is one whole command of a client.
type Command struct {
	Tag  string
	Name string // in upper case; "UID FETCH" and the like are one name
	// Args is what follows the name and a space, "" if nothing does. It holds no
	// literals: each stands as a quoted string (backslash before '"' and '\'). In
	// commands of Config.Own such a string may hold CR and LF; NUL is nowhere.
	// Outside quoted strings parentheses nest no deeper than 100.
	Args string
}
