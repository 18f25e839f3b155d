package starter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Starter starts runs of one deployment. All fields but Deployment are required.
type Starter struct {
	Temporal client.Client
	Store    *metadata.Store
	// Deployment prefixes ids and queues; "" is the default one, without prefix.
	Deployment string
	// Limits are the instance's, for planning a request before it is started.
	Limits plan.Limits
	// Executor and MaxRuntime are the instance's, for the same.
	Executor   plan.Executor
	MaxRuntime time.Duration
	// Retries are the instance's settings for runs that fail.
	Retries RetrySettings
}

// NewRun is a run to start.
type NewRun struct {
	// Location is the code location's name.
	Location string
	// ID is the run's id, which becomes Temporal's workflow id; "" makes one.
	ID      string
	Request wire.RunRequest
}

// StartedRun is a run that was started.
type StartedRun struct {
	ID string
	// Queue is the task queue; Polled says whether a worker polled it lately. Without one the run waits.
	Queue  string
	Polled bool
	// FirstRunID is Temporal's id of the execution.
	FirstRunID string
}

// StartRun plans the request, so that problems are known at once, and starts the run. It returns
// wire.Problems, with everything that is wrong, when the request cannot be run; nothing was started then.
func (s *Starter) StartRun(ctx context.Context, run NewRun) (StartedRun, error) {
	if run.ID == "" {
		run.ID = newID("run")
	}
	if err := s.check(ctx, run); err != nil {
		return StartedRun{}, err
	}
	queue := wire.Queue(s.Deployment, run.Location)
	started, err := s.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: run.ID, TaskQueue: queue,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            summary(run.Request),
		Priority:                                 PriorityOf(s.Deployment, run.Location, run.Request),
	}, wire.RunWorkflow, run.Request)
	if _, ok := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); ok {
		return StartedRun{}, wire.Problems{exists(run.ID, "")}
	}
	if err != nil {
		return StartedRun{}, fmt.Errorf("start run %q: %w", run.ID, err)
	}
	polled, err := s.polled(ctx, queue)
	if err != nil {
		return StartedRun{}, fmt.Errorf("run %q is started, but asking who polls queue %q failed: %w", run.ID, queue, err)
	}
	return StartedRun{ID: run.ID, Queue: queue, Polled: polled, FirstRunID: started.GetRunID()}, nil
}

// check refuses what cannot run, by what Postgres knows of the location.
func (s *Starter) check(ctx context.Context, run NewRun) error {
	_, problems, err := s.plan(ctx, run)
	if err != nil && !wire.ProblemsOf(err).OnlyNotHere() { // which the location finds out
		return err
	}
	existing, err := s.Store.Run(ctx, run.ID)
	switch {
	case err == nil:
		problems = append(problems, exists(run.ID, fmt.Sprintf(" (%s, %s)", existing.Status, existing.CreatedAt.UTC().Format(time.DateOnly))))
	case !errors.Is(err, metadata.ErrNotFound):
		return fmt.Errorf("look up run %q: %w", run.ID, err)
	}
	return problems.Err()
}

// Plan is what a run would do, from the location's active snapshot in Postgres; nothing is started. What could not be started
// is refused alike.
func (s *Starter) Plan(ctx context.Context, run NewRun) (*plan.Plan, error) {
	planned, missing, err := s.plan(ctx, run)
	if err != nil {
		return nil, err
	}
	return planned, missing.Err()
}

// plan also says which of its inputs nobody has made.
func (s *Starter) plan(ctx context.Context, run NewRun) (planned *plan.Plan, missing wire.Problems, err error) {
	snapshot, err := s.snapshot(ctx, run.Location)
	if err != nil {
		return nil, nil, err
	}
	planner, err := plan.NewPlanner(snapshot, nil)
	if err != nil {
		return nil, nil, err
	}
	facts := plan.Facts{RunID: run.ID, Limits: s.Limits, Executor: s.Executor, MaxRuntime: s.MaxRuntime}
	if run.Request.RetryOf != nil {
		// One that is not there is a problem of the plan.
		facts.Parent, err = s.Store.ParentRun(ctx, run.Request.RetryOf.RunID)
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return nil, nil, err
		}
	}
	if err := assetstatus.Facts(ctx, s.Store, planner, run.Request, time.Now(), &facts); err != nil {
		return nil, nil, leftToItsLocation(err)
	}
	if planned, err = planner.Plan(run.Request, facts); err != nil {
		return nil, nil, err
	}
	unmade, err := s.Store.MissingInputs(ctx, planned.Outside)
	if err != nil {
		return nil, nil, fmt.Errorf("look up the inputs of run %q: %w", run.ID, err)
	}
	return planned, metadata.MissingProblems(unmade), nil
}

// leftToItsLocation makes a problem of the request of what only the location's own processes can find out.
func leftToItsLocation(err error) error {
	if errors.Is(err, partition.ErrNoEvaluator) && wire.ProblemsOf(err) == nil {
		return wire.Problems{plan.MappingProblem("", "its partitions", err)}
	}
	return err
}

func (s *Starter) snapshot(ctx context.Context, location string) (*plan.Snapshot, error) {
	snapshot, _, _, err := s.Store.ActiveSnapshot(ctx, location)
	if errors.Is(err, metadata.ErrNotFound) {
		return nil, s.unknownLocation(ctx, location)
	}
	if err != nil {
		return nil, fmt.Errorf("read the definitions of location %q: %w", location, err)
	}
	return snapshot, nil
}

func (s *Starter) unknownLocation(ctx context.Context, location string) error {
	locations, err := s.Store.Locations(ctx)
	if err != nil {
		return fmt.Errorf("list the locations: %w", err)
	}
	names := make([]string, len(locations))
	for i, known := range locations {
		names[i] = known.Location
	}
	problem := wire.Problem{Path: "location", Code: wire.CodeUnknown, Message: fmt.Sprintf("no code location %q", location)}
	switch {
	case location == "" && len(names) > 0:
		problem.Message, problem.Fix = "no code location was named", fmt.Sprintf("name one of: %v", names)
	case len(names) == 0:
		problem.Fix = "no worker has registered one yet: start the location's program"
	default:
		problem.Fix = wire.FixUnknown(location, names)
	}
	return wire.Problems{problem}
}

func (s *Starter) polled(ctx context.Context, queue string) (bool, error) {
	answer, err := s.Temporal.DescribeTaskQueue(ctx, queue, enums.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return false, err
	}
	return len(answer.GetPollers()) > 0, nil
}

func exists(id, how string) wire.Problem {
	return wire.Problem{Path: "id", Code: wire.CodeExists, Message: fmt.Sprintf("%s exists%s: choose another id, or re-execute it", id, how)}
}

func summary(request wire.RunRequest) string {
	text := request.Title
	switch {
	case text != "":
	case request.RetryOf != nil:
		text = "again " + request.RetryOf.RunID
	case request.Job != "":
		text = "job " + request.Job
	default:
		text = request.Assets.String()
	}
	return wire.Summary(text)
}

// newID is readable, in the order of time, and never met twice.
func newID(prefix string) string {
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		// crypto/rand never fails on a supported system.
		panic(fmt.Sprintf("no randomness: %v", err))
	}
	return prefix + "-" + time.Now().UTC().Format("20060102-150405") + "-" + hex.EncodeToString(random[:])
}
