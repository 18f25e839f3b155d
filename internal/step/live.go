package step

import (
	"slices"
	"sync"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Progress is how far a function says it is.
type Progress struct {
	Done  int `json:"done"`
	Total int `json:"total"`
}

// live is what a function tells while it runs, from any of its goroutines.
type live struct {
	mutex    sync.Mutex
	events   []wire.StepEvent
	progress *Progress
	// moved is when progress was reported last.
	moved time.Time
}

// Event adds an event to those that are recorded with the attempt's end, its failure too: a check's evaluation, a message.
// It may be called from several goroutines.
func (a *Attempt) Event(event wire.StepEvent) {
	if a.relay != nil {
		a.relay.Event(event)
	}
	if a.live == nil {
		return
	}
	a.live.mutex.Lock()
	defer a.live.mutex.Unlock()
	a.live.events = append(a.live.events, event)
}

// Progress says how far the function is; the heartbeat shows it, and the stall timeout begins anew. It may be called from
// several goroutines.
func (a *Attempt) Progress(done, total int) {
	if a.relay != nil {
		a.relay.Progress(done, total)
	}
	if a.live == nil {
		return
	}
	a.live.mutex.Lock()
	defer a.live.mutex.Unlock()
	a.live.progress = &Progress{Done: done, Total: total}
	a.live.moved = time.Now()
}

// recorded are the events so far. A function that is left behind may add more, which nobody reads.
func (l *live) recorded() []wire.StepEvent {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Clone(l.events)
}

// shown is the progress so far.
func (l *live) shown() *Progress {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.progress
}

// move begins the stall timeout anew.
func (l *live) move() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.moved = time.Now()
}

// idle is how long nothing has moved.
func (l *live) idle() time.Duration {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return time.Since(l.moved)
}
