package computelog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/internal/computelog"
)

func open(t *testing.T, folder string, options computelog.Options) *computelog.Store {
	t.Helper()
	store, err := computelog.Open(t.Context(), (&url.URL{Scheme: "file", Path: folder}).String(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func read(t *testing.T, store *computelog.Store, selected computelog.Selection) string {
	t.Helper()
	var text bytes.Buffer
	require.NoError(t, store.Copy(t.Context(), &text, selected))
	return text.String()
}

func printTo(t *testing.T, w io.Writer, text string) {
	t.Helper()
	n, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

func TestWhatIsPrintedIsReadWhileItIsPrinted(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir(), computelog.Options{FlushInterval: time.Millisecond})
	at := computelog.Execution{Run: "r1", Step: "raw/flights", Attempt: 1, Token: 7}
	log := store.Begin(at)
	printTo(t, log.Stdout(), "one\n")
	seen := &watched{want: make(chan struct{}), text: "one\n"}
	running := make(chan struct{})
	followed := make(chan error, 1)
	go func() {
		followed <- store.Follow(t.Context(), seen, computelog.Selection{Run: "r1", Step: "raw/flights", Stream: computelog.Stdout},
			func(context.Context) (bool, error) {
				select {
				case <-running:
					return false, nil
				default:
					return true, nil
				}
			})
	}()
	<-seen.want
	printTo(t, log.Stdout(), "two\n")
	printTo(t, log.Stderr(), "oops\n")
	require.NoError(t, log.Close(t.Context()))
	close(running)
	require.NoError(t, <-followed)
	require.Equal(t, "one\ntwo\n", seen.String())
	require.Equal(t, "oops\n", read(t, store, computelog.Selection{Run: "r1", Step: "raw/flights", Stream: computelog.Stderr}))
	_, err := log.Stdout().Write([]byte("late"))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.NoError(t, log.Close(t.Context()), "once more is no error")

	steps, err := store.Steps(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, []string{"raw/flights"}, steps)
	executions, err := store.Executions(t.Context(), "r1", "raw/flights")
	require.NoError(t, err)
	require.Equal(t, []computelog.Execution{at}, executions)
}

func TestFollowingGoesOverToLaterAttempts(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir(), computelog.Options{})
	execution := func(attempt int, token int64, text string) {
		log := store.Begin(computelog.Execution{Run: "r", Step: "s", Attempt: attempt, Token: token})
		printTo(t, log.Stdout(), text)
		require.NoError(t, log.Close(t.Context()))
	}
	execution(1, 5, "1.5 ")
	execution(2, 6, "2.6 ")
	execution(2, 10, "2.10 ") // after a worker died
	looks := 0
	var text bytes.Buffer
	followed := computelog.Selection{Run: "r", Step: "s", Stream: computelog.Stdout}
	require.NoError(t, store.Follow(t.Context(), &text, followed, func(context.Context) (bool, error) {
		if looks++; looks == 2 {
			execution(3, 11, "3.11")
		}
		return looks < 2, nil
	}))
	require.Equal(t, "2.6 2.10 3.11", text.String())
	require.Equal(t, "3.11", read(t, store, followed))
	followed.Attempt = 2
	require.Equal(t, "2.6 2.10 ", read(t, store, followed))
	followed.Attempt = 4
	require.ErrorIs(t, store.Copy(t.Context(), io.Discard, followed), computelog.ErrNone)
}

func TestFollowingEndsAlsoWhenAWorkerWasKilled(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir(), computelog.Options{FlushInterval: time.Millisecond})
	log := store.Begin(computelog.Execution{Run: "r", Step: "s", Attempt: 1, Token: 1})
	printTo(t, log.Stdout(), "half")
	selected := computelog.Selection{Run: "r", Step: "s", Stream: computelog.Stdout}
	require.Eventually(t, func() bool { return store.Copy(t.Context(), io.Discard, selected) == nil }, 10*time.Second, time.Millisecond)
	var text bytes.Buffer
	require.NoError(t, store.Follow(t.Context(), &text, selected, func(context.Context) (bool, error) { return false, nil }))
	require.Equal(t, "half", text.String())
}

func TestWhatIsOverTheLimitIsCutAndSaid(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir(), computelog.Options{Limit: 10})
	log := store.Begin(computelog.Execution{Run: "r", Step: "s", Attempt: 1, Token: 1})
	printTo(t, log.Stdout(), "0123456")
	printTo(t, log.Stdout(), "789abc")
	printTo(t, log.Stdout(), "def")
	printTo(t, log.Stderr(), "0123456789")
	require.NoError(t, log.Close(t.Context()))
	require.Equal(t, "0123456789\n[perdure] cut here: of each stream of a step, the first 10 bytes are kept (logs.max_output_bytes)\n[perdure] 6 bytes were cut\n",
		read(t, store, computelog.Selection{Run: "r", Step: "s", Stream: computelog.Stdout}))
	require.Equal(t, "0123456789", read(t, store, computelog.Selection{Run: "r", Step: "s", Stream: computelog.Stderr}))
}

