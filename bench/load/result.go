package load

import "time"

// Quantiles of a latency, in milliseconds.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Machine is where a result was measured.
type Machine struct {
	CPU      string  `json:"cpu"`
	Cores    int     `json:"cores"` // that the processes may use
	MemoryGB float64 `json:"memory_gb"`
	Kernel   string  `json:"kernel"`
	System   string  `json:"system"`
	Disk     string  `json:"disk"` // file system and device of the spool
}

// Point is one second of a run.
type Point struct {
	Second    float64 `json:"s"` // since the first message was due
	Sent      int64   `json:"sent"`
	Accepted  int64   `json:"accepted"`
	Delivered int64   `json:"delivered"`
	AckP99    float64 `json:"ack_p99"`    // ms, of the messages accepted in this second
	CPU       float64 `json:"cpu"`        // seconds that the mail server used in this second
	RSS       int64   `json:"rss_bytes"`  // of all its processes
	Backlog   int64   `json:"backlog"`    // accepted and not arrived
	Disk      int64   `json:"disk_bytes"` // written to the device in this second, by all
}

// Result is one run of one scenario against one mail server: a line of the
// raw data. Zero in a field that does not apply.
type Result struct {
	Scenario string    `json:"scenario"`
	MTA      string    `json:"mta"`     // driver's name, with its variant: tenma, tenma-nosync, postfix
	Version  string    `json:"version"` // as the server tells it
	Settings string    `json:"settings,omitempty"`
	Run      string    `json:"run"`
	Round    int       `json:"round"` // from 1
	Started  time.Time `json:"started"`
	Machine  Machine   `json:"machine"`

	Sessions   int    `json:"sessions"`
	PerSession int    `json:"per_session"`
	Size       string `json:"size"` // octets, or the mix
	Domains    int    `json:"domains"`

	Accepted    int64 `json:"accepted"`
	Delivered   int64 `json:"delivered"` // unique
	Lost        int64 `json:"lost"`      // accepted and not delivered when waiting ended
	Duplicates  int64 `json:"duplicates"`
	Unanswered  int64 `json:"unanswered"` // delivered though never accepted: the answer was lost
	SoftErrors  int64 `json:"soft_errors"`
	HardErrors  int64 `json:"hard_errors"`
	ConnErrors  int64 `json:"conn_errors"`
	SinkRefused int64 `json:"sink_refused"` // recipients that the sink's manners refused
	SinkConns   int64 `json:"sink_conns"`
	SinkPeak    int64 `json:"sink_peak_conns"`
	Signatures  int64 `json:"signatures"` // DKIM-Signature fields that arrived

	AcceptSeconds  float64 `json:"accept_seconds"`  // first message due to last 250
	DeliverSeconds float64 `json:"deliver_seconds"` // first message due to last arrival
	AcceptRate     float64 `json:"accept_rate"`     // per second
	DeliverRate    float64 `json:"deliver_rate"`
	Deliver95Rate  float64 `json:"deliver95_rate"` // up to 95 % arrived: without stragglers

	Ack     Quantiles `json:"ack"`     // final dot (in an open loop: when the message was due) to 250
	Transit Quantiles `json:"transit"` // 250 to arrival

	CPUUser    float64 `json:"cpu_user"` // seconds, all of the server's processes
	CPUSystem  float64 `json:"cpu_system"`
	CPUPer1000 float64 `json:"cpu_per_1000"`
	PeakRSS    int64   `json:"peak_rss_bytes"`
	PeakPSS    int64   `json:"peak_pss_bytes"`
	DiskBytes  float64 `json:"disk_bytes_per_message"` // the whole device's
	Flushes    float64 `json:"flushes_per_message"`
	SpoolBytes float64 `json:"spool_bytes_per_message"`                   // on disk, with a backlog
	Written    float64 `json:"spool_written_bytes_per_message,omitempty"` // to the spool's files, as the server itself counts it
	Restart    float64 `json:"restart_seconds"`                           // start to the greeting, with a backlog

	FirstError string             `json:"first_error,omitempty"`
	Problem    string             `json:"problem,omitempty"` // why there are no figures: the server cannot do this, or failed
	Extra      map[string]float64 `json:"extra,omitempty"`
	Series     []Point            `json:"series,omitempty"`
}
