package definitions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

// always is a sensor's function that gives one answer.
func always[C any](tick d.Tick[C]) d.Compute[d.Tick[C]] {
	return d.Bind0(func(d.Context) (d.Tick[C], error) { return tick, nil })
}

// at six is when schedules of the tests are due.
var atSix = time.Date(2001, time.February, 3, 6, 0, 0, 0, time.UTC)

func TestWhatARequestBecomes(t *testing.T) {
	t.Parallel()
	type limits struct{ Size, Depth int }
	config := d.Config(limits{Size: 1, Depth: 1})
	sized := d.Asset("sized", d.Bind1(func(_ d.Context, l limits) (int, error) { return l.Size, nil }, config))
	other := constant("other")
	job := d.AssetJob("job", d.Assets(sized, other), d.Tags{"team": "a"}, d.Configure(config, limits{2, 2}))
	days := d.Daily("2001-01-01")
	daily := constant("daily", d.PartitionedBy(days))
	dailyJob := d.AssetJob("daily_job", d.Assets(daily))

	for name, test := range map[string]struct {
		asked d.RunRequest
		want  wire.TickRun
	}{
		"the job":    {job.Request(), wire.TickRun{Job: "job", Request: wire.RunRequest{Job: "job"}}},
		"its config": {job.Request(d.Configure(config, limits{3, 4})), wire.TickRun{Job: "job", Request: wire.RunRequest{Job: "job", Config: json.RawMessage(`{"assets":{"sized":{"depth":4,"size":3}}}`)}}},
		"config as JSON": {
			job.Request(d.RunConfig(`{"assets": {"sized": {"size": 3}}}`)),
			wire.TickRun{Job: "job", Request: wire.RunRequest{Job: "job", Config: json.RawMessage(`{"assets":{"sized":{"size":3}}}`)}},
		},
		"the rest": {
			job.Request(d.RunKey("k"), d.Tags{"file": "a"}, d.HighPriority, d.Title("t"), d.StaleOnly{}),
			wire.TickRun{Job: "job", RunKey: "k", Request: wire.RunRequest{Job: "job", Tags: map[string]string{"file": "a"}, Priority: 1, Title: "t", Only: wire.OnlyStale}},
		},
		"some assets": {
			job.Request(d.OnlyAssets(d.Assets(other))),
			wire.TickRun{Job: "job", Request: wire.RunRequest{Job: "job", Assets: wire.AssetSelection{Keys: []string{"other"}}}},
		},
		"some assets by an expression": {
			job.Request(d.OnlyAssets(d.Select("sized"))), wire.TickRun{Job: "job", Request: wire.RunRequest{Job: "job", Assets: wire.AssetSelection{Expression: "sized"}}},
		},
		"a partition": {dailyJob.Request(d.ForPartition("2001-01-01")), wire.TickRun{Job: "daily_job", Request: wire.RunRequest{Job: "daily_job", Partition: "2001-01-01"}}},
		"partitions": {
			dailyJob.Request(d.ForPartitions("2001-01-01", "2001-01-03")),
			wire.TickRun{Job: "daily_job", Request: wire.RunRequest{Job: "daily_job", Partitions: []string{"2001-01-01", "2001-01-03"}}},
		},
		"a range": {
			dailyJob.Request(d.ForRange("2001-01-01", "2001-01-03")),
			wire.TickRun{Job: "daily_job", Request: wire.RunRequest{Job: "daily_job", Range: &wire.PartitionRange{Start: "2001-01-01", End: "2001-01-03"}}},
		},
		"all partitions": {dailyJob.Request(d.ForAllPartitions{}), wire.TickRun{Job: "daily_job", Request: wire.RunRequest{Job: "daily_job", AllPartitions: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sensor := d.Sensor("s", []*d.Job{job, dailyJob}, always(d.Tick[d.Nothing]{Runs: []d.RunRequest{test.asked}}))
			evaluated, err := runtimeOf(t, sized, other, daily, job, dailyJob, sensor).EvaluateSensor(t.Context(), "s", d.Evaluation{})
			require.NoError(t, err)
			require.Equal(t, d.Evaluated{Runs: []wire.TickRun{test.want}}, evaluated)

			ticked, err := d.EvaluateSensor(t.Context(), d.New("x", sized, other, daily, job, dailyJob, sensor), sensor)
			require.NoError(t, err)
			require.Len(t, ticked.Runs, 1)
			require.True(t, strings.HasPrefix(ticked.Runs[0].String(), test.want.Job), ticked.Runs[0])
			require.Equal(t, test.want.RunKey, ticked.Runs[0].RunKey)
		})
	}
	r := dailyJob.Request(d.RunKey("k"), d.ForPartition("p"), d.Tags{"a": "b"})
	require.Equal(t, []any{dailyJob, "k", "p", map[string]string{"a": "b"}}, []any{r.Job(), r.Key(), r.Partition(), r.Tags()})
}

func TestAllThatIsWrongWithTheRequestsOfATickIsToldAtOnce(t *testing.T) {
	t.Parallel()
	config := d.Config(struct {
		Size int `enum:"1,2"`
	}{1})
	sized := d.Asset("sized", d.Bind1(func(_ d.Context, c struct {
		Size int `enum:"1,2"`
	},
	) (int, error) {
		return c.Size, nil
	}, config))
	asset, inside := constant("a"), d.AssetJob("inside", d.Select("a or sized"))
	outside := d.AssetJob("outside", d.Assets(asset))
	var many []d.RunRequest
	for i := range 3 {
		many = append(many, inside.Request(d.RunKey(fmt.Sprint("e", i)), d.RunConfig(`{"assets":{"sized":{"size":"large"}}}`), d.ForPartition(fmt.Sprint("p", i))))
	}
	sensor := d.Sensor("s", []*d.Job{inside}, always(d.Tick[d.Nothing]{Runs: append(many,
		outside.Request(d.RunKey("e3")), inside.Request(d.OnlyAssets(d.Select("zebra"))),
		inside.Request(d.Configure(config, struct {
			Size int `enum:"1,2"`
		}{7})))}))
	_, err := runtimeOf(t, sized, asset, inside, outside, sensor).EvaluateSensor(t.Context(), "s", d.Evaluation{})
	var paths []string
	for _, p := range wire.ProblemsOf(err) {
		require.NotEmpty(t, p.Message)
		paths = append(paths, p.Path)
	}
	require.Equal(t, []string{
		`runs[0] (job "inside", run key "e0", partition "p0").partition`, `runs[0] (job "inside", run key "e0", partition "p0").config.assets.sized.size`,
		`runs[1] (job "inside", run key "e1", partition "p1").partition`, `runs[1] (job "inside", run key "e1", partition "p1").config.assets.sized.size`,
		`runs[2] (job "inside", run key "e2", partition "p2").partition`, `runs[2] (job "inside", run key "e2", partition "p2").config.assets.sized.size`,
		`runs[3] (job "outside", run key "e3").job`,
		`runs[4] (job "inside").assets`,
		`runs[5] (job "inside").config.size`,
	}, paths, "%v", err)
}

func TestWhatASensorMayNotAnswer(t *testing.T) {
	t.Parallel()
	asset := constant("a")
	job := d.AssetJob("job", d.Assets(asset))
	sliced := constant("sliced", d.PartitionedBy(d.Static("x")))
	unlisted := constant("unlisted")
	var undeclared *d.DynamicPartitions
	for name, test := range map[string]struct {
		sensor *d.SensorOf[int]
		want   string
	}{
		"runs and a reason for none": {
			d.Sensor("s", []*d.Job{job}, always(d.Tick[int]{Runs: []d.RunRequest{job.Request()}, Skip: "no"})),
			`it requests 1 runs, and says why there are none ("no"): leave one of the two out`,
		},
		"runs without a target": {
			d.Sensor("s", nil, always(d.Tick[int]{Runs: []d.RunRequest{job.Request()}}), d.OnlyActs{}),
			`runs[0] (job "job").job: sensor "s" requests runs, and has no targets (list the jobs that it may request runs of)`,
		},
		"too many runs": {
			d.Sensor("s", []*d.Job{job}, always(d.Tick[int]{Runs: make([]d.RunRequest, 10_001)})),
			"it requests 10001 runs, and a tick at most 10000: request them in several ticks, or start a backfill",
		},
		"a cursor and none": {d.Sensor("s", []*d.Job{job}, always(d.Tick[int]{Cursor: 1, Reset: true})), "the tick has a cursor, and Reset: leave one of the two out"},
		"keys that are none": {
			d.Sensor("s", []*d.Job{job}, always(d.Tick[int]{Partitions: []d.PartitionChange{d.Dynamic("names").Add("a", "", "b\x00"), d.Dynamic("names").Remove("")}})),
			`partitions[0]: a key is empty (add another key); partitions[0]: "b\x00" holds a control character (add another key)`,
		},
		"run keys that are none": {
			d.Sensor("s", []*d.Job{job}, always(d.Tick[int]{Runs: []d.RunRequest{job.Request(d.RunKey(strings.Repeat("k", 501))), job.Request(d.RunKey("\xff"))}})),
			`runs[0] (job "job", run key "` + strings.Repeat("k", 60) + `…").run_key: the run key has 501 bytes (use at most 500, a hash for example); ` +
				`runs[1] (job "job", run key "\xff").run_key: the run key "\xff" is no text (use UTF-8 without NUL, a hash in hex for example)`,
		},
		"a set of none": {
			d.Sensor("s", []*d.Job{job}, always(d.Tick[int]{Partitions: []d.PartitionChange{undeclared.Add("a")}})),
			"partitions[0]: it changes a set that was never declared (declare it with Dynamic)",
		},
		"reports": {
			d.Sensor("s", []*d.Job{job}, always(d.Tick[int]{Reports: []d.AssetReport{
				{}, {Asset: unlisted}, {Asset: sliced}, {Asset: asset, Partitions: []string{"x"}}, {Asset: asset, Metadata: []d.Metadatum{{}}},
			}})),
			`reports[0].asset: it reports an asset that was never declared (declare it first); reports[1].asset: it reports asset "unlisted", which is not among the definitions (add it to New("x", …)); ` +
				`reports[2].partitions: asset "sliced" is partitioned, and it is not said what of it (give its Partitions); reports[3].partitions: asset "a" is not partitioned (leave Partitions out); ` +
				`reports[4].metadata: metadata "" has no value: make it with Int, Float, Text or another of the constructors (correct it)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			evaluated, err := runtimeOf(t, asset, sliced, job, test.sensor).EvaluateSensor(t.Context(), "s", d.Evaluation{Cursor: json.RawMessage(`5`)})
			require.EqualError(t, err, test.want)
			require.Equal(t, d.Evaluated{}, evaluated, "nothing of it happens")
		})
	}
}

func TestACursorThatIsTooLarge(t *testing.T) {
	t.Parallel()
	job := d.AssetJob("job", d.Assets(constantA))
	sensor := d.Sensor("s", []*d.Job{job}, always(d.Tick[string]{Cursor: strings.Repeat("c", 64<<10)}))
	_, err := runtimeOf(t, constantA, job, sensor).EvaluateSensor(t.Context(), "s", d.Evaluation{})
	require.EqualError(t, err, "the cursor has 65538 bytes of JSON, and at most 65536 are kept: keep what is large elsewhere, and where it lies here")
}

func TestTheCursorOfASensor(t *testing.T) {
	t.Parallel()
	asset := constant("a")
	job := d.AssetJob("job", d.Assets(asset))
	type place struct{ File, Line string }
	for name, test := range map[string]struct {
		tick   d.Tick[place]
		before string
		want   string
	}{
		"with runs":          {d.Tick[place]{Runs: []d.RunRequest{job.Request()}, Cursor: place{"a", "1"}}, ``, `{"File":"a","Line":"1"}`},
		"with a skip":        {d.Tick[place]{Skip: "nothing", Cursor: place{"a", "2"}}, `{"File":"a","Line":"1"}`, `{"File":"a","Line":"2"}`},
		"not given":          {d.Tick[place]{Skip: "nothing"}, `{"File":"a","Line":"1"}`, ``},
		"the same":           {d.Tick[place]{Cursor: place{"a", "1"}}, `{"File":"a","Line":"1"}`, ``},
		"given up":           {d.Tick[place]{Reset: true}, `{"File":"a","Line":"1"}`, `{"File":"","Line":""}`},
		"of an older build":  {d.Tick[place]{Cursor: place{"b", ""}}, `{"File":"a","Column":3}`, `{"File":"b","Line":""}`},
		"given up at first ": {d.Tick[place]{Reset: true}, ``, `{"File":"","Line":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got place
			sensor := d.Sensor("s", []*d.Job{job}, d.Bind1(func(_ d.Context, cursor place) (d.Tick[place], error) {
				got = cursor
				return test.tick, nil
			}, d.CursorOf[place]()))
			evaluated, err := runtimeOf(t, asset, job, sensor).EvaluateSensor(t.Context(), "s", d.Evaluation{Cursor: json.RawMessage(test.before)})
			require.NoError(t, err)
			require.Equal(t, test.want, string(evaluated.Cursor))
			if strings.Contains(test.before, `"a"`) {
				require.Equal(t, "a", got.File)
			} else {
				require.Zero(t, got)
			}
		})
	}
	sensor := d.Sensor("s", []*d.Job{job}, noTick(d.CursorOf[string]()))
	_, err := runtimeOf(t, asset, job, sensor).EvaluateSensor(t.Context(), "s", d.Evaluation{Cursor: json.RawMessage(`{"a":1}`)})
	require.ErrorContains(t, err, `the cursor {"a":1} does not fit string: set another with "perdure sensor set-cursor"`)
}

func TestAFunctionThatFailsPanicsOrTakesTooLong(t *testing.T) {
	t.Parallel()
	asset := constant("a")
	job := d.AssetJob("job", d.Assets(asset))
	evaluate := func(fn func(ctx d.Context) ([]d.RunRequest, error)) error {
		schedule := d.Schedule("s", job, d.Cron{Expr: "@daily"}, d.Evaluate(d.Bind0(fn)), d.Timeout(20*time.Millisecond))
		evaluated, err := runtimeOf(t, asset, job, schedule).EvaluateSchedule(t.Context(), "s", d.Evaluation{ScheduledAt: atSix})
		require.Equal(t, d.Evaluated{}, evaluated)
		return err
	}
	broken := errors.New("broken")
	require.ErrorIs(t, evaluate(func(d.Context) ([]d.RunRequest, error) { return []d.RunRequest{job.Request()}, broken }), broken)

	var panicked *d.PanicError
	err := evaluate(func(d.Context) ([]d.RunRequest, error) {
		panic(broken)
	})
	require.ErrorAs(t, err, &panicked)
	require.EqualError(t, err, "panic: broken")
	require.Contains(t, panicked.Stack, "trigger_test.go")

	err = evaluate(func(ctx d.Context) ([]d.RunRequest, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "it took longer than its timeout of 20ms")
}

func TestAFunctionThatDoesNotHeedItsTimeIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asset := constant("a")
		job := d.AssetJob("job", d.Assets(asset))
		release := make(chan struct{})
		schedule := d.Schedule("s", job, d.Cron{Expr: "@daily"}, d.Evaluate(d.Bind0(func(d.Context) ([]d.RunRequest, error) {
			<-release
			return nil, nil
		})))
		begun := time.Now()
		_, err := runtimeOf(t, asset, job, schedule).EvaluateSchedule(t.Context(), "s", d.Evaluation{ScheduledAt: atSix})
		require.EqualError(t, err, "it took longer than its timeout of 1m0s, and does not heed the end of its context")
		require.Equal(t, 65*time.Second, time.Since(begun))
		close(release)
	})
}

