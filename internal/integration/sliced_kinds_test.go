//go:build unix

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/internal/testpython"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func TestADryRunOverPartitionsStartsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sliced(21))
	f.worker(t, "b1")
	request := overFirstDays(3, "flights", "running", "report", "delays")
	request.DryRun = true
	started, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: f.spec.Location + "-dry", TaskQueue: f.spec.Location}, wire.RunWorkflow, request)
	require.NoError(t, err)
	var result wire.RunResult
	require.NoError(t, started.Get(t.Context(), &result))
	steps := map[string]wire.PlannedStep{}
	for _, step := range result.Plan {
		steps[step.Step] = step
	}
	require.Len(t, steps, 10)
	require.Contains(t, steps, "running@2001-01-03")
	require.Contains(t, steps, "report")
	require.Zero(t, f.count(t, "select count(*) from runs"))
	require.Empty(t, f.notes(t, testlocation.Called, ""))
}

// oddKeys are keys as a person may have them.
func oddKeys() []string {
	return []string{
		"a/b:c d", "x|y", "Zürich ✈ 東京", `say "hi" [now]`, "..", ".hidden", "-", "@", "a@b#c?d&e=%2F\\", "'; drop table runs; --",
		strings.Repeat("long ", 100), strings.Repeat("長", 166),
	}
}

func TestOddAndLongKeysGoAllTheWay(t *testing.T) {
	t.Parallel()
	keys := oddKeys()
	regions := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return strings.ContainsAny(key, "|[],") })
	f := newFixture(t, []testlocation.Asset{
		{Key: "odd/ones", SlicedBy: testlocation.ByRegion, Regions: keys},
		{Key: "apart", SlicedBy: testlocation.ByRegion, Regions: keys, Inputs: []string{"odd/ones"}, Subprocess: true},
		{Key: "ranged", SlicedBy: testlocation.ByRegion, Regions: keys, Inputs: []string{"apart"}, Ranged: true},
		{Key: "gridded", SlicedBy: testlocation.ByGrid, Days: 1, Regions: regions},
		{Key: "letters", SlicedBy: testlocation.ByCustomer},
	})
	f.worker(t, "b1")
	run := f.startOver(t, "all", wire.RunRequest{Assets: keysOf("odd/ones", "apart", "ranged"), AllPartitions: true})
	f.requireMade(t, run, made{"odd/ones": keys, "apart": keys, "ranged": keys})
	for n, key := range keys {
		run := f.startOver(t, "one-"+string(rune('a'+n)), wire.RunRequest{Assets: keysOf("odd/ones"), Partition: key})
		f.requireMade(t, run, made{"odd/ones": {key}})
	}
	grid := make([]string, len(regions))
	for i, region := range regions {
		grid[i] = testlocation.Day(0) + "|" + region
	}
	f.requireMade(t, f.startOver(t, "grid", wire.RunRequest{Assets: keysOf("gridded"), AllPartitions: true}), made{"gridded": grid})
	_, err := f.Starter.AddPartitions(t.Context(), metadata.PartitionChange{Name: testlocation.Customers, Keys: keys, Who: "a test", Why: "they are odd"})
	require.NoError(t, err)
	f.requireMade(t, f.startOver(t, "customers", wire.RunRequest{Assets: keysOf("letters"), AllPartitions: true}), made{"letters": keys})
	_, err = f.Starter.AddPartitions(t.Context(), metadata.PartitionChange{Name: testlocation.Customers, Keys: []string{strings.Repeat("x", 501)}, Who: "a test", Why: "it is too long"})
	require.ErrorContains(t, err, "has 501 bytes, more than 500")
}

func TestHooksAndLogsOfOddPartitions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	keys := definitions.Static(oddKeys()...)
	hooked := make(chan string, len(oddKeys()))
	said := definitions.Asset("said", definitions.Bind1(func(ctx definitions.Context, key string) (string, error) {
		ctx.Log().Info("made " + key) //nolint:sloglint // the message tells the partitions apart
		return key, nil
	}, keys.Key()), definitions.PartitionedBy(keys), definitions.OnSuccess(definitions.Do1(func(_ definitions.Context, end definitions.Success) error {
		hooked <- end.Step
		return nil
	}, definitions.TheSuccess)))
	const location = "odd-hooks"
	b.serve(t, definitions.New(location, said))
	run, err := b.starter.StartRun(t.Context(), starter.NewRun{Location: location, Request: wire.RunRequest{Assets: keysOf("said"), AllPartitions: true}})
	require.NoError(t, err)
	_, err = b.starter.Await(t.Context(), run.ID)
	require.NoError(t, err)
	steps := map[string]bool{}
	for range oddKeys() {
		steps[<-hooked] = true
	}
	require.Len(t, steps, len(oddKeys()))
}

