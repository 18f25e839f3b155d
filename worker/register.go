package worker

import (
	"go.temporal.io/sdk/activity"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/activities"
	"github.com/perdure-io/perdure/wire"
	"github.com/perdure-io/perdure/workflows"
)

// registerWorkflows is what the location's queue runs beside steps.
func registerWorkflows(w sdkworker.Worker) {
	w.RegisterWorkflowWithOptions(workflows.Run, workflow.RegisterOptions{Name: wire.RunWorkflow})
	w.RegisterWorkflowWithOptions(workflows.Backfill, workflow.RegisterOptions{Name: wire.BackfillWorkflow})
	w.RegisterWorkflowWithOptions(workflows.Sensor, workflow.RegisterOptions{Name: wire.SensorWorkflow})
	w.RegisterWorkflowWithOptions(workflows.ReportEvent, workflow.RegisterOptions{Name: wire.ReportEventWorkflow})
	w.RegisterWorkflowWithOptions(workflows.ScheduleTick, workflow.RegisterOptions{Name: wire.ScheduleTickWorkflow})
	w.RegisterWorkflowWithOptions(workflows.Preview, workflow.RegisterOptions{Name: wire.PreviewWorkflow})
}

// registerSteps serves every asset and op by one dynamic activity, which looks it up itself.
func registerSteps(w sdkworker.Worker, a *activities.Activities) {
	w.RegisterDynamicActivity(a.Step, activity.DynamicRegisterOptions{})
}

// registerOwn is what the location's own queue runs besides: what needs its code, and is no step's activity of its own; and
// local activities, which run where their workflow does.
func registerOwn(w sdkworker.Worker, a *activities.Activities) {
	w.RegisterActivityWithOptions(a.PlanRun, activity.RegisterOptions{Name: wire.PlanRunActivity})
	w.RegisterActivityWithOptions(a.EndRun, activity.RegisterOptions{Name: wire.EndRunActivity})
	w.RegisterActivityWithOptions(a.AdmitRun, activity.RegisterOptions{Name: wire.AdmitRunActivity})
	w.RegisterActivityWithOptions(a.ClaimSlots, activity.RegisterOptions{Name: wire.ClaimSlotsActivity})
	w.RegisterActivityWithOptions(a.LocalStep, activity.RegisterOptions{Name: wire.LocalStepActivity})
	w.RegisterActivityWithOptions(a.RunHooks, activity.RegisterOptions{Name: wire.RunHooksActivity})
	w.RegisterActivityWithOptions(a.BeginRemote, activity.RegisterOptions{Name: wire.BeginRemoteActivity})
	w.RegisterActivityWithOptions(a.EndRemote, activity.RegisterOptions{Name: wire.EndRemoteActivity})
}

// registerControl is what the control queue runs: milliseconds each, never behind a long step. What plans and ends a run is
// here for when a local activity could not.
func registerControl(w sdkworker.Worker, a *activities.Activities) {
	w.RegisterActivityWithOptions(a.PlanRun, activity.RegisterOptions{Name: wire.PlanRunActivity})
	w.RegisterActivityWithOptions(a.Refuse, activity.RegisterOptions{Name: wire.RefuseActivity})
	w.RegisterActivityWithOptions(a.CloseSteps, activity.RegisterOptions{Name: wire.CloseStepsActivity})
	w.RegisterActivityWithOptions(a.Canceling, activity.RegisterOptions{Name: wire.CancelingActivity})
	w.RegisterActivityWithOptions(a.Checkpoint, activity.RegisterOptions{Name: wire.CheckpointActivity})
	w.RegisterActivityWithOptions(a.Pollers, activity.RegisterOptions{Name: wire.PollersActivity})
	w.RegisterActivityWithOptions(a.EndRun, activity.RegisterOptions{Name: wire.EndRunActivity})
	w.RegisterActivityWithOptions(a.AdmitRun, activity.RegisterOptions{Name: wire.AdmitRunActivity})
	w.RegisterActivityWithOptions(a.ClaimSlots, activity.RegisterOptions{Name: wire.ClaimSlotsActivity})
	w.RegisterActivityWithOptions(a.PlanBackfill, activity.RegisterOptions{Name: wire.PlanBackfillActivity})
	w.RegisterActivityWithOptions(a.AdvanceBackfill, activity.RegisterOptions{Name: wire.AdvanceBackfillActivity})
	w.RegisterActivityWithOptions(a.SteerBackfill, activity.RegisterOptions{Name: wire.SteerBackfillActivity})
	w.RegisterActivityWithOptions(a.StopBackfill, activity.RegisterOptions{Name: wire.StopBackfillActivity})
	w.RegisterActivityWithOptions(a.EndBackfill, activity.RegisterOptions{Name: wire.EndBackfillActivity})
	w.RegisterActivityWithOptions(a.Report, activity.RegisterOptions{Name: wire.ReportActivity})
	w.RegisterActivityWithOptions(a.TakeEvents, activity.RegisterOptions{Name: wire.TakeEventsActivity})
	w.RegisterActivityWithOptions(a.SteerSensor, activity.RegisterOptions{Name: wire.SteerSensorActivity})
}

// registerEvaluation is what the evaluation queue runs: the functions of schedules and sensors, which may take a while.
func registerEvaluation(w sdkworker.Worker, a *activities.Activities) {
	w.RegisterActivityWithOptions(a.EvaluateSchedule, activity.RegisterOptions{Name: wire.EvaluateScheduleActivity})
	w.RegisterActivityWithOptions(a.EvaluateSensor, activity.RegisterOptions{Name: wire.EvaluateSensorActivity})
	w.RegisterActivityWithOptions(a.Preview, activity.RegisterOptions{Name: wire.PreviewActivity})
}