func TestAScheduleThatRequestsNothingSaysSo(t *testing.T) {
	t.Parallel()
	asset := constant("a")
	job := d.AssetJob("job", d.Assets(asset))
	schedule := d.Schedule("s", job, d.Cron{Expr: "@daily"}, d.Evaluate(d.Bind0(noRuns)))
	evaluated, err := runtimeOf(t, asset, job, schedule).EvaluateSchedule(t.Context(), "s", d.Evaluation{ScheduledAt: atSix})
	require.NoError(t, err)
	require.Equal(t, d.Evaluated{Runs: []wire.TickRun{}, Skip: "its function requested no runs"}, evaluated)
}

func TestWhatATickIsTold(t *testing.T) {
	t.Parallel()
	asset := constant("a")
	job := d.AssetJob("job", d.Assets(asset))
	opened := 0
	store := d.Resource("store", d.Bind0(func(d.Context) (string, error) {
		opened++
		return "store", nil
	}), d.NoClose)
	type told struct {
		at    time.Time
		info  d.TickInfo
		store string
	}
	var got told
	schedule := d.Schedule("s", job, d.Cron{Expr: "0 1 * * *", Zone: "America/New_York"},
		d.Evaluate(d.Bind3(func(ctx d.Context, at time.Time, info d.TickInfo, store string) ([]d.RunRequest, error) {
			got = told{at, info, store}
			ctx.Log().Info("looked", "at", store)
			return nil, nil
		}, d.ScheduledTime, d.TheTick, store)))
	runtime := runtimeOf(t, asset, job, store, schedule)
	var lines strings.Builder
	for range 2 {
		_, err := runtime.EvaluateSchedule(t.Context(), "s", d.Evaluation{
			ScheduledAt: atSix, LastTick: atSix.Add(-time.Hour), LastRunKey: "k", First: true, Log: slog.New(slog.NewTextHandler(&lines, nil)),
		})
		require.NoError(t, err)
	}
	require.Equal(t, "2001-02-03T01:00:00-05:00", got.at.Format(time.RFC3339), "in the zone of the schedule")
	require.Equal(t, d.TickInfo{Last: atSix.Add(-time.Hour), LastRunKey: "k", First: true}, got.info)
	require.Equal(t, "store", got.store)
	require.Equal(t, 1, opened, "a resource is opened once in a process")
	require.Contains(t, lines.String(), `msg=looked at=store`)
	require.Equal(t, []string{"store"}, runtime.Snapshot().Schedules[0].Resources)

	for _, err := range []error{
		second(runtime.EvaluateSchedule(t.Context(), "t", d.Evaluation{})), second(runtime.EvaluateSensor(t.Context(), "s", d.Evaluation{})), second(runtime.CheckEvents("s", nil)),
	} {
		require.ErrorIs(t, err, d.ErrNoTrigger)
	}
}

