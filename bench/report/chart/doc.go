// Package chart draws what a report shows: bars with whiskers, quantiles on a
// logarithmic axis, and the course of a run in strips over one time axis.
//
// Every chart is as wide as a phone, names what it shows where it shows it, and
// has no legend to look up, no frame and no grid beyond what is needed to read
// a value. [Bars], [Curves] and [Strips] give a [Drawing], and [Sheet] puts
// several into one. A Drawing becomes an SVG that is light or dark as the
// reader's screen is, within a page ([Drawing.SVG] with [Style]) or by itself
// ([Drawing.File]), or a PNG ([Drawing.PNG]).
package chart
