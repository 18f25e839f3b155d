package plan_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// drawOps draws a job of plain ops, ops with a dynamic output and ops that are mapped over these.
func drawOps(t *rapid.T) *plan.Snapshot {
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "drawn", Jobs: []plan.Job{{Name: "all"}}}
	var fans []string
	for number := range rapid.IntRange(1, 9).Draw(t, "ops") {
		op := plan.Compute{Name: fmt.Sprintf("o%d", number), Op: true}
		switch what := rapid.SampledFrom([]string{"plain", "optional", "fan", "mapped", "mapped"}).Draw(t, "what"); {
		case what == "optional":
			op.Optional = true
		case what == "fan":
			op.FanOut = true
			fans = append(fans, op.Name)
		case what == "mapped" && len(fans) > 0:
			op.Over, op.Optional = rapid.SampledFrom(fans).Draw(t, "over"), rapid.Bool().Draw(t, "optional")
			op.Inputs = append(op.Inputs, fromOps(plan.InputElement, op.Over))
		}
		for _, need := range s.Computes {
			if rapid.IntRange(0, 2).Draw(t, "edge") > 0 {
				continue
			}
			input := fromOps(plan.InputValue, need.Name)
			switch {
			case rapid.IntRange(0, 4).Draw(t, "after") == 0:
				input.Kind = plan.InputAfter
			case need.Over != "" && need.Over == op.Over:
				input.Kind = plan.InputElement
			case need.FanOut || need.Over != "":
				input.Kind = plan.InputCollect
			default:
				input.Default = rapid.IntRange(0, 3).Draw(t, "default") == 0
			}
			op.Inputs = append(op.Inputs, input)
		}
		s.Computes = append(s.Computes, op)
		s.Jobs[0].Ops = append(s.Jobs[0].Ops, op.Name)
	}
	return s
}

// walkOn runs steps as end tells, until nothing is left or it has been asked most times.
func walkOn(t *rapid.T, p *plan.Progress, most int, end func(step int)) {
	for range most {
		step, ok := p.NextReady()
		if !ok {
			break
		}
		end(step)
	}
	if !p.Done() {
		p.CancelRest()
	}
	require.True(t, p.Done())
}

// stepsOf is how the steps of a progress ended.
func stepsOf(p *plan.Progress) map[string]wire.StepStatus {
	statuses := map[string]wire.StepStatus{}
	for step := range p.Len() {
		if !p.IsTemplate(step) {
			statuses[p.Key(step)] = p.Status(step)
		}
	}
	return statuses
}

// TestReexecutionEndsAsIfWhatFailedHadSucceeded runs a job to some end, executes it again from its failure, and compares
// with one run in which every step that did not succeed at first did so at once.
func TestReexecutionEndsAsIfWhatFailedHadSucceeded(t *testing.T) {
	t.Parallel()
	for range 10 {
		rapid.Check(t, checkReexecution)
	}
}

func checkReexecution(t *rapid.T) {
	planner, err := plan.NewPlanner(drawOps(t), nil)
	require.NoError(t, err)
	first, err := planner.Plan(job("all"), plan.Facts{RunID: "r1"})
	require.NoError(t, err)
	results := map[string]wire.StepResult{}
	p := plan.NewProgress(&first.Walk)
	walkOn(t, p, rapid.IntRange(0, 30).Draw(t, "ends"), func(step int) {
		if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
			p.Fail(step)
			return
		}
		var result wire.StepResult
		if p.Step(step).Fan {
			result.Keys = []string{"a", "b"}[:rapid.IntRange(0, 2).Draw(t, "keys")]
		} else if rapid.IntRange(0, 3).Draw(t, "emits nothing") == 0 {
			result.NotEmitted = []string{""}
		}
		results[p.Key(step)] = result
		p.Succeed(step, result.NotEmitted, result.Keys)
	})
	parent := &plan.ParentRun{RunID: "r1", Status: wire.RunFailure, Request: first.Request}
	for key, status := range stepsOf(p) {
		step := plan.ParentStep{Step: key, Status: status, Run: "r1"}
		if result, done := results[key]; done {
			step.Result = &result
		}
		parent.Steps = append(parent.Steps, step)
	}

	// What was not done succeeds now, with a key of its own for each dynamic output.
	succeed := func(p *plan.Progress, step int) {
		result, done := results[p.Key(step)]
		if !done && p.Step(step).Fan {
			result.Keys = []string{"new"}
		}
		p.Succeed(step, result.NotEmitted, result.Keys)
	}
	at := plan.NewProgress(&first.Walk)
	walkOn(t, at, 1000, func(step int) { succeed(at, step) })

	second, err := planner.Plan(retry(wire.RetryFailure, ""), plan.Facts{RunID: "r2", Parent: parent})
	if err != nil {
		require.ErrorContains(t, err, `every step of run "r1" is done`)
		require.Len(t, results, len(stepsOf(p)))
		return
	}
	data, err := plan.EncodeWalk(&second.Walk)
	require.NoError(t, err)
	walk, err := plan.DecodeWalk(data)
	require.NoError(t, err)
	again := plan.NewProgress(walk)
	walkOn(t, again, 1000, func(step int) {
		require.NotContains(t, results, again.Key(step), "a step that is done runs again")
		succeed(again, step)
	})
	got := stepsOf(again)
	for key, status := range stepsOf(at) {
		if _, done := results[key]; done {
			status = wire.StepSuccess // although what it needs may have ended otherwise in this order
		}
		require.Equal(t, status, got[key], key)
	}
	require.Len(t, second.Inherited, len(results))
}
