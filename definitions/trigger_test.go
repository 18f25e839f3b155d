package definitions_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

type arrival struct{ File string }

func TestAScheduleAndASensorAreEvaluated(t *testing.T) {
	t.Parallel()
	days := definitions.Daily("2001-01-01").InZone("America/New_York")
	flights := definitions.Asset("flights", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }), definitions.PartitionedBy(days))
	daily := definitions.AssetJob("daily", definitions.Assets(flights))
	nightly := definitions.Schedule("nightly", daily, definitions.Cron{Expr: "0 6 * * *", Zone: "America/New_York"},
		definitions.Evaluate(definitions.Bind1(func(_ definitions.Context, at time.Time) ([]definitions.RunRequest, error) {
			return []definitions.RunRequest{daily.Request(definitions.ForPartition(at.AddDate(0, 0, -1).Format(time.DateOnly)))}, nil
		}, definitions.ScheduledTime)))
	each := definitions.PartitionedSchedule("each", daily, definitions.AtHour(6))
	arrivals := definitions.Sensor("arrivals", []*definitions.Job{daily},
		definitions.Bind2(func(_ definitions.Context, events []definitions.Event[arrival], last string) (definitions.Tick[string], error) {
			tick := definitions.Tick[string]{Cursor: last}
			for _, e := range events {
				tick.Runs = append(tick.Runs, daily.Request(definitions.RunKey(e.ID), definitions.ForPartition(strings.TrimSuffix(e.Payload.File, ".csv"))))
				tick.Cursor = e.Payload.File
			}
			return tick, nil
		}, definitions.Events[arrival](), definitions.CursorOf[string]()))
	location := definitions.New("flights", flights, daily, nightly, each, arrivals)
	runtime, err := definitions.NewRuntime(location, definitions.Environment{Storage: keepsAll{newStore()}})
	require.NoError(t, err)

	at := time.Date(2001, 2, 3, 11, 0, 0, 0, time.UTC)
	got, err := runtime.EvaluateSchedule(t.Context(), "nightly", definitions.Evaluation{ScheduledAt: at})
	require.NoError(t, err)
	require.Equal(t, []wire.TickRun{{Job: "daily", Request: wire.RunRequest{Job: "daily", Partition: "2001-02-02"}}}, got.Runs)

	got, err = runtime.EvaluateSchedule(t.Context(), "each", definitions.Evaluation{ScheduledAt: at})
	require.NoError(t, err)
	require.Equal(t, []wire.TickRun{{Job: "daily", RunKey: "2001-02-02", Request: wire.RunRequest{Job: "daily", Partition: "2001-02-02"}}}, got.Runs)

	got, err = runtime.EvaluateSensor(t.Context(), "arrivals", definitions.Evaluation{Events: []definitions.ReceivedEvent{{ID: "e1", Payload: json.RawMessage(`{"file":"2001-01-05.csv"}`)}}})
	require.NoError(t, err)
	require.Equal(t, []wire.TickRun{{Job: "daily", RunKey: "e1", Request: wire.RunRequest{Job: "daily", Partition: "2001-01-05"}}}, got.Runs)
	require.JSONEq(t, `"2001-01-05.csv"`, string(got.Cursor))

	wrong, err := runtime.CheckEvents("arrivals", []definitions.ReceivedEvent{{ID: "e1", Payload: json.RawMessage(`{"file":"a"}`)}, {ID: "e2", Payload: json.RawMessage(`{"file":3,"x":1}`)}})
	require.NoError(t, err)
	require.Equal(t, map[int]string{1: "file: must be a string, not 3; x: unknown field \"x\" (known: file)"}, wrong)

	snapshot, err := location.Snapshot()
	require.NoError(t, err)
	require.Len(t, snapshot.Schedules, 2)
	require.Equal(t, []string{"0 6 * * *"}, snapshot.Schedules[0].Crons)
	require.Equal(t, "America/New_York", snapshot.Schedules[0].Zone)
	data, err := json.Marshal(snapshot.Sensors)
	require.NoError(t, err)
	t.Log(string(data))
}
