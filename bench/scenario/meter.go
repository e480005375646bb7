package scenario

import (
	"context"
	"sync"
	"time"

	"tenma/bench/load"
	"tenma/bench/peer"
)

// sampleEvery is how often the server's processes are looked at. Reading the
// memory of 300 processes takes some milliseconds of CPU, which it takes from
// what is measured.
const sampleEvery = time.Second

// sample is what was used until a moment.
type sample struct {
	at    time.Time
	usage peer.Usage
	disk  diskCount
}

// meter follows one server during one run.
type meter struct {
	server Server
	disk   disk
	stop   context.CancelFunc
	done   sync.WaitGroup

	before map[string]float64 // the server's own figures at the start

	mu      sync.Mutex
	samples []sample
}

// writtenFigure is a server's own count of the octets it wrote to its spool's
// files, as tenma has it.
const writtenFigure = "tenma_spool_written_bytes_total"

// figures are the server's own, nil where it has none or they cannot be had.
func figures(ctx context.Context, s Server) map[string]float64 {
	all, err := s.Figures(ctx)
	if err != nil {
		return nil
	}
	return all
}

// written is what the server wrote to its spool since the meter was started, by
// its own count. It must not have been started anew meanwhile.
func (m *meter) written(ctx context.Context) (octets float64, ok bool) {
	first, known := m.before[writtenFigure]
	last, still := figures(ctx, m.server)[writtenFigure]
	return last - first, known && still && last >= first
}

// watch begins to sample, until end.
func watch(ctx context.Context, s Server, d disk) *meter {
	m := &meter{server: s, disk: d, before: figures(ctx, s)}
	ctx, m.stop = context.WithCancel(ctx)
	m.take()
	m.done.Go(func() {
		t := time.NewTicker(sampleEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				m.take()
			}
		}
	})
	return m
}

// take notes a sample; one that cannot be had is left out.
func (m *meter) take() {
	u, err := m.server.Usage()
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.samples = append(m.samples, sample{time.Now(), u, m.disk.count()})
}

// end takes the last sample and gives all.
func (m *meter) end() []sample {
	m.stop()
	m.done.Wait()
	m.take()
	return m.samples
}

// account puts what the server used into a result; messages is what it did
// meanwhile.
func account(r *load.Result, samples []sample, messages int64) {
	if len(samples) < 2 {
		return
	}
	first, last := samples[0], samples[len(samples)-1]
	r.CPUUser = (last.usage.User - first.usage.User).Seconds()
	r.CPUSystem = (last.usage.System - first.usage.System).Seconds()
	var processes int
	for _, s := range samples {
		r.PeakRSS = max(r.PeakRSS, s.usage.RSS)
		r.PeakPSS = max(r.PeakPSS, s.usage.PSS)
		processes = max(processes, s.usage.Processes)
	}
	extra(r, "peak_processes", float64(processes))
	if messages > 0 {
		n := float64(messages)
		r.CPUPer1000 = (r.CPUUser + r.CPUSystem) / n * 1000
		r.DiskBytes = float64(last.disk.written-first.disk.written) / n
		r.Flushes = float64(last.disk.flushes-first.disk.flushes) / n
	}
	series(r, samples)
}

// series adds the samples to the seconds of the source's series in which they
// were taken.
func series(r *load.Result, samples []sample) {
	for i := range r.Series {
		p := &r.Series[i]
		end := r.Started.Add(time.Duration(p.Second * float64(time.Second)))
		for k := 1; k < len(samples); k++ {
			if s := samples[k]; !s.at.Before(end) { // the first one after the second's end
				before := samples[k-1]
				if gap := s.at.Sub(before.at).Seconds(); gap > 0 {
					p.CPU = (s.usage.User + s.usage.System - before.usage.User - before.usage.System).Seconds() / gap
					p.Disk = int64(float64(s.disk.written-before.disk.written) / gap)
				}
				p.RSS = s.usage.RSS
				break
			}
		}
	}
}

// extra notes a figure that only some scenarios have.
func extra(r *load.Result, key string, v float64) {
	if r.Extra == nil {
		r.Extra = map[string]float64{}
	}
	r.Extra[key] = v
}