// A bucket that is away for a while loses nothing that fits into memory.
func TestABucketThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "data")
	store := open(t, folder, computelog.Options{FlushInterval: time.Millisecond})
	blocked := filepath.Join(folder, ".perdure")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600), "a file where a folder is to be")
	log := store.Begin(computelog.Execution{Run: "r", Step: "s", Attempt: 1, Token: 1})
	printTo(t, log.Stdout(), "kept")
	expired, cancel := context.WithCancel(t.Context())
	cancel()
	lost := store.Begin(computelog.Execution{Run: "r", Step: "lost", Attempt: 1, Token: 1})
	printTo(t, lost.Stdout(), "gone")
	require.ErrorContains(t, lost.Close(expired), "step lost")
	require.NoError(t, os.Remove(blocked))
	require.NoError(t, log.Close(t.Context()))
	require.Equal(t, "kept", read(t, store, computelog.Selection{Run: "r", Step: "s", Stream: computelog.Stdout}))
}

func TestOldRunsAreDeleted(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	store := open(t, folder, computelog.Options{})
	for _, run := range []string{"old", "new", "third"} {
		for _, step := range []string{"a", "b"} {
			log := store.Begin(computelog.Execution{Run: run, Step: step, Attempt: 1, Token: 1})
			printTo(t, log.Stdout(), run)
			require.NoError(t, log.Close(t.Context()))
		}
	}
	// A value beside the logs, of an asset that is called as their folder is.
	value := filepath.Join(folder, "logs", "old", "1.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(value), 0o700))
	require.NoError(t, os.WriteFile(value, nil, 0o600))
	yesterday := time.Now().Add(-24 * time.Hour)
	require.NoError(t, filepath.Walk(filepath.Join(folder, ".perdure/logs/old"), func(path string, info os.FileInfo, err error) error {
		return errors.Join(err, os.Chtimes(path, yesterday, yesterday))
	}))
	deleted, err := store.DeleteBefore(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, 1, deleted)
	steps, err := store.Steps(t.Context(), "old")
	require.NoError(t, err)
	require.Empty(t, steps)
	require.FileExists(t, value)
	require.NoDirExists(t, filepath.Join(folder, ".perdure/logs/old"))
	require.Equal(t, "third", read(t, store, computelog.Selection{Run: "third", Step: "a", Stream: computelog.Stdout}))
}

func TestAStepThatPrintsNothingLeavesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	store := open(t, folder, computelog.Options{})
	require.NoError(t, store.Begin(computelog.Execution{Run: "r", Step: "s", Attempt: 1, Token: 1}).Close(t.Context()))
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, entries)
	require.ErrorIs(t, store.Copy(t.Context(), io.Discard, computelog.Selection{Run: "r", Step: "s", Stream: computelog.Stderr}), computelog.ErrNone)
}

// Whatever runs and steps are called, each has its own log.
func TestNamesOfAnyKind(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	store := open(t, folder, computelog.Options{})
	next := 0
	rapid.Check(t, func(r *rapid.T) {
		next++
		run := fmt.Sprintf("%d%s", next, rapid.String().Draw(r, "run"))
		names := rapid.SliceOfNDistinct(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", ".", "..", "%", "etl.clean[page_3]", strings.Repeat("a/", 300)})), 1, 4, rapid.ID[string]).Draw(r, "steps")
		for _, name := range names {
			log := store.Begin(computelog.Execution{Run: run, Step: name, Attempt: 1, Token: 1})
			_, err := io.WriteString(log.Stdout(), name+"!")
			require.NoError(r, err)
			require.NoError(r, log.Close(t.Context()))
		}
		for _, name := range names {
			var text bytes.Buffer
			require.NoError(r, store.Copy(t.Context(), &text, computelog.Selection{Run: run, Step: name, Stream: computelog.Stdout}))
			require.Equal(r, name+"!", text.String())
		}
		steps, err := store.Steps(t.Context(), run)
		require.NoError(r, err)
		require.Len(r, steps, len(names))
		for _, name := range names {
			if len(name) < 50 {
				require.Contains(r, steps, name)
			}
		}
	})
}

// Many goroutines print more than fits into one chunk; each line arrives whole.
func TestALotFromManyGoroutines(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir(), computelog.Options{Limit: 1 << 30})
	log := store.Begin(computelog.Execution{Run: "r", Step: "s", Attempt: 1, Token: 1})
	line := strings.Repeat("x", 99) + "\n"
	var printing sync.WaitGroup
	for range 8 {
		printing.Go(func() {
			for range 10_000 {
				if _, err := io.WriteString(log.Stdout(), line); err != nil {
					panic(err)
				}
			}
		})
	}
	printing.Wait()
	require.NoError(t, log.Close(t.Context()))
	text := read(t, store, computelog.Selection{Run: "r", Step: "s", Stream: computelog.Stdout})
	require.Equal(t, 80_000, strings.Count(text, line))
	require.Len(t, text, 80_000*len(line))
}

// watched says when it has seen a text.
type watched struct {
	mutex sync.Mutex
	bytes.Buffer
	text string
	want chan struct{}
	once sync.Once
}

func (w *watched) Write(data []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	n, err := w.Buffer.Write(data)
	if strings.Contains(w.Buffer.String(), w.text) {
		w.once.Do(func() { close(w.want) })
	}
	return n, err
}
