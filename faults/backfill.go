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
	// backfilledDays are what a backfill of a trial makes of each asset, backfilledRuns in how many runs: one for each day of the
	// first two, which run together, and one for at most four days of the last.
	backfilledDays = 16
	backfilledRuns = backfilledDays + backfilledDays/4
)

// backfilled are assets that are made by days.
func backfilled() []testlocation.Asset {
	return []testlocation.Asset{
		{Key: "backfilled/flights", Days: backfilledDays},
		{Key: "backfilled/delays", Days: backfilledDays, Inputs: []string{"backfilled/flights"}},
		{Key: "backfilled/report", Days: backfilledDays, Inputs: []string{"backfilled/delays"}, PartitionsPerRun: 4},
	}
}

// backfills are backfills of all days.
func backfills() kind {
	keys := testlocation.Spec{Assets: backfilled()}.Keys()
	return kind{
		name: "backfill", typical: 5 * time.Second, certain: []string{"temporal-kill", "worker-kill", "postgres-kill"},
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
				return s.instance.VerifyBackfill(ctx, trial, keys, backfilledDays, backfilledRuns)
			}
			return []started{{trial, verify}}, err
		},
	}
}
