//go:build !unix

package dkim

func ownLikeParent(string) {}
