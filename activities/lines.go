package activities

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/metadata"
)

const (
	// linesEvery and linesBatch are when log lines are kept: so long after they were logged, or when there are so many.
	linesEvery = time.Second
	linesBatch = 200
	// maxLines and maxLinesBytes bound the lines that wait for Postgres; more of them are left out, and said to be.
	maxLines      = 20_000
	maxLinesBytes = 16 << 20
	// linesTimeout bounds one call, flushTimeout how long the end of a step waits for its lines to be kept.
	linesTimeout = 10 * time.Second
	flushTimeout = 3 * time.Second
)

// LineStore keeps log lines. A line that is kept already stays as it is.
type LineStore interface {
	AppendLog(ctx context.Context, lines []metadata.LogLine) error
}

// Lines keeps what the steps of a worker log, a batch at a time. Steps never wait for it while they run. Close it.
type Lines struct {
	store LineStore
	log   *slog.Logger

	mu      sync.Mutex
	waiting []metadata.LogLine
	bytes   int
	dropped map[step.Execution]int
	// added counts the lines ever added, kept those that are kept or given up.
	added, kept int64
	changed     chan struct{} // closed and made anew when kept grows

	wake    chan struct{}
	closing chan struct{}
	closed  chan struct{}
}

var _ step.Lines = (*Lines)(nil)

// NewLines begins to keep lines; log hears what cannot be kept.
func NewLines(store LineStore, log *slog.Logger) *Lines {
	l := &Lines{
		store: store, log: log, dropped: map[step.Execution]int{}, changed: make(chan struct{}),
		wake: make(chan struct{}, 1), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	go l.keep()
	return l
}

// Close keeps what is left, trying once.
func (l *Lines) Close() {
	close(l.closing)
	<-l.closed
}

// Log takes a line. When too many wait it is left out, which a line says once there is room again.
func (l *Lines) Log(of step.Execution, line step.Line) {
	kept := metadata.LogLine{
		Run: of.Run, Step: of.Step, Token: of.Token, Attempt: of.Attempt, Seq: line.Number,
		At: line.At, Level: line.Level, Message: line.Message, Attributes: line.Attributes,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if size := sizeOf(kept); len(l.waiting) >= maxLines || l.bytes+size > maxLinesBytes {
		l.dropped[of]++
		return
	}
	if missing := l.dropped[of]; missing > 0 {
		delete(l.dropped, of)
		kept.Message = fmt.Sprintf("(%d lines before this one were left out: too many waited for Postgres) %s", missing, kept.Message)
	}
	l.add(kept)
}

func (l *Lines) add(line metadata.LogLine) {
	l.waiting = append(l.waiting, line)
	l.bytes += sizeOf(line)
	l.added++
	if len(l.waiting) >= linesBatch {
		l.wakeUp()
	}
}

func (l *Lines) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

// sizeOf is about what a line takes in memory.
func sizeOf(line metadata.LogLine) int {
	return 200 + len(line.Run) + len(line.Step) + len(line.Message) + len(line.Attributes)
}

// flushOf waits until the lines that a step's attempt has logged are kept, but not for long.
func (l *Lines) flushOf(ctx context.Context, run, stepKey string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	l.mu.Lock()
	l.sayDropped(run, stepKey)
	until, isEmpty := l.added, true
	for _, line := range l.waiting {
		isEmpty = isEmpty && (line.Run != run || line.Step != stepKey)
	}
	l.mu.Unlock()
	for !isEmpty {
		l.wakeUp()
		l.mu.Lock()
		done, changed := l.kept >= until, l.changed
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return // they are kept later
		}
	}
}

// sayDropped adds a line about those of an attempt that were left out and have had no other behind them.
func (l *Lines) sayDropped(run, stepKey string) {
	for of, missing := range l.dropped {
		if of.Run != run || of.Step != stepKey {
			continue
		}
		delete(l.dropped, of)
		l.add(metadata.LogLine{
			Run: of.Run, Step: of.Step, Token: of.Token, Attempt: of.Attempt, Seq: lastSeq, At: time.Now(), Level: slog.LevelWarn,
			Message: fmt.Sprintf("the last %d lines were left out: too many waited for Postgres", missing),
		})
	}
}

// lastSeq is behind the number of every line of an attempt.
const lastSeq = 1<<31 - 1

func (l *Lines) keep() {
	defer close(l.closed)
	ticker := time.NewTicker(linesEvery)
	defer ticker.Stop()
	for {
		isClosing := false
		select {
		case <-l.closing:
			isClosing = true
		case <-ticker.C:
		case <-l.wake:
		}
		for l.keepBatch() {
		}
		if isClosing {
			return
		}
	}
}

// keepBatch keeps the oldest lines, and says whether there may be more to keep now.
func (l *Lines) keepBatch() bool {
	l.mu.Lock()
	batch := l.waiting[:min(len(l.waiting), linesBatch)]
	l.mu.Unlock()
	if len(batch) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), linesTimeout)
	defer cancel()
	err := l.store.AppendLog(ctx, batch)
	if metadata.IsUnavailable(err) {
		return false // the next round tries again
	}
	if err != nil {
		l.log.Warn("log lines of steps could not be kept", "lines", len(batch), "error", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range batch {
		l.bytes -= sizeOf(line)
	}
	l.waiting = l.waiting[len(batch):]
	l.kept += int64(len(batch))
	close(l.changed)
	l.changed = make(chan struct{})
	return true
}
