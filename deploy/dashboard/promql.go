package main

import (
	"fmt"
	"strings"
)

// selected narrows every query to what the variables of the dashboard name.
const selected = `job=~"$job",instance=~"$instance"`

// metric selects a metric of the relay: its name without the prefix, and
// matchers like fate="sent".
func metric(name string, matchers ...string) string {
	return "tenma_" + name + "{" + strings.Join(append([]string{selected}, matchers...), ",") + "}"
}

// process selects what the Prometheus library tells of the process.
func process(name string) string { return "process_" + name + "{" + selected + "}" }

// golang selects what it tells of the Go runtime.
func golang(name string) string { return "go_" + name + "{" + selected + "}" }

// rate is a counter's increase a second, over all selected instances.
func rate(counter string) string { return "sum(rate(" + counter + "[$__rate_interval]))" }

// rateBy is rate for each value of labels.
func rateBy(labels, counter string) string {
	return "sum by (" + labels + ") (rate(" + counter + "[$__rate_interval]))"
}

// sum is a gauge over all selected instances.
func sum(gauge string) string { return "sum(" + gauge + ")" }

// sumBy is sum for each value of labels.
func sumBy(labels, gauge string) string { return "sum by (" + labels + ") (" + gauge + ")" }

// worst is the highest of all selected instances.
func worst(gauge string) string { return "max(" + gauge + ")" }

// quantile is a quantile of a histogram (its name without the prefix) over all
// selected instances. by adds labels.
func quantile(q float64, histogram string, by ...string) string {
	labels := strings.Join(append([]string{"le"}, by...), ", ")
	return fmt.Sprintf("histogram_quantile(%g, sum by (%s) (rate(%s[$__rate_interval])))", q, labels, metric(histogram+"_bucket"))
}

// latency gives the usual three quantiles.
func latency(histogram string) []series {
	return []series{{quantile(.5, histogram), "p50"}, {quantile(.9, histogram), "p90"}, {quantile(.99, histogram), "p99"}}
}

// mean is the average of what a histogram saw.
func mean(histogram string) string {
	return rate(metric(histogram+"_sum")) + " / " + rate(metric(histogram+"_count"))
}

// share is how much of the whole a part is; nothing where nothing happens.
func share(part, whole string) string { return part + " / (" + whole + " > 0)" }
