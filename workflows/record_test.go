package workflows_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/wire"
)

// namespace is that of the dev server.
const namespace = "default"

// recordedHere stands in a history for the process that it was recorded by.
const recordedHere = "recorded"

// TestRecordHistories writes a history of every way that a workflow can take, from this commit: `make replay-record`.
func TestRecordHistories(t *testing.T) {
	t.Parallel()
	if os.Getenv("PERDURE_RECORD_HISTORIES") == "" {
		t.Skip("it overwrites what the other tests replay: make replay-record")
	}
	require.NoError(t, os.MkdirAll(recordings, 0o755))
	connected, err := client.Dial(client.Options{HostPort: testenv.Temporal(t).Address, Identity: recordedHere, Logger: quiet{}})
	require.NoError(t, err)
	t.Cleanup(connected.Close)
	for _, s := range everyScenario() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{Client: connected, t: t, id: "recorded-" + s.name}
			workflowType := cmp.Or(s.workflow, wire.RunWorkflow)
			if s.serves != nil {
				r.serve(s.serves().register)
			} else if s.backfill != nil {
				workflowType, r.backfill = wire.BackfillWorkflow, s.backfill()
				r.serve(r.backfill.register)
			} else {
				r.w = s.world()
				r.serve(func(to registry) { r.w.register(to) })
			}
			if s.request == "" {
				s.request = `{"assets":"*"}`
			}
			started, err := connected.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: r.id, TaskQueue: r.id}, workflowType, payload(s.request))
			require.NoError(t, err)
			r.first = started.GetRunID()
			if s.then != nil {
				s.then(r)
			}
			err = connected.GetWorkflow(t.Context(), r.id, "").Get(t.Context(), nil)
			if s.ends == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, s.ends)
			}
			r.write(s.name, s.executions)
		})
	}
}

type recorder struct {
	client.Client
	t *testing.T
	// w is what a run meets, backfill what a backfill does.
	w        *world
	backfill *backfillWorld
	id       string
	first    string
}

func (r *recorder) serve(register func(registry)) {
	for _, queue := range []string{r.id, wire.ControlQueue(r.id), wire.EvaluationQueue(r.id)} {
		w := worker.New(r.Client, queue, worker.Options{Identity: recordedHere, MaxHeartbeatThrottleInterval: 100 * time.Millisecond})
		register(w)
		require.NoError(r.t, w.Start())
		r.t.Cleanup(w.Stop)
	}
}

// awaitStarted waits until a step has.
func (r *recorder) awaitStarted(step string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		return r.w.tokens[step] != nil
	}, time.Minute, 10*time.Millisecond)
}

func (r *recorder) history(execution string) *history.History {
	r.t.Helper()
	read := &history.History{}
	events := r.GetWorkflowHistory(r.t.Context(), r.id, execution, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(r.t, err)
		read.Events = append(read.Events, event)
	}
	return read
}

// reset goes back to where a step was about to be scheduled.
func (r *recorder) reset(step string) {
	r.t.Helper()
	var task int64
	for _, event := range r.history(r.first).GetEvents() {
		switch {
		case event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			task = event.GetEventId()
		case event.GetActivityTaskScheduledEventAttributes().GetActivityId() == step:
			_, err := r.ResetWorkflowExecution(r.t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
				Namespace: namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: r.id, RunId: r.first},
				Reason: "recorded", WorkflowTaskFinishEventId: task, RequestId: "recorded",
			})
			require.NoError(r.t, err)
			return
		}
	}
	require.Fail(r.t, "no such step", step)
}

// write writes the run's executions, the first one's file without a number.
func (r *recorder) write(name string, least int) {
	r.t.Helper()
	execution, n := r.first, 1
	for ; execution != ""; n++ {
		read := r.history(execution)
		last := read.GetEvents()[len(read.GetEvents())-1]
		execution = last.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		file := name + ".json"
		if n > 1 {
			file = fmt.Sprintf("%s~%d.json", name, n)
		}
		r.writeHistory(file, read)
	}
	require.Greater(r.t, n, least, "the run has too few executions to be worth recording")
	described, err := r.DescribeWorkflowExecution(r.t.Context(), r.id, "")
	require.NoError(r.t, err)
	if latest := described.GetWorkflowExecutionInfo().GetExecution().GetRunId(); n == 2 && latest != r.first {
		r.writeHistory(name+"~reset.json", r.history(latest))
	}
}

func (r *recorder) writeHistory(file string, read *history.History) {
	r.t.Helper()
	scrub(read.ProtoReflect())
	data, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(read)
	require.NoError(r.t, err)
	host, err := os.Hostname()
	require.NoError(r.t, err)
	folder, err := os.Getwd()
	require.NoError(r.t, err)
	for _, private := range []string{"@" + host, folder, fmt.Sprintf("%d@", os.Getpid())} {
		require.False(r.t, bytes.Contains(data, []byte(private)), "a history is for everybody: %s is in %s", private, file)
	}
	require.NoError(r.t, os.WriteFile(filepath.Join(recordings, file), append(data, '\n'), 0o644))
}

// scrub takes out what tells of this machine.
func scrub(message protoreflect.Message) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				scrub(value.List().Get(i).Message())
			}
		case field.IsList():
		case field.Message() != nil:
			scrub(value.Message())
		case field.Kind() == protoreflect.StringKind:
			switch field.Name() {
			case "identity", "worker_instance_key":
				message.Set(field, protoreflect.ValueOfString(recordedHere))
			case "binary_checksum", "build_id", "stack_trace":
				message.Clear(field)
			}
		}
		return true
	})
	if queue, ok := message.Interface().(*taskqueue.TaskQueue); ok && queue.GetKind() == enums.TASK_QUEUE_KIND_STICKY {
		proto.Merge(queue, &taskqueue.TaskQueue{Name: recordedHere})
	}
}

// staysAlive is a step that goes on until it is told to stop.
func staysAlive(ctx context.Context) (any, error) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
			heartbeat(ctx)
		}
	}
}
