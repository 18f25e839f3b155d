//go:build unix

package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// slicedDays are what a backfill of a trial makes of each asset, slicedRuns in how many runs: one for each day of the
	// first two, which run together, and one for at most four days of the last.
	slicedDays = 16
	slicedRuns = slicedDays + slicedDays/4
)

// sliced are assets that are made by days.
func sliced() []testlocation.Asset {
	return []testlocation.Asset{
		{Key: "sliced/flights", Days: slicedDays},
		{Key: "sliced/delays", Days: slicedDays, Inputs: []string{"sliced/flights"}},
		{Key: "sliced/report", Days: slicedDays, Inputs: []string{"sliced/delays"}, PartitionsPerRun: 4},
	}
}

// backfills are backfills of all days.
func backfills() kind {
	keys := testlocation.Spec{Assets: sliced()}.Keys()
	return kind{
		name: "backfill", typical: 5 * time.Second,
		prepare: func(s *scene, random *rand.Rand) error {
			for _, key := range keys {
				if err := s.instance.Instruct(key, testlocation.Instruction{Takes: upTo(random, 300*time.Millisecond)}); err != nil {
					return err
				}
			}
			return nil
		},
		start: func(ctx context.Context, s *scene, trial string) ([]started, error) {
			_, err := s.instance.Starter.StartBackfill(ctx, starter.NewBackfill{Location: s.spec.Location, ID: trial, Request: wire.BackfillRequest{
				Assets: wire.AssetSelection{Keys: keys}, AllPartitions: true, MaxConcurrentRuns: 6,
			}})
			verify := func(ctx context.Context, _ bool) (testlocation.Verdict, error) {
				return s.instance.VerifyBackfill(ctx, trial, keys, slicedDays, slicedRuns)
			}
			return []started{{trial, verify}}, err
		},
	}
}
