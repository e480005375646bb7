package client

import (
	"bytes"
	"strconv"
)

// Extensions are what a server offered in its answer to EHLO or LHLO. The zero
// value is a server that speaks only HELO.
type Extensions struct {
	Pipelining bool  // RFC 2920
	Chunking   bool  // BDAT, RFC 3030
	EightBit   bool  // 8BITMIME, RFC 6152
	UTF8       bool  // SMTPUTF8, RFC 6531
	DSN        bool  // RFC 3461
	StartTLS   bool  // RFC 3207
	RequireTLS bool  // RFC 8689
	SizeKnown  bool  // SIZE, RFC 1870
	Size       int64 // largest message in octets, 0: no limit stated
	Auth       Mechanisms
}

// Mechanisms is the set of SASL mechanisms that we can use.
type Mechanisms uint8

// Members of Mechanisms.
const (
	Plain Mechanisms = 1 << iota
	Login
	ScramSHA256
)

// parseExtensions reads the lines of an answer to EHLO; the first is the
// greeting. Keywords have no case (RFC 5321 section 4.1.1.1); unknown ones,
// and parameters that make no sense, are passed over.
func parseExtensions(text []byte) Extensions {
	var e Extensions
	_, text, _ = bytes.Cut(text, []byte{'\n'})
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		fields := bytes.Fields(line)
		if len(fields) == 0 {
			continue
		}
		word := string(bytes.ToUpper(fields[0]))
		switch word {
		case "PIPELINING":
			e.Pipelining = true
		case "CHUNKING":
			e.Chunking = true
		case "8BITMIME":
			e.EightBit = true
		case "SMTPUTF8":
			e.UTF8 = true
		case "DSN":
			e.DSN = true
		case "STARTTLS":
			e.StartTLS = true
		case "REQUIRETLS":
			e.RequireTLS = true
		case "SIZE":
			e.SizeKnown, e.Size = true, 0
			if len(fields) > 1 {
				if n, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil && n > 0 {
					e.Size = n
				}
			}
		case "AUTH", "AUTH=LOGIN", "AUTH=PLAIN": // with "=" in servers older than RFC 2554
			e.Auth |= mechanisms(fields[1:])
			if _, m, ok := bytes.Cut(fields[0], []byte{'='}); ok {
				e.Auth |= mechanisms([][]byte{m})
			}
		}
	}
	return e
}

func mechanisms(words [][]byte) (m Mechanisms) {
	for _, w := range words {
		switch string(bytes.ToUpper(w)) {
		case "PLAIN":
			m |= Plain
		case "LOGIN":
			m |= Login
		case "SCRAM-SHA-256":
			m |= ScramSHA256
		}
	}
	return m
}
