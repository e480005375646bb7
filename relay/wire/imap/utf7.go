package imap

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// utf7 is the base64 of modified UTF-7: "," in place of "/", no padding.
func utf7() *base64.Encoding {
	return base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)
}

// EncodeName writes a UTF-8 mailbox name in modified UTF-7 (RFC 3501 section
// 5.1.3).
func EncodeName(s string) string {
	if plainName(s) {
		return s
	}
	var out strings.Builder
	for s != "" {
		n := 0
		for n < len(s) && s[n] >= ' ' && s[n] < 0x7f {
			n++
		}
		out.WriteString(strings.ReplaceAll(s[:n], "&", "&-"))
		if s = s[n:]; s == "" {
			break
		}
		for n = 0; n < len(s) && (s[n] < ' ' || s[n] >= 0x7f); {
			n++
		}
		var raw []byte
		for _, u := range utf16.Encode([]rune(s[:n])) {
			raw = append(raw, byte(u>>8), byte(u))
		}
		out.WriteString("&" + utf7().EncodeToString(raw) + "-")
		s = s[n:]
	}
	return out.String()
}

func plainName(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f || s[i] == '&' {
			return false
		}
	}
	return true
}

// DecodeName reads a name in modified UTF-7. What a client need not have
// encoded must not be (it would be a second name for one mailbox). Its error is
// ErrName.
func DecodeName(s string) (string, error) {
	if plainName(s) {
		return s, nil
	}
	var out strings.Builder
	for s != "" {
		head, rest, coded := strings.Cut(s, "&")
		out.WriteString(head)
		if !coded {
			break
		}
		code, rest, ended := strings.Cut(rest, "-")
		s = rest
		if !ended {
			return "", ErrName
		}
		if code == "" {
			out.WriteByte('&')
			continue
		}
		text, err := decodeRun(code)
		if err != nil {
			return "", err
		}
		out.WriteString(text)
	}
	return out.String(), nil
}

func decodeRun(code string) (string, error) {
	raw, err := utf7().DecodeString(code)
	if err != nil || len(raw)%2 != 0 || len(raw) == 0 {
		return "", ErrName
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	var out strings.Builder
	for _, r := range utf16.Decode(units) {
		if r == utf8.RuneError || r >= ' ' && r < 0x7f {
			return "", ErrName
		}
		out.WriteRune(r)
	}
	return out.String(), nil
}
