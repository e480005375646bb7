// Package user is "tenma user": accounts, their settings and their app passwords.
// Its commands edit the accounts file by package auth, whether the relay runs or
// not; a running one notices.
package user
