package mailbox

import (
	"strings"
	"testing"
	"time"

	"tenma/relay/mail"
)

// Trash, junk and what POP3 fetched go when their days are over, by the settings
// of the account and not before; all else stays.
func TestJanitor(t *testing.T) {
	inScene(t, Config{TrashDays: 30, JunkDays: -1}, func(c *scene) {
		c.town.settings["ann@b.test"] = mail.Settings{JunkDays: 10, POP3Days: 5}
		c.town.settings["bob@b.test"] = mail.Settings{TrashDays: -1}
		put := func(account, folder string, n int) {
			m, err := c.Open(account)
			if err != nil {
				c.t.Fatal(err)
			}
			defer m.Close()
			for range n {
				if _, _, err := m.Append(c.t.Context(), folder, NewMessage{Size: int64(len(letter)), Body: strings.NewReader(letter), Date: time.Now().AddDate(-1, 0, 0)}); err != nil {
					c.t.Fatal(err)
				}
			}
		}
		counts := func(account string) (n [3]uint32) {
			m, err := c.Open(account)
			if err != nil {
				c.t.Fatal(err)
			}
			defer m.Close()
			for i, folder := range []string{"INBOX", "Junk", "Trash"} {
				f, err := m.Folder(folder)
				if err != nil {
					c.t.Fatal(err)
				}
				n[i] = f.Messages
			}
			return n
		}
		for _, account := range []string{"ann@b.test", "bob@b.test"} {
			put(account, "INBOX", 10)
			put(account, "Junk", 3)
			put(account, "Trash", janitorStep*2+7)
		}
		m, err := c.Open("ann@b.test")
		if err != nil {
			c.t.Fatal(err)
		}
		v, err := m.Select("INBOX", false)
		if err != nil {
			c.t.Fatal(err)
		}
		if err := v.MarkRetrieved(c.t.Context(), []int{2, 3, 4, 5}); err != nil {
			c.t.Fatal(err)
		}
		v.Close()
		m.Close()
		const all = janitorStep*2 + 7
		begun := time.Now()
		for _, s := range []struct {
			days     int
			ann, bob [3]uint32
		}{
			{4, [3]uint32{10, 3, all}, [3]uint32{10, 3, all}},
			{6, [3]uint32{6, 3, all}, [3]uint32{10, 3, all}},
			{11, [3]uint32{6, 0, all}, [3]uint32{10, 3, all}},
			{29, [3]uint32{6, 0, all}, [3]uint32{10, 3, all}},
			{31, [3]uint32{6, 0, 0}, [3]uint32{10, 3, all}},
		} {
			time.Sleep(time.Until(begun.AddDate(0, 0, s.days)))
			if got := counts("ann@b.test"); got != s.ann {
				c.t.Errorf("after %d days ann has %v, want %v", s.days, got, s.ann)
			}
			if got := counts("bob@b.test"); got != s.bob {
				c.t.Errorf("after %d days bob has %v, want %v", s.days, got, s.bob)
			}
		}
		// What comes late stays its own time.
		put("ann@b.test", "Trash", 2)
		time.Sleep(29 * day)
		put("ann@b.test", "Trash", 1)
		time.Sleep(2 * day)
		if got := counts("ann@b.test"); got[2] != 1 {
			c.t.Errorf("%v", got)
		}
	})
}

func TestOldNotesGo(t *testing.T) {
	inScene(t, Config{}, func(c *scene) {
		for _, key := range []string{"a", "b"} {
			if err := c.SetNote(c.t.Context(), "ann@b.test", key, time.Now()); err != nil {
				c.t.Fatal(err)
			}
			time.Sleep(4 * day)
		}
		if at, err := c.Note("ann@b.test", "a"); err != nil || !at.IsZero() {
			c.t.Error(at, err)
		}
		if at, err := c.Note("ann@b.test", "b"); err != nil || time.Since(at) != 4*day {
			c.t.Error(at, err)
		}
	})
}
