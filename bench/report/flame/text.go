package flame

import (
	"fmt"
	"strconv"
)

// Rows gives costs as a table for people, the heading first.
func Rows(all []Cost) [][]string {
	rows := [][]string{{"SHARE", "CPU", "SAMPLES", "COST", "FROM"}}
	for _, c := range all {
		rows = append(rows, []string{fmt.Sprintf("%.1f %%", 100*c.Share), fmt.Sprintf("%.2f s", c.CPU.Seconds()), strconv.FormatInt(c.Samples, 10), c.Name, from(c.From)})
	}
	return rows
}
