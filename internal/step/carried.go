package step

import "sync"

// carried is what the heartbeat takes to a next attempt, written by the attempt and read by the beating goroutine.
type carried struct {
	mu     sync.Mutex
	staged *StagedOutputs
	// shown says that a heartbeat may have shown it to a next attempt.
	shown bool
}

// store replaces what is to be carried; nil is nothing.
func (c *carried) store(outputs *StagedOutputs) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.staged, c.shown = outputs.packed(), false
}

// inherit goes on carrying what an earlier attempt's heartbeat did.
func (c *carried) inherit(outputs *StagedOutputs) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.staged, c.shown = outputs.packed(), outputs != nil
}

// carry is what a heartbeat takes along.
func (c *carried) carry() *StagedOutputs {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = c.shown || c.staged != nil
	return c.staged
}

// withdraw keeps heartbeats from carrying what is staged. False means that one may have done so already: a next attempt
// may publish it, or have published it.
func (c *carried) withdraw() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown {
		return false
	}
	c.staged = nil
	return true
}
