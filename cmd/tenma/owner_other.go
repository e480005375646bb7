//go:build !unix

package main

// giveBack: files have no such owner here.
func giveBack(string, string) error { return nil }
