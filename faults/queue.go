//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// queueTag is the tag of queued runs: the limit is on it, for the other kinds of runs have none. queuePool is the pool of their first
	// steps, with queueSlots slots.
	queueTag   = "queue"
	queuePool  = "queue"
	queueSlots = 2
	// mostQueued is how many runs the longest queue has.
	mostQueued = 200
)

// queuedAssets are those of one run of a trial.
func queuedAssets(run int) []testlocation.Asset {
	prefix := "queue/" + strconv.Itoa(run) + "/"
	return []testlocation.Asset{
		{Key: prefix + "first", Pool: queuePool},
		{Key: prefix + "second", Pool: queuePool},
		{Key: prefix + "last", Inputs: []string{prefix + "first", prefix + "second"}},
	}
}

func queueable() []testlocation.Asset {
	var assets []testlocation.Asset
	for run := range mostQueued {
		assets = append(assets, queuedAssets(run)...)
	}
	return assets
}

// queue is so many runs, of which few may be in progress, with steps that wait for each other's slots.
func queue(name string, typical time.Duration, runs, atOnce int) kind {
	return kind{
		name: name, typical: typical, certain: []string{"daemon-kill", "worker-kill", "temporal-kill", "postgres-kill"},
		prepare: func(s *scene, random *rand.Rand) error {
			for run := range runs {
				for _, asset := range queuedAssets(run) {
					if err := s.instance.Instruct(asset.Key, testlocation.Instruction{Takes: upTo(random, 300*time.Millisecond)}); err != nil {
						return err
					}
				}
			}
			return nil
		},
		start: func(ctx context.Context, s *scene, trial string) ([]started, error) {
			return startQueue(ctx, s, trial, runs, atOnce)
		},
	}
}

func startQueue(ctx context.Context, s *scene, trial string, count, atOnce int) ([]started, error) {
	tags, slots := []wire.TagLimit{{Key: queueTag, Limit: atOnce}}, queueSlots
	if _, err := s.instance.Store.SetQueueLimits(ctx, metadata.QueueLimits{TagLimits: &tags}, "faults", ""); err != nil {
		return nil, err
	}
	if _, err := s.instance.Store.SetPool(ctx, metadata.PoolSetting{Pool: queuePool, Limit: &slots, Who: "faults"}); err != nil {
		return nil, err
	}
	var ids []string
	var runs []started
	for run := range count {
		id := fmt.Sprintf("%s-%d", trial, run)
		keys := testlocation.Spec{Assets: queuedAssets(run)}.Keys()
		_, err := s.instance.Starter.StartRun(ctx, starter.NewRun{Location: s.spec.Location, ID: id, Request: wire.RunRequest{
			Assets: wire.AssetSelection{Keys: keys}, Tags: map[string]string{queueTag: "yes"}, Priority: wire.Priority(1 + run%5),
		}})
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		runs = append(runs, started{id, func(ctx context.Context, again bool) (testlocation.Verdict, error) {
			if again {
				return s.instance.VerifyAgain(ctx, s.spec.Only(keys...), id)
			}
			return s.instance.Verify(ctx, s.spec.Only(keys...), id)
		}})
	}
	last := runs[len(runs)-1]
	runs[len(runs)-1].verify = func(ctx context.Context, again bool) (testlocation.Verdict, error) {
		verdict, err := last.verify(ctx, again)
		if err != nil {
			return verdict, err
		}
		together, err := s.instance.VerifyQueue(ctx, testlocation.QueueCheck{Runs: ids, MostRuns: atOnce, Pool: queuePool})
		verdict.Lost = append(verdict.Lost, together.Lost...)
		verdict.Doubled = append(verdict.Doubled, together.Doubled...)
		return verdict, err
	}
	return runs, nil
}
