package workflows

import "go.temporal.io/sdk/workflow"

// turns lets a coroutine wait until all others have had their turn. A signal that a workflow task brings is handed to the coroutine
// that waits for it in its selector, where nobody sees it before that one runs: neither the channel's Len nor
// GetUnhandledSignalNames. Who continues as new before loses it.
type turns struct{ asked, given int }

// newTurns is made after the coroutines that are to have their turn: they run in the order in which they were made.
func newTurns(ctx workflow.Context) *turns {
	t := &turns{}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for workflow.Await(ctx, func() bool { return t.given != t.asked }) == nil {
			t.given = t.asked
		}
	})
	return t
}

// all returns when all of them have had it, within this workflow task. The error is the cancellation.
func (t *turns) all(ctx workflow.Context) error {
	t.asked++
	asked := t.asked
	return workflow.Await(ctx, func() bool { return t.given >= asked })
}
