package unsubscribe

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"unicode/utf8"

	"tenma/relay/mail"
)

// style is the pages' one style sheet, in the manner of the operator's page.
const style = `:root{color-scheme:light dark;--soft:#5c5c5c;--button:#0b57d0;--on:#fff}
@media(prefers-color-scheme:dark){:root{--soft:#a8a8a8;--button:#a8c7fa;--on:#062e6f}body{color:#e6e6e6;background:#161616}}
body{font:16px/1.5 system-ui,sans-serif;margin:18vh auto 2rem;max-width:32rem;padding:0 1rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}p{margin:0 0 1.5rem}b{overflow-wrap:anywhere}small{color:var(--soft)}
button{font:inherit;font-weight:600;color:var(--on);background:var(--button);border:0;border-radius:.4rem;padding:.7rem 1.6rem;cursor:pointer}
button:focus-visible{outline:3px solid var(--soft);outline-offset:3px}`

// policy lets a page have its style and its form, and nothing else.
func policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}

// view is which page is shown.
type view string

const (
	question view = "question" // shall it be done?
	done     view = "done"
	unknown  view = "unknown" // no token of ours
	unclear  view = "unclear" // a request that says something else
	later    view = "later"   // it could not be done now
)

const pageText = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">
<title>{{if eq .View "done"}}Unsubscribed{{else}}Unsubscribe{{end}}</title><style>{{.Style}}</style></head>
<body>
<main>
{{if eq .View "question"}}<h1>Unsubscribe?</h1>
<p>Press the button, and the sender of this mailing will no longer write to <b>{{.To}}</b>.</p>
<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click"><button>Unsubscribe</button></form>
{{else if eq .View "done"}}<h1>You are unsubscribed</h1>
<p>The sender of this mailing will no longer write to <b>{{.To}}</b>. What is under way already may still arrive.</p>
<p><small>You can close this page.</small></p>
{{else if eq .View "later"}}<h1>That did not work</h1>
<p>The server cannot do it just now. Please try again in a few minutes.</p>
<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click"><button>Try again</button></form>
{{else if eq .View "unclear"}}<h1>That was not understood</h1>
<p>Please open the link in the message again.</p>
{{else}}<h1>This link leads nowhere</h1>
<p>It may have been cut off. Please open it from the message itself, or copy all of it.</p>
{{end}}</main>
</body></html>
`

// show answers with a page.
func (h *Handler) show(w http.ResponseWriter, status int, v view, counted string, ref mail.Reference) {
	h.deps.Metrics.Requests.WithLabelValues(counted).Inc()
	var out bytes.Buffer
	t, err := template.New("page").Parse(pageText)
	if err == nil {
		err = t.Execute(&out, struct {
			Style template.CSS
			View  view
			To    string
		}{template.CSS(style), v, veiled(ref)})
	}
	if err != nil { // a mistake in the page itself
		h.deps.Log.Error("a page for who unsubscribes cannot be made", "error", err)
		http.Error(w, "try again later", http.StatusInternalServerError)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", policy())
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the reader has gone if this fails
}

// veiled is an address as its owner knows it again, and as it tells somebody to
// whom the message was sent on no more than need be.
func veiled(r mail.Reference) string {
	local := r.Recipient.Local
	first, n := utf8.DecodeRuneInString(local)
	if first == utf8.RuneError {
		return "…@" + string(r.Recipient.Domain)
	}
	if n == len(local) {
		return local + "@" + string(r.Recipient.Domain)
	}
	return string(first) + "…@" + string(r.Recipient.Domain)
}
