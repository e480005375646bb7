package intake

import (
	"strings"
	"testing"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/spool"
)

// What an author submits goes on without its blind copies, whatever its size
// and however it arrives; all else of it stays as it is.
func TestBlindCopiesGo(t *testing.T) {
	const with = "From: a@a.test\r\nBCC : eve@secret.test,\r\n\t\xfe\xff zoe@secret.test\r\nSubject: x\r\nresent-bcc:\r\nBcc2: stays\r\n"
	const without = "From: a@a.test\r\nSubject: x\r\nBcc2: stays\r\n"
	for _, size := range []int{1, 7, 4096, 1 << 20} {
		for _, body := range []string{"", "\r\nBcc: in the body\r\n", "\r\n" + strings.Repeat("x", scratchSizes[1]), "\r\n" + strings.Repeat("x", 2*spool.MaxInline), "\r\nü"} {
			if size < 4096 && len(body) > 1<<17 {
				continue
			}
			for _, by := range []mail.Envelope{{Submission: true}, {Submission: true, Account: "a@a.test"}, {Origin: mail.FromHTTP}, {Account: "a@a.test"}, {}} {
				s, f, _ := rig(Config{Sender: SenderAny, SubmissionSender: SenderAny})
				e := envelope()
				e.Submission, e.Origin, e.Account = by.Submission, by.Origin, by.Account
				if _, err := s.Accept(t.Context(), e, pieces{text: with + body, size: size}); err != nil {
					t.Fatal(err)
				}
				got := string(f.drafts[0].Body)
				if f.drafts[0].Staged != nil {
					got = f.stages[0].String()
				}
				want, eight := with+body, true
				if by.Submission || by.Origin == mail.FromHTTP {
					want, eight = without+body, strings.Contains(body, "ü")
				}
				if got != want {
					t.Fatalf("parts of %d, %+v: %.200q", size, by, got)
				}
				if e.EightBit != eight || e.Size != int64(len(e.Prefix)+len(want)) {
					t.Errorf("eight-bit %v, size %d of %d+%d", e.EightBit, e.Size, len(e.Prefix), len(want))
				}
			}
		}
	}
}

// A submission without Date and Message-ID gets them even without a login.
func TestSubmissionIsCompleted(t *testing.T) {
	s, _, _ := rig(Config{})
	e := envelope()
	e.Submission = true
	accept(t, s, e, "Subject: x\r\n\r\n")
	if p := string(e.Prefix); !strings.Contains(p, "\r\nDate: ") || !strings.Contains(p, "\r\nMessage-ID: "+e.MsgID+"\r\n") {
		t.Errorf("prefix %q", p)
	}
}

func FuzzDrop(f *testing.F) {
	f.Add([]byte("Bcc: a\r\n b\r\nTo: c\r\n\r\nBcc: x"))
	f.Add([]byte("To: c\nbcc:"))
	f.Add([]byte("\r\nBcc: x"))
	f.Add([]byte(" Bcc: x\r\nBcc\t: y\r\n\tz\r\nB: Bcc: z"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		end, _, ok := header.End(msg, 0)
		if !ok {
			end = len(msg)
		}
		want := string(header.Section(msg[:end]).Without("Bcc").Without("Resent-Bcc"))
		tail := string(msg[end:])
		r := reception{server: &Server{}, e: &mail.Envelope{Submission: true}, buf: append([]byte{}, msg...)}
		section := r.drop(end)
		got := r.buf
		if string(got) != want+tail || section != len(want) {
			t.Errorf("%q became %q, section %d", msg, got, section)
		}
	})
}
