package pool

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// No more than Max run at a time, all run in the end, in order for one worker.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pool{Max: 3}
		gate := make(chan struct{})
		var running, done atomic.Int64
		for range 5000 {
			p.Do(func() {
				running.Add(1)
				<-gate
				running.Add(-1)
				done.Add(1)
			})
		}
		synctest.Wait()
		if running.Load() != 3 {
			t.Errorf("%d run", running.Load())
		}
		close(gate)
		p.Wait()
		if done.Load() != 5000 || p.n != 0 {
			t.Errorf("%d done", done.Load())
		}
		var order []int
		p.Max = 1
		for i := range 3000 {
			p.Do(func() { order = append(order, i) })
		}
		p.Wait()
		for i, v := range order {
			if i != v {
				t.Fatalf("task %d ran at %d", v, i)
			}
		}
	})
}

// Whoever is urgent waits for nobody who is less so, except for what runs.
func TestClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pool{Max: 1}
		gate := make(chan struct{})
		p.Do(func() { <-gate })
		var order []int
		for i := range 9 {
			class := Classes - 1 - i%Classes
			p.DoFor(class, func() { order = append(order, 10*class+i/Classes) })
		}
		close(gate)
		p.Wait()
		if want := []int{0, 1, 2, 10, 11, 12, 20, 21, 22}; !slices.Equal(order, want) {
			t.Errorf("%v, not %v", order, want)
		}
	})
}

// The next task is for the goroutine that was busy last; of many that become
// idle some stay, and after Wait none.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pool{}
		gate := make(chan struct{})
		for range 3 * keep {
			p.Do(func() { <-gate })
		}
		close(gate)
		synctest.Wait()
		if len(p.idle) != keep || p.n != 0 {
			t.Errorf("%d idle, %d busy", len(p.idle), p.n)
		}
		last := p.idle[keep-1]
		p.Do(func() {})
		synctest.Wait()
		if len(p.idle) != keep || p.idle[keep-1] != last {
			t.Errorf("%d idle, or another goroutine had the task", len(p.idle))
		}
		p.Wait()
		if len(p.idle) != 0 {
			t.Errorf("%d idle after the end", len(p.idle))
		}
	})
}
