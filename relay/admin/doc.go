// Package admin serves the operator over HTTP: metrics, health, a JSON API on
// the queue, and a plain page that shows how the queue stands.
//
// Server.New builds, Listen takes the addresses and finds or makes the token,
// Run serves until its context ends. Client speaks to a Server; the command
// line is made of it. The calls stand in one table (calls.go), from which the
// routes and the OpenAPI document are both made, so that neither can be out of
// step with the other.
//
// # Who may do what
//
// /metrics, /healthz and /readyz answer anyone who reaches the listener: they
// say nothing about anyone's mail. All else wants the token, as a bearer token
// (RFC 6750), or, for reading only, as the password of basic authentication so
// that a browser can ask for it. Basic never opens a verb: browsers send it
// along with what other sites make them send.
//
// A browser on this machine can be made to call a loopback address under a
// foreign name (DNS rebinding), so loopback listeners answer only to the Host
// names that loopback has.
//
// What the world looks for needs no token: the settings for mail programs (package
// setup), and the links by which people leave a mailing (package unsubscribe), where
// the link itself is the proof.
//
// Errors are problem documents (RFC 9457).
package admin
