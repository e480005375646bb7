package relay

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/wire/smtp"
	"tenma/spool"
	"tenma/spool/pebblespool"
)

type kept struct{ events []*mail.Event }

func (k *kept) Record(e *mail.Event) { k.events = append(k.events, e) }

type counting struct{ n byte }

func (c *counting) Read(b []byte) (int, error) {
	for i := range b {
		c.n++
		b[i] = c.n
	}
	return len(b), nil
}

type written struct {
	text string
	err  error
}

func (w written) WriteTo(to io.Writer) (int64, error) {
	n, err := io.Copy(to, strings.NewReader(w.text))
	return n, errors.Join(err, w.err)
}

// What is sent is an entry that waits in the queue, once for each key, across
// a restart.
func TestOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		large := "Subject: x\r\n\r\n" + strings.Repeat("ü\r\n", spool.MaxInline)
		for round := range 2 {
			engine, err := pebblespool.Open(pebblespool.Options{Dir: "/spool", FS: fs, FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 40, nil }, MemTable: 16 << 20})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- engine.Run(ctx) }()
			log := &kept{}
			o := &outbox{spool: engine, record: log, random: &counting{n: byte(round)}}
			for _, key := range []string{"one", "one", "two"} {
				e := &mail.Envelope{
					Sender: smtp.Address{Local: "a", Domain: "a.test"}, Recipients: []mail.Recipient{{Address: smtp.Address{Local: "b", Domain: "b.test"}}},
					Prefix: []byte("Delivered-To: c@c.test\r\n"),
				}
				text := "Subject: x\r\n\r\n"
				if key == "two" {
					text = large
				}
				if err := o.Send(ctx, key, e, written{text: text}); err != nil {
					t.Fatal(err)
				}
			}
			if err := o.Send(ctx, "three", &mail.Envelope{}, written{large, io.ErrUnexpectedEOF}); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("half a body: %v", err)
			}
			if want := []int{2, 0}[round]; len(log.events) != want {
				t.Errorf("round %d: %d receptions", round, len(log.events))
			}
			var sizes []int64
			if err := engine.Scan(ctx, spool.ID{}, func(e spool.Entry) bool {
				env, err := stored.DecodeEnvelope(e.Envelope)
				if err != nil || env.Size != e.BodySize+int64(len(env.Prefix)) || env.Received.IsZero() || env.EightBit != (e.BodySize > spool.MaxInline) {
					t.Errorf("%+v, %v", env, err)
				}
				sizes = append(sizes, e.BodySize)
				return true
			}); err != nil {
				t.Fatal(err)
			}
			if len(sizes) != 2 || sizes[0]+sizes[1] != int64(14+len(large)) {
				t.Errorf("round %d: bodies of %d octets", round, sizes)
			}
			stop()
			if err := errors.Join(<-ended, engine.Close()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
