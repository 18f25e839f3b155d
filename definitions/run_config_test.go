package definitions_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

type weights struct {
	ByName map[string]int
	Steps  []int
	Size   int
}

func weigh(_ d.Context, w weights) (map[string]int, error) {
	weighed := map[string]int{"size": w.Size, "steps": len(w.Steps)}
	maps.Copy(weighed, w.ByName)
	return weighed, nil
}

func TestWhatConfigLeavesOutHasItsDefaultAndAMapIsTakenWhole(t *testing.T) {
	t.Parallel()
	config := d.Config(weights{ByName: map[string]int{"a": 1}, Steps: []int{1, 2}, Size: 3})
	op := d.Op("weigh", d.Bind1(weigh, config))
	asset := d.Asset("weighed", d.Bind1(weigh, config))
	plain := d.OpJob("plain", []d.AnyValue{op})
	given := d.OpJob("given", []d.AnyValue{op}, d.RunConfig(`{"ops":{"weigh":{"by_name":{"b":2}}}}`))
	whole := d.OpJob("whole", []d.AnyValue{op}, d.Configure(config, weights{ByName: map[string]int{"c": 3}}))
	empty := d.OpJob("empty", []d.AnyValue{op}, d.Configure(config, weights{Size: 1}))
	location := d.New("x", asset, plain, given, whole, empty)
	for _, test := range []struct {
		job     *d.Job
		options []d.MaterializeOption
		want    map[string]int
	}{
		{plain, nil, map[string]int{"a": 1, "steps": 2, "size": 3}},
		{given, nil, map[string]int{"b": 2, "steps": 2, "size": 3}},
		{given, []d.MaterializeOption{d.RunConfig(`{"ops":{"weigh":{"size":4}}}`)}, map[string]int{"b": 2, "steps": 2, "size": 4}},
		{given, []d.MaterializeOption{d.RunConfig(`{"ops":{"weigh":{"by_name":{"d":4},"steps":[]}}}`)}, map[string]int{"d": 4, "steps": 0, "size": 3}},
		{given, []d.MaterializeOption{d.Configure(config, weights{ByName: map[string]int{"e": 5}})}, map[string]int{"e": 5, "steps": 0, "size": 0}},
		{whole, nil, map[string]int{"c": 3, "steps": 0, "size": 0}},
		{empty, nil, map[string]int{"steps": 0, "size": 1}},
	} {
		run := d.RunJob(t.Context(), location, test.job, test.options...)
		require.NoError(t, run.Err())
		require.Equal(t, test.want, valueOf(t, run, op), test.job.Name())
	}
	run := d.Materialize(t.Context(), location, d.Configure(config, weights{ByName: map[string]int{"e": 5}}))
	require.NoError(t, run.Err())
	require.Equal(t, map[string]int{"e": 5, "steps": 0, "size": 0}, valueOf(t, run, asset))
}

type auditConfig struct {
	Prefix string
	To     string `config:"required"`
}

// safeBuffer is written to by several steps at once.
type safeBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *safeBuffer) Write(text []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(text)
}

func (b *safeBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

func TestConfigOfLoggersAndTheLevelOfTheRun(t *testing.T) {
	t.Parallel()
	config := d.Config(auditConfig{Prefix: "audit"})
	var logged safeBuffer
	audit := d.Logger("audit", d.Bind1(func(_ d.Context, c auditConfig) (slog.Handler, error) {
		return slog.NewTextHandler(&logged, nil).WithAttrs([]slog.Attr{slog.String(c.Prefix, c.To)}), nil
	}, config))
	op := d.Op("speak", d.Bind0(func(ctx d.Context) (int, error) {
		ctx.Log().InfoContext(context.Background(), "quiet")
		ctx.Log().WarnContext(context.Background(), "loud")
		return 1, nil
	}))
	job := d.OpJob("job", []d.AnyValue{op}, d.Loggers(audit))
	other := d.OpJob("other", []d.AnyValue{op})
	location := d.New("x", job, other)

	run := d.RunJob(t.Context(), location, job)
	require.ErrorContains(t, run.Err(), `config.loggers.audit.to: "to" is required and has no default (give it, for example "config":{"loggers":{"audit":{"to":"…"}}})`)
	run = d.RunJob(t.Context(), location, other, d.RunConfig(`{"loggers":{"audit":{"to":"x"}}}`))
	require.ErrorContains(t, run.Err(), `config.loggers.audit: config is given for logger "audit", which no job of this run has`)

	run = d.RunJob(t.Context(), location, job, d.RunConfig(`{"loggers":{"level":"warn"}}`), d.Configure(config, auditConfig{"by", "me"}))
	require.NoError(t, run.Err())
	require.Contains(t, logged.String(), "msg=loud by=me")
	require.NotContains(t, logged.String(), "quiet")

	require.NoError(t, d.RunJob(t.Context(), location, job, d.RunConfig(`{"loggers":{"audit":{"to":"you"}}}`)).Err())
	require.Contains(t, logged.String(), "msg=quiet audit=you")
}
