package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

// style is the page's one style sheet; the policy header names its hash, so
// that nothing else styles the page. On a narrow screen a lane is a block of its
// own, since a table with eight columns would hide the reply behind the edge.
const style = `:root{color-scheme:light dark;--soft:#5c5c5c;--line:#ddd;--alarm:#a40000;--ground:#fdecea}
@media(prefers-color-scheme:dark){:root{--soft:#a8a8a8;--line:#3c3c3c;--alarm:#ff9d94;--ground:#3a1613}body{color:#e6e6e6;background:#161616}a{color:#8ab4f8}}
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}
h1{margin:0}h2{font-size:1.2rem;margin:2rem 0 .5rem}h1+p,small,caption,.none{color:var(--soft)}h1+p{margin:0}
[role=alert]{color:var(--alarm);background:var(--ground);padding:.6rem 1rem;border-radius:.3rem}
dl{display:flex;flex-wrap:wrap;gap:.5rem 2.5rem;margin:1.2rem 0}dt{color:var(--soft);font-size:.9rem}dd{margin:0;font-size:1.7rem;line-height:1.2;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%}caption{text-align:left;padding-bottom:.4rem}th,td{text-align:left;padding:.35rem 1.2rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{font-size:.9rem;font-weight:normal;color:var(--soft);white-space:nowrap}th[scope=row]{font-weight:600;overflow-wrap:anywhere;min-width:10rem}td{white-space:nowrap}td:last-child{white-space:normal;overflow-wrap:anywhere;padding-right:0;width:45%}
.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.9em}
@media(max-width:46rem){thead{display:none}table,tbody,tr,th,td,caption{display:block;border:0;padding:0}tr{border-bottom:1px solid var(--line);padding:.5rem 0}
td{display:inline-block;margin-right:1rem}td:empty{display:none}td::before{content:attr(data-l) " ";color:var(--soft)}td:last-child{display:block;width:auto}.n{text-align:left}}`

func styleHash() string {
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// pageLanes is how many lanes the page shows, the longest first: more than a
// person reads, and a page that a browser shows at once.
const pageLanes = 200

const pageText = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>tenma: the queue</title><style>{{.Style}}</style></head>
<body>
<h1>tenma</h1>
<p>The queue at {{.Now}}. <a href="/">Look again</a></p>
{{with .Trouble}}<p role="alert"><strong>Not well:</strong> {{.}}</p>{{end}}
{{with .Queue}}
{{if .Rebuilding}}<p>Stored messages are still being read after a start; the numbers are rising.</p>{{end}}
<dl>
<div><dt>messages</dt><dd>{{.Messages}}</dd></div>
<div><dt>running</dt><dd>{{.Running}}</dd></div>
<div><dt>ready</dt><dd>{{.Ready}}</dd></div>
<div><dt>deferred</dt><dd>{{.Deferred}}</dd></div>
<div><dt>parked</dt><dd>{{.Parked}}</dd></div>
{{if .Resting}}<div><dt>lanes at rest</dt><dd>{{.Resting}}</dd></div>{{end}}
</dl>
{{if .Resting}}<h2>Cannot be reached</h2>
<table>
<caption>These lanes rest: their mail waits while one message at a time is tried. <code>tenma queue retry --all</code> tries now.</caption>
<thead><tr><th scope="col">lane</th><th scope="col" class="n">waiting</th><th scope="col">rests for</th><th scope="col">next try</th><th scope="col">last reply</th></tr></thead>
<tbody>
{{range $.Rest}}<tr><th scope="row">{{.Lane}}</th><td class="n" data-l="waiting">{{.Waiting}}</td><td data-l="rests for">{{ago .RestsFrom}}</td><td data-l="next try">{{in .NextProbe}}</td><td>{{.LastReply}}</td></tr>
{{end}}</tbody></table>
{{with $.MoreRest}}<p>{{.}} more: <code>tenma queue summary --resting --limit 0</code></p>{{end}}
{{end}}
{{if .Lanes}}<h2>All lanes</h2>
<table>
<thead><tr><th scope="col">lane</th><th scope="col" class="n">running</th><th scope="col" class="n">ready</th><th scope="col" class="n">deferred</th><th scope="col">oldest</th><th scope="col">last reply</th></tr></thead>
<tbody>
{{range .Lanes}}<tr><th scope="row">{{.Lane}}</th><td class="n" data-l="running">{{.Running}}</td><td class="n" data-l="ready">{{.Ready}}</td><td class="n" data-l="deferred">{{.Deferred}}</td><td data-l="oldest">{{ago .Oldest}}</td><td>{{.LastReply}}</td></tr>
{{end}}</tbody></table>
{{with $.More}}<p>{{.}} more lanes: <code>tenma queue summary --limit 0</code></p>{{end}}{{else}}<p class="none">No mail is waiting.</p>{{end}}
{{end}}
<p><a href="/metrics">metrics</a> · <a href="/healthz">health</a> · <a href="/readyz">readiness</a> · <a href="/api/v1/openapi.json">API</a> · <code>tenma queue --help</code></p>
<p><small>tenma {{.Version}}</small></p>
</body></html>
`

// page shows the queue as HTML, without a script.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	sum, err := s.deps.Queue.Summary(r.Context())
	if err != nil {
		problem(w, r, &Problem{Status: http.StatusServiceUnavailable, Detail: "the queue does not answer: " + err.Error()})
		return
	}
	data := struct {
		Style          template.CSS
		Version, Now   string
		Trouble        string
		Queue          Summary
		Rest           []Lane // those that rest
		More, MoreRest int    // lanes that are not shown
	}{Style: template.CSS(style), Version: s.deps.Version, Now: now.UTC().Format("15:04:05 MST, 2 January 2006"), Queue: wireSummary(sum)}
	data.Rest, data.MoreRest = firstLanes(data.Queue.AtRest())
	data.Queue.Lanes, data.More = firstLanes(data.Queue.Lanes)
	for _, check := range []func() error{s.deps.Health, s.deps.Ready} {
		if check == nil || data.Trouble != "" {
			continue
		}
		if err := check(); err != nil {
			data.Trouble = err.Error()
		}
	}
	funcs := template.FuncMap{
		"ago": func(t *time.Time) string {
			if t == nil {
				return ""
			}
			return Span(now.Sub(*t))
		},
		"in": func(t *time.Time) string {
			if t == nil || !now.Before(*t) {
				return "now"
			}
			return "in " + Span(t.Sub(now))
		},
	}
	var out bytes.Buffer
	t, err := template.New("page").Funcs(funcs).Parse(pageText)
	if err == nil {
		err = t.Execute(&out, data)
	}
	if err != nil {
		problem(w, r, &Problem{Status: http.StatusInternalServerError, Detail: err.Error()})
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // the reader has gone if this fails
}

// firstLanes gives those that the page shows, and how many it does not.
func firstLanes(all []Lane) (shown []Lane, more int) {
	n := min(pageLanes, len(all))
	return all[:n], len(all) - n
}

// Span is a duration in its two largest units, as people read it: "3d4h",
// "5m10s".
func Span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	switch day := 24 * time.Hour; {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
