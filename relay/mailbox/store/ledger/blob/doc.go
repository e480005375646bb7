// Package blob keeps bodies of messages: octets that are written once, may
// belong to many messages, and go when the last of those has gone.
//
// A body lies in chunks of at most ChunkSize octets under one id. Receive reads
// one from outside. A body of one chunk waits in memory and is written by the
// change that adds its messages (Body.Write). A larger one is written chunk by
// chunk while it arrives.
//
// Each message that needs a body has a reference in the database. Who removes
// a reference condemns the body in the same change; Sweep then looks, alone with
// the database, whether references are left, and removes the body if not. A body
// that is still arriving is condemned with its first chunk. So a crash at any
// moment leaves no body behind that nobody needs, and none is ever searched for.
package blob
