package starter_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// signalled are the signals that a Temporal takes, one after the other, when it is let.
type signalled struct {
	mutex sync.Mutex
	steps map[string][]*wire.AdmittedInput
	begun chan string
	let   chan struct{}
}

// taking is a Temporal that does with signals what the function says, and can do nothing else.
type taking struct {
	client.Client
	signal func(ctx context.Context, workflow string, argument any) error
}

func (t taking) SignalWorkflow(ctx context.Context, workflow, _, _ string, argument any) error {
	return t.signal(ctx, workflow, argument)
}

func (t taking) SignalWithStartWorkflow(ctx context.Context, workflow, _ string, argument any, _ client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	return nil, t.signal(ctx, workflow, argument)
}

// waking is a waker of a Temporal that takes a signal when it is let.
func waking() (*starter.Waker, *signalled) {
	s := &signalled{steps: map[string][]*wire.AdmittedInput{}, begun: make(chan string, 100), let: make(chan struct{})}
	temporal := taking{signal: func(ctx context.Context, workflow string, argument any) error {
		s.begun <- workflow
		select {
		case <-s.let:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.mutex.Lock()
		defer s.mutex.Unlock()
		admitted, _ := argument.(*wire.AdmittedInput)
		s.steps[workflow] = append(s.steps[workflow], admitted)
		return nil
	}}
	return starter.NewWaker(temporal, &metadata.Store{}, slog.New(slog.DiscardHandler)), s
}

func wakes(ids ...string) (all []metadata.Wake) {
	for _, id := range ids {
		all = append(all, metadata.Wake{ID: id})
	}
	return all
}

// While a wake waits for its turn, another of the same workflow is the same one; one that comes while it is sent is another.
func TestWakesThatWaitAreOne(t *testing.T) {
	t.Parallel()
	waker, s := waking()
	busy := []string{"1", "2", "3", "4", "5", "6", "7", "8"}
	waker.Wake(wakes(busy...))
	for range busy {
		<-s.begun
	}
	for range 10 {
		waker.Wake(wakes("waits", "1"))
	}
	admitted := func(steps ...string) []metadata.Wake {
		return []metadata.Wake{{ID: "run", Admitted: &wire.AdmittedInput{Steps: steps}}, {ID: "all", Admitted: &wire.AdmittedInput{}}}
	}
	waker.Wake(admitted("a"))
	waker.Wake(admitted("b", "c"))
	close(s.let)
	waker.Close()
	require.Len(t, s.steps["waits"], 1)
	require.Len(t, s.steps["1"], 2, "what is committed while it is sent may not be what it reads")
	require.Equal(t, []*wire.AdmittedInput{{Steps: []string{"a", "b", "c"}}}, s.steps["run"])
	require.Equal(t, []*wire.AdmittedInput{{}}, s.steps["all"])
	require.Len(t, s.steps, len(busy)+3)
}

// A program that ends sends what it owes, but waits for no Temporal that is away, and begins nothing new.
func TestAWakerThatIsClosedWaitsForAMomentOnly(t *testing.T) {
	t.Parallel()
	waker, s := waking()
	waker.Wake(wakes("never"))
	<-s.begun
	began := time.Now()
	waker.Close()
	require.Less(t, time.Since(began), 30*time.Second)
	waker.Wake(wakes("late"))
	require.Empty(t, s.steps)
	require.Empty(t, s.begun)
}

// Who is not there, and would not be started, is told apart from one that cannot be reached.
func TestAWorkflowThatIsGoneNeedNotBeWoken(t *testing.T) {
	t.Parallel()
	answering := func(err error) client.Client {
		return taking{signal: func(context.Context, string, any) error { return err }}
	}
	gone := serviceerror.NewNotFound("no such workflow")
	require.ErrorIs(t, starter.WakeWorkflow(t.Context(), answering(gone), metadata.Wake{ID: "x"}), starter.ErrNobodyToWake)
	require.ErrorIs(t, starter.WakeWorkflow(t.Context(), answering(gone), metadata.Wake{ID: "x", Workflow: wire.SensorWorkflow, Queue: "q"}), gone)
	away := errors.New("away")
	require.ErrorIs(t, starter.WakeWorkflow(t.Context(), answering(away), metadata.Wake{ID: "x"}), away)
	require.NoError(t, starter.WakeWorkflow(t.Context(), answering(nil), metadata.Wake{ID: "x", Workflow: wire.SensorWorkflow, Queue: "q"}))
}
