package cli

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/perdure-io/perdure/wire"
)

// partitionHelp explains the flags in the help of commands that start runs.
const partitionHelp = "\n\nOf what is partitioned, --partition, --partitions, --range or --all-partitions say which partitions: those of the\n" +
	"selection's root, and what hangs on it is made for those that they map to. Each partition is a step of the one run;\n" +
	"`perdure backfill start` makes many in runs of their own."

// partitionOptions are the flags that say which partitions a command is about.
type partitionOptions struct {
	partition  string
	partitions []string
	span       string
	all        bool
}

func (o *partitionOptions) addTo(flags *pflag.FlagSet) {
	o.addKeysTo(flags)
	flags.BoolVar(&o.all, "all-partitions", false, "every partition that exists")
}

// addKeysTo defines the flags that name partitions.
func (o *partitionOptions) addKeysTo(flags *pflag.FlagSet) {
	flags.StringVar(&o.partition, "partition", "", "a partition's key, as 2001-01-01; of a grid as '2001-01-01|short'")
	flags.StringSliceVar(&o.partitions, "partitions", nil, "several keys, with commas between them")
	flags.StringVar(&o.span, "range", "", "all from one key to another, both inside, as 2001-01-01..2001-03-31 (or with ... where a key holds ..)")
}

// chosen is what the flags say.
type chosen struct {
	partition  string
	partitions []string
	span       *wire.PartitionRange
	all        bool
}

// given names the flags that are given.
func (o partitionOptions) given() []string {
	var given []string
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"--partition", o.partition != ""},
		{"--partitions", len(o.partitions) > 0},
		{"--range", o.span != ""},
		{"all of them", o.all},
	} {
		if flag.set {
			given = append(given, flag.name)
		}
	}
	return given
}

// read checks the flags; every problem at once.
func (o partitionOptions) read() (chosen, error) {
	read := chosen{partition: o.partition, partitions: o.partitions, all: o.all}
	var problems []error
	if given := o.given(); len(given) > 1 {
		problems = append(problems, usagef("give %s, not several of them", strings.Join(given, " or ")))
	}
	if o.span != "" {
		separator := ".."
		if strings.Contains(o.span, "...") {
			separator = "..."
		}
		start, end, found := strings.Cut(o.span, separator)
		if !found || start == "" || end == "" || strings.Contains(end, separator) {
			problems = append(problems, usagef("--range %s: write it as FIRST..LAST, or FIRST...LAST where a key holds \"..\"", o.span))
		}
		read.span = &wire.PartitionRange{Start: start, End: end}
	}
	return read, errors.Join(problems...)
}

// requestOptions are the flags that say for which partitions a run or a backfill is.
type requestOptions struct {
	partitionOptions
	only, asOf string
}

func (o *requestOptions) addTo(flags *pflag.FlagSet) {
	o.partitionOptions.addTo(flags)
	flags.StringVar(&o.only, "only", "", "of these only what is missing, failed or stale")
	flags.StringVar(&o.asOf, "as-of", "", "take the partitions that exist at this time, RFC 3339 (default: now)")
}

// states are what --only takes.
var states = []string{string(wire.OnlyMissing), string(wire.OnlyFailed), string(wire.OnlyStale)}

// read checks the flags; every problem at once.
func (o requestOptions) read() (chosen, wire.OnlyPartitions, error) {
	read, err := o.partitionOptions.read()
	problems := []error{err}
	only := wire.OnlyPartitions(strings.ToLower(o.only))
	if only != "" && only != wire.OnlyMissing && only != wire.OnlyFailed && only != wire.OnlyStale {
		problems = append(problems, usagef("--only: there is no state %q (%s)", o.only, wire.FixUnknown(string(only), states)))
	}
	if o.asOf != "" {
		if _, err := time.Parse(time.RFC3339, o.asOf); err != nil {
			problems = append(problems, usagef("--as-of %s: write it as 2001-04-01T00:00:00Z", o.asOf))
		}
	}
	return read, only, errors.Join(problems...)
}

// addToRequest lays the flags into a request.
func (o requestOptions) addToRequest(request *wire.RunRequest) error {
	read, only, err := o.read()
	request.Partition, request.Partitions, request.Range, request.AllPartitions = read.partition, read.partitions, read.span, read.all
	request.Only, request.AsOf = only, o.asOf
	return err
}
