// Package stored is how the spool keeps what relay/mail has words for: the
// envelope of a message, which never changes, and its state, which each
// settlement stores anew.
//
// AppendEnvelope and AppendState write, DecodeEnvelope and DecodeState read. What
// they read comes from a disk and may be damaged: they answer ErrEncoding and
// allocate no more than what they were given warrants.
package stored