// A program of another language is called for each partition, and told which, and which of its inputs.
func TestAnotherProgramComputesPartitions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	days, weeks := definitions.Daily("2001-01-07").Ending("2001-01-21"), definitions.Weekly("2001-01-07").Ending("2001-01-21")
	flights := definitions.Asset("flights", definitions.Bind1(func(_ definitions.Context, day string) (string, error) { return day, nil }, days.Key()), definitions.PartitionedBy(days))
	scores := definitions.Asset("scores", definitions.Remote[string](flights), definitions.Queue("ml"), definitions.PartitionedBy(days))
	week := definitions.Asset("week", definitions.Remote[int](definitions.ByKey(scores)), definitions.Queue("ml"), definitions.PartitionedBy(weeks))
	checked := definitions.Asset("checked", definitions.Bind2(func(_ definitions.Context, day, score string) (string, error) {
		if score != "score of "+day {
			return "", errors.New("wrong score " + score)
		}
		return score, nil
	}, days.Key(), scores), definitions.PartitionedBy(days))
	const location = "remote-partitions"
	b.serve(t, definitions.New(location, flights, scores, week, checked))
	w := sdkworker.New(b.temporal, wire.NamedQueue(location, "ml"), sdkworker.Options{})
	w.RegisterActivityWithOptions(func(_ context.Context, in wire.RemoteInput) (json.RawMessage, error) {
		if in.Inputs["flights"].Partition != in.Partition || !strings.Contains(in.Inputs["flights"].Location, in.Partition) {
			return nil, errors.New("wrong input")
		}
		return json.RawMessage(`{"outputs":{"scores":{"value":"score of ` + in.Partition + `"}}}`), nil
	}, activity.RegisterOptions{Name: "scores"})
	w.RegisterActivityWithOptions(func(_ context.Context, in wire.RemoteInput) (json.RawMessage, error) {
		if len(in.InputPartitions["scores"]) != 7 || in.InputPartitions["scores"][6].Partition != "2001-01-13" || in.Partition != "2001-01-07" {
			return nil, errors.New("wrong inputs")
		}
		return json.RawMessage(`{"outputs":{"week":{"value":7}}}`), nil
	}, activity.RegisterOptions{Name: "week"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	run, err := b.starter.StartRun(t.Context(), starter.NewRun{Location: location, Request: wire.RunRequest{
		Assets: keysOf("flights", "scores", "week", "checked"), Range: &wire.PartitionRange{Start: "2001-01-07", End: "2001-01-13"},
	}})
	require.NoError(t, err)
	result, err := b.starter.Await(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 22}, result.Steps)
}

// programOfPartitions says what Pipes tells it of its step.
const programOfPartitions = `
import json, sys
from dagster_pipes import open_dagster_pipes
with open_dagster_pipes() as pipes:
    keys, window = pipes.partition_key_range, pipes.partition_time_window
    told = {"key": pipes.partition_key if keys["start"] == keys["end"] else "",
            "range": [keys["start"], keys["end"]], "window": [window["start"], window["end"]]}
    pipes.report_asset_materialization(metadata={"range": "...".join(told["range"])})
    keys = pipes.extras["keys"]
    json.dump({key: told for key in keys} if len(keys) > 1 else told, sys.stdout)
`

type toldOfPartitions struct {
	Key    string    `json:"key"`
	Range  [2]string `json:"range"`
	Window [2]string `json:"window"`
}

