package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// result is one line of the report.
type result struct {
	Name string `json:"name"`
	// Size is how many steps, assets or samples were measured.
	Size int `json:"size"`
	// Ours and Plain are medians, in Unit.
	Ours  float64 `json:"ours"`
	Plain float64 `json:"plain"`
	// Ratio is ours by plain.
	Ratio float64 `json:"ratio"`
	Unit  string  `json:"unit"`
	// P99 is that of the single times of ours, of a benchmark whose tail counts.
	P99 float64 `json:"p99,omitempty"`
}

// benchmark measures once, ours and the plain alternative, in milliseconds.
type benchmark struct {
	name    string
	size    int
	measure func(context.Context, *bench) (ours, plain time.Duration, err error)
}

var benchmarks = []benchmark{
	{"wide_1000", 1000, layered(500, 500)},
	{"layers_1000", 1000, layered(slices.Repeat([]int{100}, 10)...)},
	{"chain_50", 50, layered(slices.Repeat([]int{1}, 50)...)},
	{"run_start", runStartSamples, runStart},
	{signalName, signalSamples, signalToStep},
	{"plan_10000", 10000, planning},
	{"backfill_500", 500, backfilling(500)},
	{"backfill_2000", 2_000, backfilling(2_000)},
	{"backfill_10000", 10_000, backfilling(10_000)},
	{"partitions_1m", manyPartitions, partitionsOfMany},
	{"walk_activity", 100, walked(100)},
	{"walk_activity", 1000, walked(1000)},
	{"walk_activity", 10000, walked(10000)},
	{"walk_local", 100, walked(100, definitions.ExecuteAs(definitions.LocalActivity{}))},
	{"walk_local", 1000, walked(1000, definitions.ExecuteAs(definitions.LocalActivity{}))},
	{"walk_local", 10000, walked(10000, definitions.ExecuteAs(definitions.LocalActivity{}))},
}

func main() {
	pattern := flag.String("bench", ".", "regular expression over the names of benchmarks, also with their sizes: walk_local/10000")
	runs := flag.Int("runs", 5, "how often each is measured, at least 3; the median counts")
	profile := flag.String("cpuprofile", "", "file for a CPU profile of this process, both sides of it")
	out := flag.String("out", "benchmarks/out/latest.json", "file for the report")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := profiled(*profile, func() error { return run(ctx, *pattern, *runs, *out) }); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		stop()
		os.Exit(1)
	}
}

// profiled runs do under the CPU profiler when path names a file for the profile.
func profiled(path string, do func() error) (err error) {
	if path == "" {
		return do()
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("-cpuprofile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(fmt.Errorf("-cpuprofile: %w", err), file.Close())
	}
	defer func() {
		pprof.StopCPUProfile()
		err = errors.Join(err, file.Close())
	}()
	return do()
}

func run(ctx context.Context, pattern string, runs int, out string) error {
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("-bench: %w", err)
	}
	if runs < 3 {
		return fmt.Errorf("-runs is %d: a median of fewer than 3 says nothing", runs)
	}
	b, err := newBench(ctx)
	if err != nil {
		return err
	}
	defer b.close()
	results := []result{}
	for _, benchmark := range benchmarks {
		if !wanted.MatchString(benchmark.name) && !wanted.MatchString(fmt.Sprintf("%s/%d", benchmark.name, benchmark.size)) {
			continue
		}
		measured, err := measure(ctx, b, benchmark, runs)
		if err != nil {
			return fmt.Errorf("%s: %w", benchmark.name, err)
		}
		results = append(results, measured)
	}
	if len(results) == 0 {
		return fmt.Errorf("no benchmark matches %q", pattern)
	}
	if err := printTable(results); err != nil {
		return err
	}
	return write(out, results)
}

// warmUp is how long a benchmark is run, once at least, before it counts: each of Postgres's connections plans a statement anew five
// times, and sixteen of them take turns.
const warmUp = 5 * time.Second

// measure runs a benchmark to warm up, and then for the record.
func measure(ctx context.Context, b *bench, benchmark benchmark, runs int) (result, error) {
	for began := time.Now(); ; {
		if _, _, err := benchmark.measure(ctx, b); err != nil {
			return result{}, err
		}
		if time.Since(began) > warmUp {
			break
		}
	}
	delete(b.samples, benchmark.name)
	var ours, plain []float64
	for i := range runs {
		o, p, err := benchmark.measure(ctx, b)
		if err != nil {
			return result{}, err
		}
		ours, plain = append(ours, milliseconds(o)), append(plain, milliseconds(p))
		fmt.Fprintf(os.Stderr, "%s %d of %d: ours %.1f ms, plain %.1f ms\n", benchmark.name, i+1, runs, milliseconds(o), milliseconds(p))
	}
	r := result{Name: benchmark.name, Size: benchmark.size, Ours: median(ours), Plain: median(plain), Unit: "ms"}
	r.Ratio = r.Ours / r.Plain
	if samples := slices.Sorted(slices.Values(b.samples[benchmark.name])); len(samples) > 0 {
		r.P99 = milliseconds(time.Duration(samples[len(samples)*99/100]))
	}
	return r, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

func printTable(results []result) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "benchmark\tsize\tours\tp99\tplain\tratio\tunit\t")
	for _, r := range results {
		tail := ""
		if r.P99 > 0 {
			tail = fmt.Sprintf("%.1f", r.P99)
		}
		fmt.Fprintf(table, "%s\t%d\t%.1f\t%s\t%.1f\t%.2f\t%s\t\n", r.Name, r.Size, r.Ours, tail, r.Plain, r.Ratio, r.Unit)
	}
	return table.Flush()
}

func write(path string, results []result) error {
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
