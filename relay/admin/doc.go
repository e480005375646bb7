// Package admin serves the operator: metrics, health and the JSON API on the
// queue, over HTTP with a bearer token.
package admin
