// Package suppress is the command "tenma suppress": the suppression list of a
// running relay, entry by entry and as whole files. Files are read and written
// line by line (lines.go), so that their size does not matter.
package suppress
