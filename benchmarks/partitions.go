package main

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/partition"
)

// manyPartitions is how many hours the set has at least.
const manyPartitions = 1_000_000

// partitionsBound is how long each operation on them may take.
const partitionsBound = 5 * time.Millisecond

// partitionsOfMany measures the slowest of the operations on a million hourly partitions; plain is the bound of each.
func partitionsOfMany(ctx context.Context, b *bench) (ours, plain time.Duration, err error) {
	now := time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)
	hours := partition.Definition{Time: &partition.TimeWindows{Every: partition.Hourly, Start: "1900-01-01"}}
	days := partition.Definition{Time: &partition.TimeWindows{Every: partition.Daily, Start: "1900-01-01"}}
	var compiled, daily *partition.Partitions
	var set, dailySet *partition.Set
	var odd, all partition.Subset
	var link *partition.Link
	for _, operation := range []struct {
		name string
		do   func() error
	}{
		{"definition", func() (err error) { compiled, err = partition.New(hours); return err }},
		{"count", func() error {
			set = compiled.At(now, nil)
			if set.Count() < manyPartitions {
				return fmt.Errorf("there are %d partitions", set.Count())
			}
			return nil
		}},
		{"last", func() error {
			if last, _ := set.All().Last(); last != "2019-12-31-23:00" {
				return fmt.Errorf("the last is %s", last)
			}
			return nil
		}},
		{"range", func() (err error) { odd, err = set.Range("1950-01-01-00:00", "1999-12-31-23:00"); return err }},
		{"algebra", func() error {
			all = set.All()
			if rest := all.Difference(odd).Union(odd.Intersection(all)); !rest.Equal(all) {
				return fmt.Errorf("the parts are not the whole")
			}
			return nil
		}},
		{"serialized", func() error {
			data, err := odd.MarshalJSON()
			if err == nil {
				_, _, err = set.Decode(data)
			}
			return err
		}},
		{"link", func() (err error) {
			if daily, err = partition.New(days); err != nil {
				return err
			}
			dailySet = daily.At(now, nil)
			link, err = partition.Mapping{}.Between(compiled, daily, nil)
			return err
		}},
		{"mapping of one key", func() error {
			day, err := dailySet.Of("1999-12-31")
			if err != nil {
				return err
			}
			upstream, err := link.Upstream(day, set)
			if err == nil && upstream.Subset.Count() != 24 {
				err = fmt.Errorf("a day has %d hours", upstream.Subset.Count())
			}
			return err
		}},
	} {
		began := time.Now()
		if err := operation.do(); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", operation.name, err)
		}
		took := time.Since(began)
		if took > partitionsBound {
			return 0, 0, fmt.Errorf("%s took %s, and may take %s", operation.name, took, partitionsBound)
		}
		ours = max(ours, took)
	}
	took, err := b.statusOfMany(ctx, hours, now, set)
	if err == nil && took > partitionsBound {
		err = fmt.Errorf("it took %s, and may take %s", took, partitionsBound)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("status query: %w", err)
	}
	return max(ours, took), partitionsBound, nil
}
