package definitions_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

// received is events with these payloads.
func received(payloads ...string) []d.ReceivedEvent {
	var events []d.ReceivedEvent
	for i, p := range payloads {
		events = append(events, d.ReceivedEvent{ID: string(rune('a' + i)), At: atSix, Payload: json.RawMessage(p)})
	}
	return events
}

// reads says what becomes of payloads of a type: the values, and what is wrong with those that do not fit.
func reads[E any](t *testing.T, payloads ...string) ([]d.Event[E], map[int]string) {
	t.Helper()
	asset := constant("a")
	job := d.AssetJob("job", d.Assets(asset))
	var got []d.Event[E]
	runtime := runtimeOf(t, asset, job, d.Sensor("s", []*d.Job{job}, d.Bind1(func(_ d.Context, events []d.Event[E]) (d.Tick[int], error) {
		got = events
		return d.Tick[int]{}, nil
	}, d.Events[E]())))
	events := received(payloads...)
	wrong, err := runtime.CheckEvents("s", events)
	require.NoError(t, err)
	_, err = runtime.EvaluateSensor(t.Context(), "s", d.Evaluation{Events: events})
	if len(wrong) == 0 {
		require.NoError(t, err)
		return got, wrong
	}
	require.Error(t, err, "what does not fit never reaches the function")
	require.Nil(t, got)
	return nil, wrong
}

func TestEventsAreReadStrictly(t *testing.T) {
	t.Parallel()
	type inner struct {
		Code string `config:"required" enum:"a,b"`
	}
	type event struct {
		MinFlights int
		URLPath    string `json:"url"`
		At         time.Time
		For        time.Duration
		Inner      *inner
		List       []inner
		Map        map[string]float64
		Raw        json.RawMessage
		Any        any
	}
	got, wrong := reads[event](
		t, `{}`,
		`{"min_flights": 3.0, "url": "/", "at": "2001-01-01T00:00:00Z", "for": "1m30s", "inner": {"code":"a"}, "list": [{"code":"b"}], "map": {"x": 1.5}, "raw": {"b": 1, "a": [null]}, "any": [1, "x"]}`,
		`{"inner": null, "any": null, "raw": null}`,
	)
	require.Empty(t, wrong)
	require.Equal(t, []d.Event[event]{
		{ID: "a", At: atSix},
		{ID: "b", At: atSix, Payload: event{
			MinFlights: 3, URLPath: "/", At: time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), For: 90 * time.Second, Inner: &inner{"a"}, List: []inner{{"b"}},
			Map: map[string]float64{"x": 1.5}, Raw: json.RawMessage(`{"a":[null],"b":1}`), Any: []any{json.Number("1"), "x"},
		}},
		{ID: "c", At: atSix, Payload: event{Raw: json.RawMessage("null")}},
	}, got)

	_, wrong = reads[event](t, `{"min_flights":"many","url":1,"MinFlights":2,"at":"noon","for":3,"inner":{"code":"c","x":1},"list":[{}],"map":[],"any":1}`, `{}`, `[]`, `nonsense`, ``, `{"url":"a","url":"b"}`)
	require.Equal(t, map[int]string{
		0: `min_flights: must be a whole number, not "many"; url: must be a string, not 1; at: "noon" is no time in RFC 3339 (write it as "2001-01-31T06:00:00Z"); ` +
			`for: must be a duration such as "1m30s", not 3; inner.code: "c" is not allowed (use one of "a" or "b"); inner.x: unknown field "x" (known: code); list[0].code: is required (give it a value); ` +
			`map: must be an object, not a list; MinFlights: unknown field "MinFlights" (did you mean "min_flights"? known: any, at, for, inner, list, map, min_flights, raw, url)`,
		2: `must be an object, not a list`,
		3: wrong[3], 4: `there is no JSON value`, 5: `url: is given twice (give it once)`,
	}, wrong)
	require.Contains(t, wrong[3], "is not JSON")
}