func TestTheConfigOfWhatATickOpens(t *testing.T) {
	t.Parallel()
	type limits struct{ Size int }
	config := d.Config(limits{1})
	inner := d.Resource("inner", d.Bind1(func(_ d.Context, l limits) (int, error) { return l.Size, nil }, config), d.NoClose)
	store := d.Resource("store", d.Bind1(plusOne, inner), d.NoClose)
	job := d.AssetJob("job", d.Assets(constantA))
	sizes := map[string]int{}
	fn := func(name string) d.Compute[d.Tick[int]] {
		return d.Bind1(func(_ d.Context, size int) (d.Tick[int], error) {
			sizes[name] = size
			return d.Tick[int]{}, nil
		}, store)
	}
	runtime := runtimeOf(t, constantA, job, inner, store, d.Sensor("a", []*d.Job{job}, fn("a")), d.Sensor("b", []*d.Job{job}, fn("b"), d.Configure(config, limits{5})))
	for _, name := range []string{"a", "b"} {
		_, err := runtime.EvaluateSensor(t.Context(), name, d.Evaluation{})
		require.NoError(t, err)
	}
	require.Equal(t, map[string]int{"a": 2, "b": 6}, sizes)
}

func second[T any](_ T, err error) error { return err }

func TestAScheduleWithoutAFunction(t *testing.T) {
	t.Parallel()
	asset := constant("a")
	job := d.AssetJob("job", d.Assets(asset), d.Tags{"a": "b"})
	plain := d.Schedule("plain", job, d.Cron{Expr: "@daily"})
	fixed := d.Schedule("fixed", job, d.Cron{Expr: "@daily"}, d.Requesting(job.Request(d.Title("one"), d.RunKey("k")), job.Request(d.Tags{"c": "d"})))
	runtime := runtimeOf(t, asset, job, plain, fixed)
	evaluated, err := runtime.EvaluateSchedule(t.Context(), "plain", d.Evaluation{ScheduledAt: atSix})
	require.NoError(t, err)
	require.Equal(t, d.Evaluated{Runs: []wire.TickRun{{Job: "job", Request: wire.RunRequest{Job: "job"}}}}, evaluated)
	evaluated, err = runtime.EvaluateSchedule(t.Context(), "fixed", d.Evaluation{ScheduledAt: atSix})
	require.NoError(t, err)
	require.Equal(t, []wire.TickRun{
		{Job: "job", RunKey: "k", Request: wire.RunRequest{Job: "job", Title: "one"}}, {Job: "job", Request: wire.RunRequest{Job: "job", Tags: map[string]string{"c": "d"}}},
	}, evaluated.Runs)
	require.Equal(t, []wire.RunRequest{{Job: "job", Title: "one"}, {Job: "job", Tags: map[string]string{"c": "d"}}}, runtime.Snapshot().Schedules[0].Requests)
}

