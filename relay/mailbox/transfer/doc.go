// Package transfer moves mail between mailboxes here and the two formats that
// everybody's programs read.
//
//	mbox     one file a folder: mboxrd is written, and read with tolerance for
//	         mboxo (quoting) and for CRLF; state in Status, X-Status, X-Keywords
//	Maildir  one file a message, folders as ".Name.Sub" (Maildir++), flags in
//	         file names (https://cr.yp.to/proto/maildir.html), keywords in
//	         Dovecot's dovecot-keywords, arrival as the file's time
//
// Import reads, Export writes; both stream, holding no message whole. Import can
// leave out what the folder has already, so that one that was interrupted is
// simply done again. What cannot be read is reported by file and message, and
// left out.
package transfer
