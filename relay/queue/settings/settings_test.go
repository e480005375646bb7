package settings

import (
	"testing"
	"time"
)

func TestComplete(t *testing.T) {
	s := Config{Jitter: 3, LaneConnections: -1}.Complete()
	if s.Jitter != 0.5 || s.LaneConnections != 10 || s.RestAfter != 100 || s.Rules.Jitter != s.Jitter || s.Rules.Expire != 5*24*time.Hour || len(s.Rules.Retry) == 0 {
		t.Errorf("%+v", s)
	}
	if s := (Config{Jitter: -1}).Complete(); s.Jitter != 0 {
		t.Errorf("jitter %v where none was wanted", s.Jitter)
	}
	if s := (Config{LaneReady: 7, Retry: []time.Duration{time.Second}}).Complete(); s.LaneReady != 7 || s.Rules.Retry[0] != time.Second {
		t.Errorf("%+v", s)
	}
}

// RFC 5321 section 4.5.4.1: at least two attempts in the first hour.
func TestDefaultRetry(t *testing.T) {
	retry := DefaultRetry()
	if retry[0]+retry[1] > time.Hour {
		t.Errorf("%v", retry)
	}
}
