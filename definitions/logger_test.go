package definitions_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

// book is a log handler that keeps what it is given.
type book struct {
	shared *pages
	attrs  []slog.Attr
	err    error
}

type pages struct {
	mutex  sync.Mutex
	lines  []string
	opened []string
	closed int
}

func (b *book) Enabled(context.Context, slog.Level) bool { return true }
func (b *book) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &book{b.shared, append(slices.Clone(b.attrs), attrs...), b.err}
}
func (b *book) WithGroup(string) slog.Handler { return b }
func (b *book) Close() error                  { b.shared.closed++; return nil }
func (b *book) Handle(_ context.Context, r slog.Record) error {
	b.shared.mutex.Lock()
	defer b.shared.mutex.Unlock()
	b.shared.lines = append(b.shared.lines, fmt.Sprint(r.Level, " ", r.Message, " ", b.attrs))
	return b.err
}

type bookConfig struct {
	Title string `json:"title"`
}

func talk(ctx d.Context) (int, error) {
	ctx.Log().Debug("debug")
	ctx.Log().Info("info")
	ctx.Log().Warn("warn")
	return 1, nil
}

func TestJobsHaveTheirOwnLogHandlers(t *testing.T) {
	t.Parallel()
	var shared pages
	prefix := d.Resource("prefix", d.Bind0(func(d.Context) (string, error) { return "of ", nil }), d.NoClose)
	logger := d.Logger("book", d.Bind2(func(_ d.Context, prefix string, c bookConfig) (*book, error) {
		shared.opened = append(shared.opened, prefix+c.Title)
		return &book{shared: &shared}, nil
	}, prefix, d.Config(bookConfig{Title: "none"})))
	a, b := d.Asset("a", d.Bind0(talk)), d.Asset("b", d.Bind0(talk))
	with := d.AssetJob("with", d.Assets(a, b), d.Loggers(logger))
	without := d.AssetJob("without", d.Assets(a))
	op := d.Op("op", d.Bind0(talk))
	ops := d.OpJob("ops", []d.AnyValue{op}, d.Loggers(logger))
	location := d.New("x", a, b, with, without, ops, prefix)
	require.NoError(t, d.RunJob(t.Context(), location, without).Err())
	require.NoError(t, d.Materialize(t.Context(), location).Err())
	require.Empty(t, shared.lines, "a handler is for the runs of its job")

	require.NoError(t, d.RunJob(t.Context(), location, with).Err())
	require.Equal(t, []string{"of none"}, shared.opened, "once for all steps")
	require.Equal(t, 1, shared.closed)
	require.Contains(t, shared.lines, "DEBUG debug [run=in-process step=a attempt=1]")
	require.Contains(t, shared.lines, "INFO info [run=in-process step=b attempt=1]")
	require.Len(t, shared.lines, 6)

	shared = pages{}
	require.NoError(t, d.RunJob(t.Context(), location, ops, d.RunConfig(`{"loggers":{"level":"warn","book":{"title":"ops"}}}`)).Err())
	require.Equal(t, []string{"of ops"}, shared.opened)
	require.Equal(t, []string{"WARN warn [run=in-process step=op attempt=1]"}, shared.lines, "the run config says what is logged")
}

func TestLogHandlersThatFailFailNoStep(t *testing.T) {
	t.Parallel()
	var shared pages
	broken := d.Logger("broken", d.Bind0(func(d.Context) (slog.Handler, error) { return nil, fs.ErrPermission }))
	none := d.Logger("none", d.Bind0(func(d.Context) (slog.Handler, error) { return nil, nil }))
	panics := d.Logger("panics", d.Bind0(func(d.Context) (slog.Handler, error) { panic("nil map") }))
	failing := d.Logger("failing", d.Bind0(func(d.Context) (*book, error) { return &book{shared: &shared, err: io.ErrClosedPipe}, nil }))
	a := d.Asset("a", d.Bind0(talk))
	job := d.AssetJob("job", d.Assets(a), d.Loggers(broken, none, panics, failing))
	require.NoError(t, d.RunJob(t.Context(), d.New("x", a, job), job).Err())
	require.Len(t, shared.lines, 3, "a handler that failed once gets what follows all the same")
}

func TestLoggersAreChecked(t *testing.T) {
	t.Parallel()
	plain := func(d.Context) (slog.Handler, error) { return slog.DiscardHandler, nil }
	resource := d.Resource("same", d.Bind0(one), d.NoClose)
	hidden := d.Resource("hidden", d.Bind0(one), d.NoClose)
	same, level := d.Logger("same", d.Bind0(plain)), d.Logger("level", d.Bind0(plain))
	bad := d.Logger("bad name", d.Bind1(func(d.Context, int) (slog.Handler, error) { return nil, errors.ErrUnsupported }, hidden))
	a := constant("a")
	job := d.AssetJob("job", d.Assets(a), d.Loggers(same, level, nil, bad, same), d.Loggers(&d.LoggerOf{}))
	problems := strings.Join(problemsOf(t, d.New("x", a, resource, job)), "\n")
	for _, want := range []string{
		`logger "same" (definitions/logger_test.go:N), name: resource "same" (definitions/logger_test.go:N) has the same name; rename one of the two: resources and loggers share one space of names`,
		`logger "level" (definitions/logger_test.go:N), name: "level" is where the run config says what is logged`,
		`logger "bad name" (definitions/logger_test.go:N), name: "bad name" is no name of a logger`,
		`logger "bad name" (definitions/logger_test.go:N), resources: it needs resource "hidden"`,
		`job "job" (definitions/logger_test.go:N), loggers: Loggers names a handle that was never declared`,
		`job "job" (definitions/logger_test.go:N), loggers: it names the logger "same" twice`,
	} {
		require.Contains(t, problems, want)
	}
}

func TestSnapshotHasLoggers(t *testing.T) {
	t.Parallel()
	logger := d.Logger("book", d.Bind1(func(d.Context, bookConfig) (slog.Handler, error) { return slog.DiscardHandler, nil }, d.Config(bookConfig{})))
	other := d.Logger("archive", d.Bind0(func(d.Context) (slog.Handler, error) { return slog.DiscardHandler, nil }))
	a := constant("a")
	snapshot, err := d.New("x", a, d.AssetJob("job", d.Assets(a), d.Loggers(logger, other)), d.AssetJob("again", d.Assets(a), d.Loggers(logger))).Snapshot()
	require.NoError(t, err)
	require.Len(t, snapshot.Loggers, 2)
	require.Equal(t, "archive", snapshot.Loggers[0].Name)
	require.Nil(t, snapshot.Loggers[0].Config)
	require.JSONEq(t, `{"title":""}`, string(snapshot.Loggers[1].Config.Defaults))
	require.Equal(t, []string{"book"}, snapshot.Jobs[0].Loggers)
	require.Equal(t, []string{"archive", "book"}, snapshot.Jobs[1].Loggers)
}