func TestWhatElseASensorAsksFor(t *testing.T) {
	t.Parallel()
	names := d.Dynamic("names")
	asset, sliced := constant("a"), constant("sliced", d.PartitionedBy(names))
	sensor := d.Sensor("s", nil, always(d.Tick[d.Nothing]{
		Partitions: []d.PartitionChange{names.Add("x", "y", "x"), names.Remove("z"), names.Add()},
		Reports: []d.AssetReport{
			{Asset: asset, Observed: true, Metadata: []d.Metadatum{d.DataVersion("v1"), d.RowCount(3)}, Why: "seen"},
			{Asset: sliced, Partitions: []string{"x", "y"}, Location: "file:///x"},
		},
	}), d.OnlyActs{})
	evaluated, err := runtimeOf(t, asset, sliced, sensor).EvaluateSensor(t.Context(), "s", d.Evaluation{})
	require.NoError(t, err)
	require.Equal(t, d.Evaluated{
		Runs: []wire.TickRun{},
		Add:  []wire.TickPartitions{{Name: "names", Keys: []string{"x", "y"}}}, Remove: []wire.TickPartitions{{Name: "names", Keys: []string{"z"}}},
		Reports: []wire.ReportRequest{
			{
				Asset: "a", Type: wire.ReportObservation, DataVersion: "v1", Why: "seen",
				Metadata: map[string]json.RawMessage{"perdure/row_count": json.RawMessage(`{"type":"int","value":3}`)},
			},
			{Asset: "sliced", Type: wire.ReportMaterialization, Partitions: []string{"x", "y"}, Location: "file:///x"},
		},
	}, evaluated)
}
