package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"time"
)

// style is the page's one style sheet; the policy header names its hash, so
// that nothing else styles the page.
const style = `body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd;vertical-align:top}
.n{text-align:right;font-variant-numeric:tabular-nums}.wrap{overflow-x:auto}dl{display:flex;flex-wrap:wrap;gap:0 2.5rem}dd{margin:0;font-size:1.6rem;font-variant-numeric:tabular-nums}
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}th,td{border-color:#444}a{color:#8ab4f8}}`

func styleHash() string {
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// pageLanes is how many lanes the page shows, the longest first: more than a
// person reads, and a page that a browser shows at once.
const pageLanes = 200

const pageText = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>tenma: the queue</title><style>{{.Style}}</style></head>
<body>
<h1>tenma</h1>
{{with .Trouble}}<p role="alert"><strong>Not well:</strong> {{.}}</p>{{end}}
{{with .Queue}}
{{if .Rebuilding}}<p>Stored messages are still being read after a start; the numbers are rising.</p>{{end}}
<dl>
<div><dt>messages</dt><dd>{{.Messages}}</dd></div>
<div><dt>running</dt><dd>{{.Running}}</dd></div>
<div><dt>ready</dt><dd>{{.Ready}}</dd></div>
<div><dt>deferred</dt><dd>{{.Deferred}}</dd></div>
<div><dt>parked</dt><dd>{{.Parked}}</dd></div>
</dl>
{{if .Lanes}}<div class="wrap"><table>
<thead><tr><th scope="col">lane</th><th scope="col" class="n">running</th><th scope="col" class="n">ready</th><th scope="col" class="n">deferred</th><th scope="col">oldest</th><th scope="col">last reply</th></tr></thead>
<tbody>
{{range .Lanes}}<tr><th scope="row">{{.Lane}}</th><td class="n">{{.Running}}</td><td class="n">{{.Ready}}</td><td class="n">{{.Deferred}}</td><td>{{ago .Oldest}}</td><td>{{.LastReply}}</td></tr>
{{end}}</tbody></table></div>
{{with $.More}}<p>{{.}} more lanes: <code>tenma queue summary --limit 0</code></p>{{end}}{{else}}<p>No mail is waiting.</p>{{end}}
{{end}}
<p><a href="/metrics">metrics</a> · <a href="/healthz">health</a> · <a href="/readyz">readiness</a> · <a href="/api/v1/openapi.json">API</a> · <code>tenma queue --help</code></p>
<p><small>tenma {{.Version}}, {{.Now}}</small></p>
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
		Style        template.CSS
		Version, Now string
		Trouble      string
		Queue        Summary
		More         int // lanes that are not shown
	}{template.CSS(style), s.deps.Version, now.UTC().Format(time.RFC1123), "", wireSummary(sum), 0}
	if n := len(data.Queue.Lanes) - pageLanes; n > 0 {
		data.Queue.Lanes, data.More = data.Queue.Lanes[:pageLanes], n
	}
	for _, check := range []func() error{s.deps.Health, s.deps.Ready} {
		if check == nil || data.Trouble != "" {
			continue
		}
		if err := check(); err != nil {
			data.Trouble = err.Error()
		}
	}
	funcs := template.FuncMap{"ago": func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return now.Sub(*t).Round(time.Second).String() + " ago"
	}}
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