func TestProgramsAreToldTheirPartitions(t *testing.T) {
	t.Parallel()
	python := testpython.Interpreter(t)
	b := setup(t)
	days := definitions.Daily("2001-01-01").InZone("America/New_York")
	given := []definitions.CommandOption{definitions.Arguments{"-c", programOfPartitions}, definitions.Extra("keys", days.Keys())}
	one := definitions.Asset("one", definitions.CommandJSON[toldOfPartitions](python, given...), definitions.PartitionedBy(days))
	many := definitions.RangeAsset("many", definitions.CommandJSON[map[string]toldOfPartitions](python, given...), definitions.PartitionedBy(days))
	seen := make(chan map[string]toldOfPartitions, 1)
	look := definitions.Asset("look", definitions.Do2(func(_ definitions.Context, ones, manys map[string]toldOfPartitions) error {
		ones["many"] = manys["2001-01-02"]
		seen <- ones
		return nil
	}, definitions.ByKey(one, definitions.Specific("2001-01-01", "2001-01-02")), definitions.ByKey(many, definitions.Specific("2001-01-02"))))
	const location = "programs-partitions"
	b.serve(t, definitions.New(location, one, many, look))
	run, err := b.starter.StartRun(t.Context(), starter.NewRun{Location: location, Request: wire.RunRequest{
		Assets: keysOf("one", "many", "look"), Range: &wire.PartitionRange{Start: "2001-01-01", End: "2001-01-02"},
	}})
	require.NoError(t, err)
	_, err = b.starter.Await(t.Context(), run.ID)
	require.NoError(t, err)
	day := func(n string) [2]string { return [2]string{n, n} }
	require.Equal(t, map[string]toldOfPartitions{
		"2001-01-01": {"2001-01-01", day("2001-01-01"), [2]string{"2001-01-01T00:00:00-05:00", "2001-01-02T00:00:00-05:00"}},
		"2001-01-02": {"2001-01-02", day("2001-01-02"), [2]string{"2001-01-02T00:00:00-05:00", "2001-01-03T00:00:00-05:00"}},
		"many":       {"", [2]string{"2001-01-01", "2001-01-02"}, [2]string{"2001-01-01T00:00:00-05:00", "2001-01-03T00:00:00-05:00"}},
	}, <-seen)
}

func TestADeployChangesPartitionsUnderARun(t *testing.T) {
	t.Parallel()
	before := []testlocation.Asset{{Key: "flights", Days: 3}, {Key: "delays", Days: 3, Inputs: []string{"flights"}}, {Key: "report", Days: 3, Inputs: []string{"delays"}, Ranged: true}}
	longer := []testlocation.Asset{{Key: "flights", Days: 9}, {Key: "delays", Days: 9, Inputs: []string{"flights"}}, {Key: "report", Days: 9, Inputs: []string{"delays"}, Ranged: true}}
	f := newFixture(t, before, "PERDURE_RUN_DEPLOY_GRACE=5s")
	leaving := f.worker(t, "b1")
	held := testlocation.PartitionKey("flights", testlocation.Day(1))
	f.instruct(t, held, testlocation.Instruction{Hold: true})
	run := f.startOver(t, "1", overFirstDays(3, "flights", "delays", "report"))
	f.awaitStep(t, run, "delays@2001-01-03", func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	renewed := &fixture{Instance: f.Instance, dsn: f.dsn, spec: testlocation.Spec{Location: f.spec.Location, Assets: longer}}
	renewed.worker(t, "b2")
	require.NoError(t, leaving.Kill())
	f.awaitNotes(t, testlocation.Called, "flights", 4)
	f.release(t, held)
	f.requireMade(t, run, made{"flights": dayKeys(0, 3), "delays": dayKeys(0, 3), "report": dayKeys(0, 3)})
	require.Equal(t, "b2", f.steps(t, run)["report"].Build)

	// Other windows under the same keys are another thing.
	other := slices.Clone(longer)
	for i := range other {
		other[i].Cron = "0 6 * * *"
	}
	f.instruct(t, held, testlocation.Instruction{Hold: true})
	run = renewed.startOver(t, "2", overFirstDays(3, "flights", "delays", "report"))
	f.awaitNotes(t, testlocation.Called, "flights", 7)
	changed := &fixture{Instance: f.Instance, dsn: f.dsn, spec: testlocation.Spec{Location: f.spec.Location, Assets: other}}
	changed.worker(t, "b3")
	f.release(t, held)
	renewed.requireMade(t, run, made{"flights": dayKeys(0, 3), "delays": dayKeys(0, 3), "report": dayKeys(0, 3)})
	for key, step := range f.steps(t, run) {
		require.Equal(t, "b2", step.Build, key)
	}
}
