// Package report makes tables, charts and pages of the results of load runs.
//
// The raw data is JSON lines, a [load.Result] each: one run (a round) of one
// scenario against one mail server. [Load] reads them from strangers' files
// with bounds, [New] groups the rounds by scenario and server, and a [Report]
// is written as text for a terminal ([Report.Table]), Markdown
// ([Report.Markdown]) and one self-contained HTML page ([Report.HTML]). A
// [Page] is the results page that is kept beside its raw data and made anew by
// one command; it puts the [Targets] beside what was measured.
//
// What a figure is: the median of its rounds, each column by itself, since one
// round on a busy machine says little and a mean follows the worst of them. The
// lowest and the highest round are the whiskers of a chart. Counts of what must
// not happen (lost, duplicates) are those of the worst round. A ratio is a
// median over the median of the server compared against, in the same scenario;
// it is refused where machine or load differ, since it would mean nothing.
package report
