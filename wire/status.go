package wire

import (
	"fmt"
	"time"
)

// RunStatus is where a run stands. Values are the words of the CLI, the log and Postgres.
type RunStatus string

// The run statuses, in the order a run passes them.
const (
	RunNotStarted RunStatus = "NOT_STARTED"
	RunQueued     RunStatus = "QUEUED"
	RunStarting   RunStatus = "STARTING"
	RunStarted    RunStatus = "STARTED"
	RunCanceling  RunStatus = "CANCELING"
	RunSuccess    RunStatus = "SUCCESS"
	RunFailure    RunStatus = "FAILURE"
	RunCanceled   RunStatus = "CANCELED"
)

// TooLong is the reason of a run that has taken longer than it may.
func TooLong(limit time.Duration) string {
	return fmt.Sprintf("it took longer than the %s that it may", limit.Round(time.Millisecond))
}

// Ended says whether a run in this status will never change again.
func (s RunStatus) Ended() bool {
	return s == RunSuccess || s == RunFailure || s == RunCanceled
}

// StepStatus is where a step of a run stands.
type StepStatus string

// The step statuses.
const (
	StepWaiting        StepStatus = "WAITING"         // needs something that is not done
	StepRunning        StepStatus = "RUNNING"         // scheduled: on a worker, between retries, or waiting for one
	StepSuccess        StepStatus = "SUCCESS"         // committed
	StepFailed         StepStatus = "FAILED"          // its last attempt failed
	StepSkipped        StepStatus = "SKIPPED"         // an optional output it needs was not emitted
	StepUpstreamFailed StepStatus = "UPSTREAM_FAILED" // a step it needs failed; it never started
	StepCanceled       StepStatus = "CANCELED"        // cancelled before it was done
)

// Ended says whether a step in this status will never change again in its run.
func (s StepStatus) Ended() bool { return s != StepWaiting && s != StepRunning }
