package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a server tells of itself.
const (
	maxFigures  = 4 << 20 // octets
	figuresTime = 10 * time.Second
)

// Figures are what the server counts itself, by the names of its metrics, where
// its driver says where they are (METRICS); else none. Of a metric with labels it
// is the sum. They are those of the process that answers: a counter begins anew
// with each start.
func (s *Server) Figures(ctx context.Context) (map[string]float64, error) {
	if s.metrics == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, figuresTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.metrics, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking %s for its metrics: %w", s.driver.Name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking %s for its metrics: %s", s.driver.Name, resp.Status)
	}
	return parseFigures(io.LimitReader(resp.Body, maxFigures))
}

// parseFigures reads metrics in Prometheus' text format: a name, labels, a value
// on each line. What is none of that, and what is no finite number, is passed over.
func parseFigures(r io.Reader) (map[string]float64, error) {
	all := map[string]float64{}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxFigures)
	for sc.Scan() {
		line := sc.Text()
		end := strings.IndexAny(line, "{ ")
		if end < 1 || line[0] == '#' {
			continue
		}
		name, rest := line[:end], line[end:]
		if i := strings.LastIndexByte(rest, '}'); i >= 0 {
			rest = rest[i+1:]
		}
		f := strings.Fields(rest)
		if len(f) == 0 {
			continue
		}
		if v, err := strconv.ParseFloat(f[0], 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			all[name] += v
		}
	}
	return all, sc.Err()
}