func TestEventsOfOtherTypes(t *testing.T) {
	t.Parallel()
	texts, wrong := reads[string](t, `"x"`)
	require.Empty(t, wrong)
	require.Equal(t, "x", texts[0].Payload)
	raw, wrong := reads[json.RawMessage](t, `[1, 2]`, `null`)
	require.Empty(t, wrong)
	require.Equal(t, `[1,2]`, string(raw[0].Payload))
	anything, wrong := reads[any](t, `{"a":1}`, `null`)
	require.Empty(t, wrong)
	require.Equal(t, map[string]any{"a": json.Number("1")}, anything[0].Payload)
	require.Nil(t, anything[1].Payload)
	_, wrong = reads[[]int](t, `[1,"2"]`)
	require.Equal(t, map[int]string{0: `[1]: must be a whole number, not "2"`}, wrong)

	asset := constant("a")
	job := d.AssetJob("job", d.Assets(asset))
	wrong, err := runtimeOf(t, asset, job, d.Sensor("s", []*d.Job{job}, noTick(d.TheTick))).CheckEvents("s", received(`nonsense`))
	require.NoError(t, err)
	require.Empty(t, wrong, "a sensor that takes no events is only woken by them")
}

func TestAnAssetSensorTakesInAllThatIsNew(t *testing.T) {
	t.Parallel()
	east, west := d.External[int]("east"), d.External[int]("west")
	job := d.AssetJob("job", d.Assets(constantA))
	var got []d.Materialization
	fail := false
	fn := d.Bind1(func(_ d.Context, seen []d.Materialization) (d.Tick[d.Nothing], error) {
		got = seen
		if fail {
			return d.Tick[d.Nothing]{}, errors.New("broken")
		}
		return d.Tick[d.Nothing]{Runs: []d.RunRequest{job.Request()}}, nil
	}, d.NewMaterializations)
	watched := []d.AnyAsset{east, west, east}
	runtime := runtimeOf(t, constantA, east, west, job, d.AssetSensor("one", watched, []*d.Job{job}, fn), d.AssetSensor("all", watched, []*d.Job{job}, fn, d.WhenAll{}))
	records := []d.LogRecord{
		{Position: 3, At: atSix, Asset: "east", Partition: "p", RunID: "r", Step: "east", Cause: "c", Metadata: []wire.Metadatum{{Label: "n", Type: wire.MetadataInt, Value: json.RawMessage(`1`)}}, DataVersion: "v"},
		{Position: 4, At: atSix, Asset: "east"},
	}
	evaluated, err := runtime.EvaluateSensor(t.Context(), "one", d.Evaluation{Records: records})
	require.NoError(t, err)
	require.Len(t, evaluated.Runs, 1)
	require.Equal(t, 2, evaluated.Consumed)
	require.Equal(t, []d.Materialization{
		{Position: 3, At: atSix, Asset: "east", Partition: "p", Run: "r", Step: "east", Cause: "c", Metadata: []d.Metadatum{d.Int("n", 1)}, DataVersion: "v"},
		{Position: 4, At: atSix, Asset: "east", Metadata: []d.Metadatum{}},
	}, got)

	got = nil
	evaluated, err = runtime.EvaluateSensor(t.Context(), "all", d.Evaluation{Records: records})
	require.NoError(t, err)
	require.Equal(t, d.Evaluated{Skip: `nothing new of "west"`}, evaluated, "they are read again, with those that come after")
	require.Nil(t, got)

	evaluated, err = runtime.EvaluateSensor(t.Context(), "all", d.Evaluation{Records: append(records, d.LogRecord{Position: 7, Asset: "west"})})
	require.NoError(t, err)
	require.Equal(t, 3, evaluated.Consumed)
	require.Len(t, got, 3)

	fail = true
	evaluated, err = runtime.EvaluateSensor(t.Context(), "one", d.Evaluation{Records: records})
	require.EqualError(t, err, "broken")
	require.Equal(t, d.Evaluated{}, evaluated, "what it failed for is read again")
}

var constantA = constant("a")

