//go:build unix

// Command faults is the marathon of the kill tests: runs on real servers and workers, whose processes are killed, frozen
// and stopped at random moments. The runs are of a graph of assets, of the days and weeks of sliced ones, of steps in
// processes of their own, of Python programs that speak Pipes, of ops with a dynamic output, as activities and as local
// activities, of a failed run that two execute again at once, and of many that wait in the run queue and for slots of a pool. After each trial Postgres and the stored values are
// looked at, and whether a process is left that a step has started. A long queue, of 200 runs, is chosen by name. It ends with one line,
//
//	trials=100 lost=0 doubled=0 unfinished=0 orphans=0
//
// and with exit code 1 when any of the last four is not 0.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/internal/testpython"
)

func main() {
	testlocation.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func command(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.SetOutput(stderr)
	trials := flags.Int("trials", 100, "how many runs")
	seed := flags.Uint64("seed", uint64(time.Now().UnixNano()), "what the random choices follow from")
	scenario := flags.String("scenario", "", "only these faults, separated by commas: "+strings.Join(faultNames(), ", "))
	kindList := flags.String("kind", "", "only these kinds of runs, separated by commas: "+strings.Join(kindNames(), ", "))
	if err := flags.Parse(arguments); err != nil {
		return 2
	}
	chosen, err := chooseFaults(*scenario)
	chosenKinds, kindErr := chooseKinds(*kindList)
	err = errors.Join(err, kindErr)
	if err == nil && (*trials < 1 || flags.NArg() > 0) {
		err = errors.New("give -trials of at least 1, and nothing but flags")
	}
	if err != nil {
		fmt.Fprintln(stderr, "Error:", err)
		return 2
	}
	python, err := testpython.Path()
	if err != nil {
		fmt.Fprintln(stderr, "Error:", err)
		return 1
	}
	tally, err := marathon(ctx, plan{trials: *trials, seed: *seed, faults: chosen, kinds: chosenKinds, python: python}, stdout)
	fmt.Fprintln(stdout, tally)
	if err != nil {
		fmt.Fprintln(stderr, "Error:", err)
		return 1
	}
	if !tally.good() {
		return 1
	}
	return 0
}
