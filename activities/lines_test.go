package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/metadata"
)

// book keeps lines in memory, unless it is away or refuses.
type book struct {
	mu    sync.Mutex
	fails error
	lines []metadata.LogLine
	calls int
}

func (b *book) AppendLog(_ context.Context, lines []metadata.LogLine) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.fails != nil {
		return b.fails
	}
	b.lines = append(b.lines, lines...)
	return nil
}

func (b *book) set(fails error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = fails
}

func (b *book) messages() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	messages := make([]string, len(b.lines))
	for i, line := range b.lines {
		messages[i] = line.Message
	}
	return messages
}

func away(t *testing.T) error {
	t.Helper()
	err := fmt.Errorf("keep: %w", metadata.ErrUnavailable)
	require.True(t, metadata.IsUnavailable(err))
	return err
}

func lines(t *testing.T, b *book) *Lines {
	t.Helper()
	l := NewLines(b, slog.New(slog.DiscardHandler))
	t.Cleanup(l.Close)
	return l
}

var logged = step.Execution{Run: "r1", Step: "s", Attempt: 1, Token: 7}

func TestLinesAreKeptBeforeAStepEnds(t *testing.T) {
	t.Parallel()
	b := &book{}
	l := lines(t, b)
	at := time.Now()
	l.Log(logged, step.Line{Number: 1, At: at, Level: slog.LevelWarn, Message: "slow", Attributes: []byte(`{"rows":3}`)})
	l.flushOf(t.Context(), "r1", "s")
	require.Equal(t, []metadata.LogLine{{
		Run: "r1", Step: "s", Attempt: 1, Token: 7, Seq: 1, At: at, Level: slog.LevelWarn, Message: "slow", Attributes: []byte(`{"rows":3}`),
	}}, b.lines)
}

func TestManyLinesAreKeptInBatches(t *testing.T) {
	t.Parallel()
	b := &book{}
	l := lines(t, b)
	for i := range 1000 {
		l.Log(logged, step.Line{Number: int64(i + 1), Message: fmt.Sprint(i)})
	}
	l.flushOf(t.Context(), "r1", "s")
	require.Len(t, b.messages(), 1000)
	require.Less(t, b.calls, 30)
}

// While Postgres is away lines wait in bounded memory: what is more is left out, and that is said.
func TestLinesWaitForPostgres(t *testing.T) {
	t.Parallel()
	b := &book{fails: away(t)}
	l := lines(t, b)
	for i := range maxLines + 5 {
		l.Log(logged, step.Line{Number: int64(i + 1), Message: "line"})
	}
	b.set(nil)
	l.flushOf(t.Context(), "r1", "s")
	require.Eventually(t, func() bool { return len(b.messages()) == maxLines+1 }, time.Minute, 10*time.Millisecond)
	messages := b.messages()
	require.Equal(t, "the last 5 lines were left out: too many waited for Postgres", messages[maxLines])

	l.mu.Lock()
	l.dropped[logged] = 2
	l.mu.Unlock()
	l.Log(logged, step.Line{Number: maxLines + 8, Message: "on it goes"})
	l.flushOf(t.Context(), "r1", "s")
	require.Equal(t, "(2 lines before this one were left out: too many waited for Postgres) on it goes", b.messages()[maxLines+1])
}

func TestLinesThatPostgresRefusesHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	b := &book{fails: errors.New("invalid")}
	l := lines(t, b)
	l.Log(logged, step.Line{Number: 1, Message: "bad"})
	l.flushOf(t.Context(), "r1", "s")
	b.set(nil)
	l.Log(logged, step.Line{Number: 2, Message: "good"})
	l.flushOf(t.Context(), "r1", "s")
	require.Equal(t, []string{"good"}, b.messages())
}

func TestAStepDoesNotWaitLongForItsLines(t *testing.T) {
	t.Parallel()
	l := lines(t, &book{fails: away(t)})
	l.Log(logged, step.Line{Number: 1, Message: strings.Repeat("x", 100)})
	began := time.Now()
	l.flushOf(t.Context(), "r1", "s")
	require.Less(t, time.Since(began), 2*flushTimeout)
}
