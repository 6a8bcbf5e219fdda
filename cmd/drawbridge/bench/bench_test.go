//go:build bench

// Package bench measures the program as it is released: the stripped binary, on the embedded store, as a child process,
// between a provider, a hook and browsers that run in the test.
//
// It prints the figures that the budgets are about. CPU time is that of the child alone, and beside every figure that
// depends on the machine stands a floor measured in the same rounds: a bare net/http process that does only what such a
// request cannot do without, under the same load. Read the ratios; compare absolute figures only within one run.
//
// A figure never fails a test: machines differ, and this one may be busy. What fails is an answer that is wrong, or a
// count that does not add up. `make bench` runs all of it.
package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if sink := os.Getenv(floorVariable); sink != "" {
		if err := serveFloor(sink); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	removeBinary()
	os.Exit(code)
}

// table collects figures and prints them in one piece, so that they stand together in the output.
type table struct {
	title string
	rows  []row
}

type row struct {
	name, unit, target string
	values             []float64
}

// newTable is printed when the test is over.
func newTable(t *testing.T, title string) *table {
	t.Helper()
	all := &table{title: title}
	t.Cleanup(func() { fmt.Print(all.text()) })
	return all
}

// add takes what the rounds gave. The target is what the figure is held against by whoever reads it, or empty.
func (t *table) add(name, unit, target string, values ...float64) {
	t.rows = append(t.rows, row{name: name, unit: unit, target: target, values: values})
}

const line = "%-66s %10s %10s %10s  %-9s %s\n"

func (t *table) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n"+line, t.title, "min", "median", "max", "unit", "target")
	for _, r := range t.rows {
		low, mid, high := "", "-", ""
		if len(r.values) > 0 {
			mid = number(median(r.values))
		}
		if len(r.values) > 1 {
			low, high = number(slices.Min(r.values)), number(slices.Max(r.values))
		}
		fmt.Fprintf(&b, line, "  "+r.name, low, mid, high, r.unit, r.target)
	}
	return b.String()
}

// number shows three digits that count, or all there are before the point.
func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is the value that the given part of all values does not exceed; 0 of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// ratios are the quotients of figures that were measured side by side.
func ratios(of, by []float64) []float64 {
	all := make([]float64, len(of))
	for i := range of {
		all[i] = of[i] / by[i]
	}
	return all
}

// scaled are figures in a smaller unit.
func scaled(values []float64, by float64) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = v * by
	}
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func TestTheTableIsReadable(t *testing.T) {
	figures := &table{title: "requests"}
	figures.add("rounds", "ms", "at most 3", 3, 1, 2)
	figures.add("once", "MB", "", 123.4)
	figures.add("never", "", "")
	want := fmt.Sprintf("\n"+line+line+line+line, "requests", "min", "median", "max", "unit", "target",
		"  rounds", "1.00", "2.00", "3.00", "ms", "at most 3", "  once", "", "123", "", "MB", "", "  never", "", "-", "", "", "")
	if got := figures.text(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
