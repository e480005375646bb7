// Package load has the words that the parts of the bench suite share: the Tag
// by which a message of a load is known again where it arrives, Quantiles of
// a latency, and Result, what one run of one scenario against one mail server
// gave. It does nothing by itself.
//
// A source (bench/source) sends tagged messages to any mail server, a sink
// (bench/sink) counts what arrives, a scenario (bench/scenario) starts mail
// servers by their drivers (bench/peer) and runs both against them in turns,
// and a report (bench/report) makes tables and charts of the Results.
package load
