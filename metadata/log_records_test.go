package metadata_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// readAll reads for a sensor until there is no more, taking in as many records at a time as take says; positions never go back.
func (b *bench) readAll(sensor plan.Sensor, position int64, take func(records int) int) (records []metadata.LogRecord) {
	b.Helper()
	for {
		read, err := b.ReadForSensor(b.Context(), "flights", sensor, &position)
		require.NoError(b, err)
		require.GreaterOrEqual(b, read.Upto, position)
		if len(read.Records) == 0 {
			require.False(b, read.More)
			return records
		}
		taken := take(len(read.Records))
		records = append(records, read.Records[:taken]...)
		if position = read.Records[taken-1].Position; taken == len(read.Records) {
			position = read.Upto
		}
	}
}

func positions(records []metadata.LogRecord) (all []int64) {
	for _, record := range records {
		all = append(all, record.Position)
	}
	return all
}

// Whatever a run sensor watches, and however many records it takes in at a time, it reads each event that fits, once and in order.
func TestARunSensorReadsWhatItWatches(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	locations, jobs := []string{"flights", "trains", "ships"}, []string{"", "daily", "weekly"}
	runs := map[string]metadata.NewRun{}
	for i := range 120 {
		run := newRun(fmt.Sprintf("r%d", i), step("a"))
		run.Location, run.Plan.Job = locations[random.IntN(3)], jobs[random.IntN(3)]
		_, err := b.PlanRun(t.Context(), run)
		require.NoError(t, err)
		runs[run.ID] = run
		if i%10 == 0 {
			b.committed(run.ID, "a", 1, "a")
		}
		switch random.IntN(4) {
		case 0:
			b.end(run.ID, 9, wire.RunFailure)
		case 1:
			b.end(run.ID, 9, wire.RunSuccess)
		case 2:
			_, err := b.MarkCanceling(t.Context(), metadata.Canceling{RunID: run.ID, FirstRunID: run.FirstRunID})
			require.NoError(t, err)
			b.end(run.ID, 9, wire.RunCanceled)
		}
	}
	// A run that is forgotten is passed over.
	_, err := b.db.ExecContext(t.Context(), "delete from runs where run_id = 'r7'")
	require.NoError(t, err)
	delete(runs, "r7")
	events, err := b.Events(t.Context(), 0, metadata.EventFilter{}, 1000)
	require.NoError(t, err)
	types := map[wire.RunStatus]metadata.EventType{
		wire.RunStarted: metadata.EventRunStart, wire.RunFailure: metadata.EventRunFailure, wire.RunSuccess: metadata.EventRunSuccess,
		wire.RunCanceling: metadata.EventRunCanceling, wire.RunCanceled: metadata.EventRunCanceled, wire.RunQueued: metadata.EventRunEnqueued,
	}
	for range 40 {
		sensor := plan.Sensor{Name: "s", Kind: plan.SensorOfRuns}
		for status := range types {
			if random.IntN(2) == 0 {
				sensor.Statuses = append(sensor.Statuses, status)
			}
		}
		switch random.IntN(4) {
		case 0:
			sensor.AllLocations = true
		case 1:
			sensor.MonitoredLocations = locations[random.IntN(2)+1:]
		case 2:
			sensor.MonitoredJobs = jobs[1 : 2+random.IntN(2)]
		}
		after := int64(random.IntN(100))
		var wanted []int64
		for _, event := range events {
			run, known := runs[event.Run]
			watched := slices.ContainsFunc(sensor.Statuses, func(status wire.RunStatus) bool { return types[status] == event.Type })
			there := sensor.AllLocations || slices.Contains(sensor.MonitoredLocations, run.Location) ||
				sensor.MonitoredLocations == nil && run.Location == "flights" && (sensor.MonitoredJobs == nil || slices.Contains(sensor.MonitoredJobs, run.Plan.Job))
			if event.Position > after && known && watched && there {
				wanted = append(wanted, event.Position)
			}
		}
		records := b.readAll(sensor, after, func(records int) int { return 1 + random.IntN(records) })
		require.Equal(t, wanted, positions(records), "%+v after %d", sensor, after)
		for _, record := range records {
			require.Equal(t, runs[record.Run].Location, record.Location)
			require.Equal(t, runs[record.Run].Plan.Job, record.Job)
			require.Equal(t, record.Type, types[record.RunStatus()])
			require.Equal(t, "delays", record.Tags["team"])
			_, _, err := record.RunEvent()
			require.NoError(t, err)
		}
	}
}

