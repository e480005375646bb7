package queue

import "tenma/relay/queue/view"

// The queue as an operator sees it.
type (
	Filter      = view.Filter
	Message     = view.Message
	Summary     = view.Summary
	LaneSummary = view.LaneSummary
)
