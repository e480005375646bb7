package admin

import (
	"context"
	"net/http"
	"slices"

	"tenma/relay/queue"
)

// call is one call of the API. Routes and OpenAPI document are made of these.
type call struct {
	method, path string
	summary      string
	query        []parameter // in the URL
	body         any         // zero value of the request's JSON; nil: none
	answer       any         // zero value of the answer's JSON
	notFound     bool        // may answer 404
	serve        func(s *Server, r *http.Request) (any, error)
}

type parameter struct{ name, kind, doc string }

func calls() []call {
	verb := func(name, summary string, act func(Queue) func(context.Context, queue.Filter) (int, error)) call {
		return call{
			method: http.MethodPost, path: "/api/v1/queue/" + name, summary: summary, body: Selection{}, answer: Touched{},
			serve: func(s *Server, r *http.Request) (any, error) { return s.verb(r, name, act(s.deps.Queue)) },
		}
	}
	return append(slices.Concat(mailboxCalls(), explainCalls(), suppressionCalls()), []call{
		{
			method: http.MethodGet, path: "/api/v1/queue", summary: "List queued messages, oldest first", query: listParameters(), answer: Page{},
			serve: (*Server).list,
		},
		{
			method: http.MethodGet, path: "/api/v1/queue/summary", summary: "The queue at a glance, lane by lane", answer: Summary{},
			serve: func(s *Server, r *http.Request) (any, error) {
				sum, err := s.deps.Queue.Summary(r.Context())
				return wireSummary(sum), err
			},
		},
		{
			method: http.MethodGet, path: "/api/v1/queue/{id}", summary: "One queued message", answer: Message{}, notFound: true,
			serve: (*Server).show,
		},
		verb("retry", "Try messages now, and every lane that rests", func(q Queue) func(context.Context, queue.Filter) (int, error) { return q.Retry }),
		verb("delete", "Remove messages without telling their senders", func(q Queue) func(context.Context, queue.Filter) (int, error) { return q.Delete }),
		verb("hold", "Keep messages and do not try them", func(q Queue) func(context.Context, queue.Filter) (int, error) { return q.Hold }),
		verb("release", "Let held messages go on", func(q Queue) func(context.Context, queue.Filter) (int, error) { return q.Release }),
	}...)
}

func (s *Server) list(r *http.Request) (any, error) {
	f, err := listFilter(r.URL.Query())
	if err != nil {
		return nil, err
	}
	found, err := s.deps.Queue.List(r.Context(), f)
	if err != nil {
		return nil, err
	}
	page := Page{Messages: []Message{}}
	for _, m := range found {
		page.Messages = append(page.Messages, wireMessage(m))
	}
	if len(found) == f.Limit {
		page.Next = found[len(found)-1].ID.String()
	}
	return page, nil
}

func (s *Server) show(r *http.Request) (any, error) {
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	m, err := s.deps.Queue.Show(r.Context(), id)
	if err != nil {
		return nil, err
	}
	return wireMessage(m), nil
}

func (s *Server) verb(r *http.Request, name string, act func(context.Context, queue.Filter) (int, error)) (any, error) {
	var sel Selection
	if err := readJSON(r, &sel); err != nil {
		return nil, err
	}
	f, err := sel.filter()
	if err != nil {
		return nil, err
	}
	n, err := act(r.Context(), f)
	if n > 0 || err == nil { // who did what to whose mail; a failure is logged as one besides
		s.deps.Log.Info("queue "+name+" by operator", "messages", n, "selection", sel.String(), "client", r.RemoteAddr)
	}
	return Touched{n}, err
}
