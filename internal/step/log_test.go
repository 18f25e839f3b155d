package step

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// logbook keeps lines and prints in memory.
type logbook struct {
	mutex          sync.Mutex
	lines          []Line
	of             []Execution
	begun, closed  int
	stdout, stderr bytes.Buffer
}

func (l *logbook) Log(of Execution, line Line) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.of, l.lines = append(l.of, of), append(l.lines, line)
}

func (l *logbook) Begin(of Execution) Prints {
	l.begun++
	l.of = append(l.of, of)
	return l
}
func (l *logbook) Stdout() io.Writer           { return &l.stdout }
func (l *logbook) Stderr() io.Writer           { return &l.stderr }
func (l *logbook) Close(context.Context) error { l.closed++; return errors.New("disk full") }

func (l *logbook) messages() []string {
	var messages []string
	for _, line := range l.lines {
		messages = append(messages, line.Message)
	}
	return messages
}

func TestWhatAStepLogsIsRecordedAndGoesToTheWorkersOutput(t *testing.T) {
	t.Parallel()
	b, book := one(), &logbook{}
	b.lines = book
	var output bytes.Buffer
	b.log = slog.New(slog.NewTextHandler(&output, nil))
	b.compute = func(a *Attempt) ([]Output, error) {
		a.Log.Debug("not this")
		a.Log.With("file", "a.csv").WithGroup("parse").Warn("bad row", "row", 7, "level", "high", "time", 3, slog.Group("at", "line", 2))
		a.Log.Info("done")
		return []Output{{Asset: "route_delays"}}, nil
	}
	before := time.Now()
	_, err := b.run(t.Context())
	require.NoError(t, err)
	require.Len(t, book.lines, 2)
	first := book.lines[0]
	require.Equal(t, "bad row", first.Message)
	require.Equal(t, slog.LevelWarn, first.Level)
	require.Equal(t, int64(1), first.Number)
	require.Equal(t, int64(2), book.lines[1].Number)
	require.False(t, first.At.Before(before))
	require.JSONEq(t, `{"file":"a.csv","parse":{"row":7,"level":"high","time":3,"at":{"line":2}}}`, string(first.Attributes))
	require.JSONEq(t, `{}`, string(book.lines[1].Attributes))
	require.Equal(t, Execution{Run: "r1", Step: "route_delays", Attempt: 1, Token: 7}, book.of[0])
	require.Contains(t, output.String(), `msg="bad row" run=r1 step=route_delays attempt=1 file=a.csv parse.row=7`)
}

func TestLevelOfTheRunFiltersAllOutputs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ recorded, output []string }{
		`"debug"`: {[]string{"debug", "info", "warn", "error"}, []string{"debug", "info", "warn", "error"}},
		`"warn"`:  {[]string{"warn", "error"}, []string{"warn", "error"}},
		``:        {[]string{"info", "warn", "error"}, []string{"debug", "info", "warn", "error"}},
	}
	for level, test := range tests {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			b, book := one(), &logbook{}
			b.lines = book
			var output bytes.Buffer
			b.log = slog.New(slog.NewTextHandler(&output, &slog.HandlerOptions{Level: slog.LevelDebug}))
			if level != "" {
				b.plan.Loggers = map[string]json.RawMessage{LevelKey: json.RawMessage(level)}
			}
			b.compute = func(a *Attempt) ([]Output, error) {
				a.Log.Debug("debug")
				a.Log.Info("info")
				a.Log.Warn("warn")
				a.Log.Error("error")
				return []Output{{Asset: "route_delays"}}, nil
			}
			_, err := b.run(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.recorded, book.messages())
			for _, message := range []string{"debug", "info", "warn", "error"} {
				require.Equal(t, strings.Contains(fmt.Sprint(test.output), message), strings.Contains(output.String(), "msg="+message), message)
			}
		})
	}
}

func TestWrongLevelFailsTheStep(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{`"loud"`: `the log level is "loud": use "debug"`, `7`: "the log level is 7"} {
		b := one()
		b.plan.Loggers = map[string]json.RawMessage{LevelKey: json.RawMessage(config)}
		_, err := b.run(t.Context())
		require.ErrorContains(t, err, want)
		require.Len(t, b.failures, 1)
		require.Zero(t, b.calls)
	}
}

func TestLongLinesAreCut(t *testing.T) {
	t.Parallel()
	b, book := one(), &logbook{}
	b.lines = book
	b.compute = func(a *Attempt) ([]Output, error) {
		a.Log.Info(strings.Repeat("ä", maxMessage), "text", strings.Repeat("x", maxAttributes)) //nolint:sloglint // a long one is the point
		return []Output{{Asset: "route_delays"}}, nil
	}
	_, err := b.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("ä", maxMessage/2)+"…", book.lines[0].Message)
	require.Contains(t, string(book.lines[0].Attributes), "perdure_dropped_bytes")
}

func TestWhatAStepPrintsIsTakenFromTheFirstWriteToTheEnd(t *testing.T) {
	t.Parallel()
	for prints, want := range map[bool]int{true: 1, false: 0} {
		b, book := one(), &logbook{}
		b.printer = book
		b.compute = func(a *Attempt) ([]Output, error) {
			if prints {
				_, _ = io.WriteString(a.Stdout(), "out")
				_, _ = io.WriteString(a.Stderr(), "err")
			}
			return []Output{{Asset: "route_delays"}}, nil
		}
		_, err := b.run(t.Context())
		require.NoError(t, err, "output that is not stored fails no step")
		require.Equal(t, want, book.begun)
		require.Equal(t, want, book.closed)
		if prints {
			require.Equal(t, "out", book.stdout.String())
			require.Equal(t, "err", book.stderr.String())
			require.Equal(t, []Execution{{Run: "r1", Step: "route_delays", Attempt: 1, Token: 7}}, book.of)
		}
	}
}
