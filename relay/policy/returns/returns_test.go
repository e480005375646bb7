package returns

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tenma/relay/wire/smtp"
	"tenma/spool"
)

var accepted = time.Date(2026, 11, 21, 9, 58, 30, 0, time.UTC)

func reference() Reference {
	return Reference{
		ID:        spool.NewID(accepted, [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}),
		Recipient: smtp.Address{Local: "Ann.Other+x", Domain: "b.test"}, Tenant: "shop", Campaign: "spring",
	}
}

func signer(t testing.TB, firsts ...byte) *Signer {
	t.Helper()
	var secrets [][]byte
	for _, b := range firsts {
		secrets = append(secrets, bytes.Repeat([]byte{b}, KeySize))
	}
	s, err := NewSigner(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A token fits a local part, survives a change of case, and says which message,
// whose and for whom.
func TestToken(t *testing.T) {
	s, r := signer(t, 1), reference()
	text := s.Sign(ReturnPath, r)
	if len(text) != TokenSize || TokenSize > smtp.MaxLocal || text != strings.ToLower(text) {
		t.Errorf("%q has %d octets", text, len(text))
	}
	if a, err := smtp.ParseMailbox(text + "@r.sender.test"); err != nil || a.Local != text {
		t.Errorf("%v, %v: no address", a, err)
	}
	for _, text := range []string{text, strings.ToUpper(text)} {
		got, err := s.Read(ReturnPath, text, accepted.Add(time.Hour), 24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != r.ID || !got.For(r.Recipient) || !got.For(smtp.Address{Local: "ann.other+X", Domain: "b.test"}) || !got.Of("shop") {
			t.Errorf("%+v is not about %+v", got, r)
		}
		if got.For(smtp.Address{Local: "bob", Domain: "b.test"}) || got.Of("") || got.Of("other") {
			t.Error("it is about anybody")
		}
	}
	other := r
	other.ID = r.ID.Derive("2")
	if again := s.Sign(ReturnPath, other); again[27:41] == text[27:41] {
		t.Error("two tokens tell that they are for the same person")
	}
}

// Whoever changes a character, uses a token for another purpose, or has another key
// gets nowhere.
func TestForged(t *testing.T) {
	s, r := signer(t, 1), reference()
	text := s.Sign(ReturnPath, r)
	const digits = "0123456789abcdefghijklmnopqrstuv"
	for i := range text {
		for _, c := range digits {
			if changed := text[:i] + string(c) + text[i+1:]; changed != text {
				if _, err := s.Read(ReturnPath, changed, accepted, time.Hour); !errors.Is(err, ErrForged) {
					t.Fatalf("character %d changed to %c: %v", i, c, err)
				}
			}
		}
	}
	for why, text := range map[string]string{"": "", "short": text[:52], "long": text + "0", "no digits": strings.Repeat("z", TokenSize), "kind": s.Sign(Unsubscribe, r), "key": signer(t, 2).Sign(ReturnPath, r)} {
		if got, err := s.Read(ReturnPath, text, accepted, time.Hour); !errors.Is(err, ErrForged) || !got.ID.IsZero() || got.For(smtp.Address{}) || got.Of("") {
			t.Errorf("%s: %+v, %v", why, got, err)
		}
	}
}

// A token lives for as long as its reader says.
func TestExpired(t *testing.T) {
	s, r := signer(t, 1), reference()
	for after, want := range map[time.Duration]error{-time.Hour: nil, 0: nil, 24 * time.Hour: nil, 24*time.Hour + 1: ErrExpired} {
		got, err := s.Read(ReturnPath, s.Sign(ReturnPath, r), accepted.Add(after), 24*time.Hour)
		if !errors.Is(err, want) || got.ID != r.ID {
			t.Errorf("token after %v: %v", after, err)
		}
		ref, err := s.Open(Header, s.Seal(Header, r), accepted.Add(after), 24*time.Hour)
		if !errors.Is(err, want) || ref != r {
			t.Errorf("sealed after %v: %v", after, err)
		}
	}
}

// The newest key signs, older ones verify what they signed.
func TestRotation(t *testing.T) {
	r := reference()
	old, now := signer(t, 1), signer(t, 2, 1)
	for _, s := range []*Signer{old, now} {
		token, err := now.Read(ReturnPath, s.Sign(ReturnPath, r), accepted, time.Hour)
		if err != nil || !token.For(r.Recipient) {
			t.Errorf("token: %v", err)
		}
		if got, err := now.Open(Header, s.Seal(Header, r), accepted, time.Hour); err != nil || got != r {
			t.Errorf("sealed: %v", err)
		}
	}
	if _, err := old.Read(ReturnPath, now.Sign(ReturnPath, r), accepted, time.Hour); !errors.Is(err, ErrForged) {
		t.Error("it was not the newest key that signed")
	}
}

func TestSeal(t *testing.T) {
	s, r := signer(t, 1), reference()
	text := s.Seal(Unsubscribe, r)
	if strings.ContainsFunc(text, func(c rune) bool {
		return !strings.ContainsRune("-_", c) && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z')
	}) {
		t.Errorf("%q does not belong into a URL", text)
	}
	if text != s.Seal(Unsubscribe, r) {
		t.Error("sealed twice, it differs")
	}
	if got, err := s.Open(Unsubscribe, text, accepted, time.Hour); err != nil || got != r {
		t.Errorf("%+v, %v", got, err)
	}
	for i := range text {
		changed := []byte(text)
		if changed[i]++; changed[i] == 'z'+1 || changed[i] == 'Z'+1 || changed[i] == '9'+1 {
			changed[i] = 'A'
		}
		if _, err := s.Open(Unsubscribe, string(changed), accepted, time.Hour); !errors.Is(err, ErrForged) {
			t.Fatalf("character %d changed: %v", i, err)
		}
	}
	for why, text := range map[string]string{"": "", "short": text[:20], "long": strings.Repeat("A", maxSealed+1), "kind": s.Seal(Header, r), "key": signer(t, 2).Seal(Unsubscribe, r)} {
		if got, err := s.Open(Unsubscribe, text, accepted, time.Hour); !errors.Is(err, ErrForged) || got != (Reference{}) {
			t.Errorf("%s: %+v, %v", why, got, err)
		}
	}
}

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "returns-keys")
	first, err := LoadKeys(path, bytes.NewReader(bytes.Repeat([]byte{7}, KeySize)))
	if err != nil || len(first) != 1 || !bytes.Equal(first[0], bytes.Repeat([]byte{7}, KeySize)) {
		t.Fatalf("%x, %v", first, err)
	}
	if i, err := os.Stat(path); err != nil || i.Mode() != 0o600 {
		t.Errorf("%v, %v", i, err)
	}
	if again, err := LoadKeys(path, nil); err != nil || !bytes.Equal(again[0], first[0]) {
		t.Errorf("read again: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	two := "\n" + strings.Repeat("0a", KeySize) + "  \n" + string(text)
	if err := os.WriteFile(path, []byte(two), 0o600); err != nil {
		t.Fatal(err)
	}
	if keys, err := LoadKeys(path, nil); err != nil || len(keys) != 2 || keys[0][0] != 10 || keys[1][0] != 7 {
		t.Errorf("%x, %v", keys, err)
	}
	for text, want := range map[string]string{
		"# none\n": "no key", "x\n": "line 1", "\n00\n": "line 2",
		strings.Repeat(strings.Repeat("0a", KeySize)+"\n", MaxKeys+1): "more than 8",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKeys(path, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: %v, want %q in it", text, err, want)
		}
	}
	if _, err := LoadKeys(filepath.Join(path, "no", "such"), strings.NewReader("")); err == nil {
		t.Error("a key out of nowhere")
	}
}

// What is not ours is not read, and never more than one text is a token.
func FuzzRead(f *testing.F) {
	s, r := signer(f, 1, 2), reference()
	f.Add(s.Sign(ReturnPath, r))
	f.Add(strings.ToUpper(s.Sign(Unsubscribe, r)))
	f.Add(s.Seal(Header, r))
	f.Add(signer(f, 2).Seal(Header, Reference{}))
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []Kind{ReturnPath, Unsubscribe, Header} {
			if token, err := s.Read(kind, text, accepted, time.Hour); err == nil && (token.ID != r.ID || !token.For(r.Recipient)) {
				t.Errorf("%q is a token", text)
			}
			if got, err := s.Open(kind, text, accepted, time.Hour); err == nil && got != r && got != (Reference{}) {
				t.Errorf("%q is sealed", text)
			}
		}
	})
}