func TestARunSensorIsToldWhyARunFailed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sensor := plan.Sensor{Name: "s", Kind: plan.SensorOfRuns, Statuses: []wire.RunStatus{wire.RunFailure}}
	read, err := b.ReadForSensor(t.Context(), "flights", sensor, nil)
	require.NoError(t, err)
	require.Equal(t, metadata.LogRead{}, read)
	run := newRun("r1", step("a"))
	run.Request.Trigger = &wire.RunTrigger{Kind: wire.TriggerSensor, Name: "s", Tick: "4"}
	run.Plan.Tags = map[string]string{plan.TagPartition: "2001-01-01"}
	_, err = b.PlanRun(t.Context(), run)
	require.NoError(t, err)
	fence := b.granted("r1", "a", 1, 1)
	b.fail(fence, 1, true)
	b.end("r1", 9, wire.RunFailure)
	read, err = b.ReadForSensor(t.Context(), "flights", sensor, nil)
	require.NoError(t, err)
	require.Empty(t, read.Records, "without a position it begins at the end")
	zero := int64(0)
	read, err = b.ReadForSensor(t.Context(), "flights", sensor, &zero)
	require.NoError(t, err)
	require.Len(t, read.Records, 1)
	record := read.Records[0]
	failures, reason, err := record.RunEvent()
	require.NoError(t, err)
	require.Equal(t, []wire.StepFailureInfo{{Step: "a", Message: "no such file"}}, failures)
	require.Empty(t, reason)
	require.Equal(t, wire.RunFailure, record.RunStatus())
	require.Equal(t, "s", record.TriggerName)
	require.Equal(t, wire.TriggerSensor, record.TriggerKind)
	require.Equal(t, "2001-01-01", record.RunPartition)
	require.Nil(t, record.WillRetry)
	_, err = b.DecideRetry(t.Context(), "r1", 1)
	require.NoError(t, err)
	read, err = b.ReadForSensor(t.Context(), "flights", sensor, &zero)
	require.NoError(t, err)
	require.True(t, *read.Records[0].WillRetry)
}

func TestAnAssetSensorReadsInOrderAndBeginsWithTheNewest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	random := rand.New(rand.NewPCG(7, 7))
	all := map[string][]int64{}
	assets := []string{"x", "y", "z"}
	b.begin("r1", step("s", "x"))
	b.committed("r1", "s", 1, "x")
	for i := range 100 {
		asset := assets[random.IntN(len(assets))]
		report := reported(fmt.Sprintf("e%d", i), "k")
		report.Asset = asset
		if i%5 == 0 {
			report.Type = wire.ReportObservation
		}
		_, err := b.Report(t.Context(), report)
		require.NoError(t, err)
	}
	events, err := b.Events(t.Context(), 0, metadata.EventFilter{Types: []metadata.EventType{metadata.EventMaterialization}}, 1000)
	require.NoError(t, err)
	for _, event := range events {
		all[event.Asset] = append(all[event.Asset], event.Position)
	}
	_, err = b.WipeAsset(t.Context(), metadata.Wipe{Asset: "y"})
	require.NoError(t, err)
	watching := plan.Sensor{Name: "s", Kind: plan.SensorOfAssets, Assets: []string{"x", "y"}}

	records := b.readAll(watching, 0, func(records int) int { return 1 + random.IntN(records) })
	require.Equal(t, slices.Sorted(slices.Values(slices.Concat(all["x"], all["y"]))), positions(records), "also what was wiped since has happened")
	for _, record := range records[1:] {
		require.Len(t, record.Metadata, 1)
		require.Equal(t, "rows", record.Metadata[0].Label)
		require.Equal(t, "7", record.DataVersion)
		require.Equal(t, "k", record.Event.Partition)
		require.Empty(t, record.RunStatus())
	}
	require.Equal(t, "r1", records[0].Run)
	require.Equal(t, "dx", records[0].DataVersion)
	require.JSONEq(t, "42", string(records[0].Metadata[0].Value))

	last := func(asset string) int64 { return all[asset][len(all[asset])-1] }
	read, err := b.ReadForSensor(t.Context(), "flights", watching, nil)
	require.NoError(t, err)
	require.ElementsMatch(t, []int64{last("x"), last("y")}, positions(read.Records))
	head, err := b.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, head, read.Upto)

	watching.All = true
	zero := int64(0)
	read, err = b.ReadForSensor(t.Context(), "flights", watching, &zero)
	require.NoError(t, err)
	require.Empty(t, read.Waiting)
	newest := func(asset string) []int64 { return all[asset][max(0, len(all[asset])-25):] }
	require.Equal(t, slices.Sorted(slices.Values(slices.Concat(newest("x"), newest("y")))), positions(read.Records))
	between := max(last("x"), last("y")) - 1
	read, err = b.ReadForSensor(t.Context(), "flights", watching, &between)
	require.NoError(t, err)
	require.Len(t, read.Waiting, 1)
	require.Len(t, read.Records, 1)
}

func TestAFailedReadingMovesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.SyncTriggers(t.Context(), "flights", []metadata.DefinedTrigger{
		{Kind: wire.TriggerSensor, Name: "failed", Definition: json.RawMessage("{}"), Declared: wire.TriggerRunning},
	})
	require.NoError(t, err)
	id := metadata.TriggerID{Location: "flights", Kind: wire.TriggerSensor, Name: "failed"}
	b.begin("r1", step("a"))
	b.begin("r2", step("a"))
	begin := func(key string) metadata.Tick {
		tick, err := b.BeginTick(t.Context(), metadata.NewTick{TriggerID: id, Key: key, Cause: "c"})
		require.NoError(t, err)
		return tick
	}
	tick := begin("1")
	failed := metadata.FailedReading{
		TickEnd:  metadata.TickEnd{ID: tick.ID, Status: wire.TickFailure, Error: &wire.TickError{Message: "no mail"}},
		Position: 17, Reactions: []metadata.Reaction{{Run: "r1"}, {Run: "r2", Problem: "no mail"}},
	}
	ended, err := b.FailReading(t.Context(), failed)
	require.NoError(t, err)
	require.Equal(t, wire.TickFailure, ended.Status)
	require.Equal(t, "no mail", ended.Error.Message)
	row, err := b.Trigger(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, int64(17), *row.Position)
	require.Equal(t, 1, row.Failures)
	require.Equal(t, metadata.EventSensorReacted, b.types("r1")[len(b.types("r1"))-1])
	require.Equal(t, 1, b.count("select count(*) from event_log where type = 'SENSOR_REACTED' and run_id = 'r2' and body->>'problem' = 'no mail' and cause = 'cause-of-r2'"))
	before := b.dump()
	failed.Position = 99
	again, err := b.FailReading(t.Context(), failed)
	require.NoError(t, err)
	require.Equal(t, ended, again)
	require.Equal(t, before, b.dump())
	row, err = b.Trigger(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, int64(17), *row.Position)

	require.NoError(t, b.AdvancePosition(t.Context(), id, 16, 30))
	require.NoError(t, b.AdvancePosition(t.Context(), id, 17, 40))
	row, err = b.Trigger(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, int64(40), *row.Position)

	position := int64(50)
	_, _, decided, err := b.DecideSensorTick(t.Context(), metadata.SensorDecision{
		TickDecision: metadata.TickDecision{ID: begin("2").ID, Skip: "told", Position: &position}, Reactions: []metadata.Reaction{{Run: "r1"}},
	})
	require.NoError(t, err)
	require.True(t, decided)
	require.Equal(t, 2, b.count("select count(*) from event_log where type = 'SENSOR_REACTED' and run_id = 'r1'"))
}

// A long log of events that are of no interest to a sensor is not read through: its indexes lead to what is.
func TestSensorsReadByIndex(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.db.ExecContext(t.Context(), `
		insert into event_log (position, at, type, run_id, asset)
		select n, clock_v1(), case when n % 1000 = 0 then 'RUN_FAILURE' when n % 10 = 0 then 'RUN_SUCCESS' else 'ASSET_MATERIALIZATION' end,
		       'r' || n / 20, case when n % 10 > 0 then 'a' || n % 500 else '' end
		from generate_series(1, 60000) n`)
	require.NoError(t, err)
	_, err = b.db.ExecContext(t.Context(), "update log_head set position = 60000; analyze event_log")
	require.NoError(t, err)
	var month string
	require.NoError(t, b.db.GetContext(t.Context(), &month, "select min(tableoid::regclass::text) from event_log"))
	for query, index := range map[string]string{
		`select position from event_log l where left(l.type, 4) = 'RUN_' and l.type = 'RUN_FAILURE' and l.position > 10000 order by l.position limit 1000`:                 "type_position_idx",
		`select position from event_log l where l.asset = 'a3' and l.asset <> '' and l.type = 'ASSET_MATERIALIZATION' and l.position > 100 order by l.position limit 1000`: "asset_position_idx",
	} {
		var lines []string
		require.NoError(t, b.db.SelectContext(t.Context(), &lines, "explain "+query))
		explained := strings.Join(lines, "\n")
		require.Contains(t, explained, index)
		require.NotContains(t, explained, "Seq Scan on "+month)
	}
	began := time.Now()
	zero := int64(0)
	read, err := b.ReadForSensor(t.Context(), "flights", plan.Sensor{Kind: plan.SensorOfRuns, Statuses: []wire.RunStatus{wire.RunSuccess}, AllLocations: true}, &zero)
	require.NoError(t, err)
	require.Empty(t, read.Records, "there are no such runs")
	require.Equal(t, int64(60000), read.Upto)
	t.Logf("passed over 5,940 events in %s", time.Since(began))
}
