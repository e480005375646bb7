package search

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tenma/relay/mailbox"
)

func large(n int) *memory {
	v := &memory{}
	for i := range n {
		v.add(fmt.Sprintf("From: Person %d <person%d@example.test>\nTo: someone@example.test\nSubject: Message number %d about things\nMessage-ID: <%d@example.test>\nDate: 1 May 2024 10:00:00 +0200\n\n", i, i%1000, i, i) +
			strings.Repeat("A line of text as people write them, of the usual length.\n", 20))
		if i%3 == 0 {
			v.list[i].Flags = mailbox.Seen
		}
	}
	return v
}

func benchmark(b *testing.B, n int, args string) {
	v := large(n)
	c, err := Parse(args)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Query.Run(context.Background(), v, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkFlags(b *testing.B)  { benchmark(b, 100_000, "UNSEEN UNDELETED UID 1:150000") }
func BenchmarkSender(b *testing.B) { benchmark(b, 100_000, "FROM person77@") }
func BenchmarkHeader(b *testing.B) { benchmark(b, 10_000, "HEADER List-Id a") }
func BenchmarkText(b *testing.B)   { benchmark(b, 10_000, "TEXT nowhere") }

func BenchmarkLargeText(b *testing.B) {
	v := &memory{}
	v.add("Content-Type: text/plain; charset=utf-8\n\n" + strings.Repeat("A line of text as people write them, äöü, of the usual length.\n", 200_000))
	c, _ := Parse("BODY nowhere")
	b.SetBytes(v.list[0].Size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Query.Run(context.Background(), v, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSort(b *testing.B) {
	v := large(100_000)
	c, _ := ParseSort("(SUBJECT REVERSE DATE) UTF-8 ALL")
	b.ReportAllocs()
	for b.Loop() {
		found, _ := c.Query.Run(context.Background(), v, nil)
		if _, err := Sort(context.Background(), v, found, c.Sort); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkThreads(b *testing.B) {
	v := large(100_000)
	c, _ := ParseThread("REFERENCES UTF-8 ALL")
	for b.Loop() {
		found, _ := c.Query.Run(context.Background(), v, nil)
		if _, err := Threads(context.Background(), v, found, c.Thread); err != nil {
			b.Fatal(err)
		}
	}
}