func TestARunSensorHearsOfEachRunOnce(t *testing.T) {
	t.Parallel()
	job := d.AssetJob("job", d.Assets(constantA))
	var heard []string
	sensor := d.RunStatusSensor("s", []d.RunStatus{d.RunSucceeded, d.RunFailed}, d.Bind1(func(_ d.Context, run d.MonitoredRun) (d.Requests, error) {
		heard = append(heard, run.ID)
		switch run.Job {
		case "asks":
			return d.Requests{Runs: []d.RunRequest{job.Request(d.RunKey(run.ID))}}, nil
		case "skips":
			return d.Requests{Skip: "not this one"}, nil
		case "fails":
			return d.Requests{}, errors.New("broken")
		case "panics":
			panic("broken")
		}
		return d.Requests{}, nil
	}, d.TheRun), d.Targets(job))
	runtime := runtimeOf(t, constantA, job, sensor)
	for name, test := range map[string]struct {
		jobs     []string
		consumed int
		runs     int
		skip     string
		err      string
	}{
		"none":                       {nil, 0, 0, "", ""},
		"only acts":                  {[]string{"", "", ""}, 3, 0, "", ""},
		"asks at the second":         {[]string{"", "asks", ""}, 2, 1, "", ""},
		"skips at the first":         {[]string{"skips", "asks"}, 1, 0, "not this one", ""},
		"fails at the second":        {[]string{"", "fails", "asks"}, 2, 0, "", "broken"},
		"panics at the last":         {[]string{"", "panics"}, 2, 0, "", "panic: broken"},
		"asks for what is no longer": {[]string{"asks", "asks"}, 1, 1, "", ""},
	} {
		heard = nil
		var records []d.LogRecord
		for i, job := range test.jobs {
			records = append(records, d.LogRecord{RunID: string(rune('a' + i)), Job: job})
		}
		evaluated, err := runtime.EvaluateSensor(t.Context(), "s", d.Evaluation{Records: records})
		if test.err == "" {
			require.NoError(t, err, name)
		} else {
			require.EqualError(t, err, test.err, name)
		}
		require.Equal(t, test.consumed, evaluated.Consumed, name)
		require.Len(t, evaluated.Runs, test.runs, name)
		require.Equal(t, test.skip, evaluated.Skip, name)
		require.Len(t, heard, test.consumed, name)
	}
}

func TestWhatARunSensorIsTold(t *testing.T) {
	t.Parallel()
	job := d.AssetJob("job", d.Assets(constantA))
	var got d.MonitoredRun
	sensor := d.RunFailureSensor("s", d.Do1(func(_ d.Context, run d.MonitoredRun) error {
		got = run
		return nil
	}, d.TheRun), d.Monitor(job, job), d.MonitorLocations("b", "a"))
	runtime := runtimeOf(t, constantA, job, sensor)
	evaluated, err := runtime.EvaluateSensor(t.Context(), "s", d.Evaluation{Records: []d.LogRecord{{
		Position: 9, At: atSix, RunID: "r", Cause: "c", Location: "l", Job: "job", Status: wire.RunFailure, Tags: map[string]string{"a": "b"}, RunPartition: "p",
		Failures: []wire.StepFailureInfo{{Step: "a", Message: "m"}}, Reason: "why", URL: "http://x",
	}}})
	require.NoError(t, err)
	require.Equal(t, d.Evaluated{Consumed: 1}, evaluated)
	require.Equal(t, d.MonitoredRun{
		ID: "r", Location: "l", Job: "job", Status: d.RunFailed, At: atSix, Position: 9, Tags: map[string]string{"a": "b"}, Partition: "p", Cause: "c",
		Failures: []d.StepFailure{{Step: "a", Message: "m"}}, Reason: "why", URL: "http://x",
	}, got)
	lowered := runtime.Snapshot().Sensors[0]
	require.Equal(t, []string{"job"}, lowered.MonitoredJobs)
	require.Equal(t, []string{"a", "b"}, lowered.MonitoredLocations)
	require.Equal(t, []wire.RunStatus{wire.RunFailure}, lowered.Statuses)
}
