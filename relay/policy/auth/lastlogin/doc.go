// Package lastlogin remembers when each account logged in last, by which protocol,
// from where and with which of its passwords.
//
// There is a small file for each account, so that a login costs no more where
// there are many, and nothing is lost when the relay ends. A file is replaced in
// one step, at most once a minute, and not synced: after a power failure a minute
// is missing, and that is all that can be. The relay calls Note, the command line
// Read.
package lastlogin
