//go:build unix

package testlocation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq" // the driver of Postgres

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// storedOutput is a row of what a step of an op has stored.
type storedOutput struct {
	Step      string `db:"step"`
	Key       string `db:"key"`
	SlotToken int64  `db:"slot_token"`
	Location  string `db:"location"`
}

// fanVerifier collects what is wrong with one run of a fan.
type fanVerifier struct {
	verifier
	fan Fan
	run string
	// parent is the run that did what this one inherits, and redone are the steps that it does itself; "" and all.
	parent string
	redone []string
	// outputs are by step, of this run and of its parent; calls those that made the values, by step.
	outputs map[string][]storedOutput
	calls   map[string]string
}

// VerifyFan looks at a run of the location's fan, by either job: it must have succeeded, with every step done once, each
// of its values stored once, loadable, right, and made of those that are recorded, and with one event for each thing that
// happened. redone are the steps that a run does itself which executes another one again, parent; without both, all.
func (i *Instance) VerifyFan(ctx context.Context, fan Fan, run, parent string, redone []string) (Verdict, error) {
	v := &fanVerifier{verifier: verifier{instance: i}, fan: fan, run: run, parent: parent, redone: redone, calls: map[string]string{}}
	if parent == "" {
		v.redone = fan.Steps()
	}
	if err := v.read(ctx, run); err != nil {
		return Verdict{}, err
	}
	if err := v.readOutputs(ctx); err != nil {
		return Verdict{}, err
	}
	v.checkFanEnd()
	v.countEvents()
	for _, step := range v.fan.Steps() {
		v.checkStep(step)
		v.checkOutputs(ctx, step)
	}
	return v.Verdict, nil
}

func (v *fanVerifier) readOutputs(ctx context.Context) error {
	db, err := sqlx.ConnectContext(ctx, "postgres", v.instance.dsn)
	if err != nil {
		return fmt.Errorf("read the outputs of run %q: %w", v.run, err)
	}
	defer func() { _ = db.Close() }()
	v.outputs = map[string][]storedOutput{}
	for _, run := range []string{v.run, v.parent} {
		var found []storedOutput
		err := db.SelectContext(ctx, &found, `select step, key, slot_token, location from step_outputs where run_id = $1 order by step, place`, run)
		if err != nil {
			return fmt.Errorf("read the outputs of run %q: %w", run, err)
		}
		for _, one := range found {
			switch {
			case slices.Contains(v.redone, one.Step) == (run == v.run):
				v.outputs[one.Step] = append(v.outputs[one.Step], one)
			case run == v.run:
				v.doubled("%s has an output, which it inherits", one.Step)
			}
		}
	}
	// Outputs that were computed anew are noted there; only a reset does that.
	var replaced []string
	err = db.SelectContext(ctx, &replaced, `select step from superseded_values where run_id = $1 and asset = ''`, v.run)
	if err != nil {
		return fmt.Errorf("read the replaced outputs of run %q: %w", v.run, err)
	}
	for _, step := range replaced {
		v.doubled("%s has an output that another one has replaced", step)
	}
	return nil
}

// isSkipped says whether a step has nothing to do.
func (v *fanVerifier) isSkipped(step string) bool {
	key, isClean := strings.CutPrefix(step, "clean[")
	return isClean && slices.Contains(v.fan.Dropped, strings.TrimSuffix(key, "]"))
}

func (v *fanVerifier) checkFanEnd() {
	run := v.recorded.run
	if run.Status != wire.RunSuccess || run.EndedAt.IsZero() {
		v.unfinished("run %s is %s (%s), not SUCCESS", run.ID, run.Status, run.Reason)
	}
	var want wire.StepCounts
	for _, step := range v.redone {
		if v.isSkipped(step) {
			want.Skipped++
		} else {
			want.Succeeded++
		}
	}
	if run.Steps != want || run.StepsTotal != len(v.redone) {
		v.unfinished("run %s counts %d steps, %+v, not %d, %+v", run.ID, run.StepsTotal, run.Steps, len(v.redone), want)
	}
}

// checkStep looks at a step's record and events.
func (v *fanVerifier) checkStep(step string) {
	at := slices.IndexFunc(v.recorded.steps, func(s metadata.Step) bool { return s.Step == step })
	if at < 0 {
		v.lost("run %s has no step %s", v.run, step)
		return
	}
	found, want, inherited := v.recorded.steps[at], wire.StepSuccess, v.parent
	isOwn := slices.Contains(v.redone, step)
	if v.isSkipped(step) {
		want = wire.StepSkipped
	}
	if isOwn {
		inherited = ""
	}
	if found.Status != want || found.InheritedFrom != inherited {
		v.unfinished("step %s is %s (%s), inherited from %q, not %s from %q", step, found.Status, found.Reason, found.InheritedFrom, want, inherited)
	}
	ran := []metadata.EventType{metadata.EventStepStart, metadata.EventStepSuccess}
	if v.fan.Hooks {
		ran = append(ran, metadata.EventHookCompleted)
	}
	switch {
	case !isOwn:
		v.expectNone(step, append(ran, metadata.EventStepSkipped)...)
	case v.isSkipped(step):
		v.expect(step, metadata.EventStepSkipped)
		v.expectNone(step, ran...)
	default:
		v.expect(step, ran...)
		v.expectNone(step, metadata.EventStepSkipped)
		for _, input := range v.fan.inputs(step) {
			v.checkOrder(step, input)
		}
	}
	v.expectNone(step, metadata.EventStepFailure)
}

// checkOutputs loads a step's values, and follows them back to the calls that made its inputs.
func (v *fanVerifier) checkOutputs(ctx context.Context, step string) {
	keys, sums := []string{""}, map[string]string{"": v.fan.sums()[step]}
	switch {
	case step == "list":
		keys = v.fan.Keys
		for _, key := range keys {
			sums[key] = sumOf(key, nil)
		}
	case sums[""] == "":
		keys = nil // it gives none
	}
	var got []string
	for _, output := range v.outputs[step] {
		got = append(got, output.Key)
	}
	if !slices.Equal(got, keys) {
		v.lost("%s has stored outputs %q, not %q", step, got, keys)
		return
	}
	for _, output := range v.outputs[step] {
		run := v.run
		if !slices.Contains(v.redone, step) {
			run = v.parent
		}
		slot := definitions.Slot{Run: run, Step: step, Key: output.Key, Token: output.SlotToken, Location: output.Location}
		var value Value
		if err := v.instance.Storage.Load(quiet{definitions.NewContext(ctx)}, slot, &value); err != nil { //nolint:contextcheck // it has ctx inside
			v.lost("%s: its value is not there: %v", slot, err)
			continue
		}
		if value.Sum != sums[output.Key] {
			v.lost("%s: its value is %+v, not that of sum %s", slot, value, sums[output.Key])
		}
		if step == "list" {
			continue
		}
		v.calls[step] = value.Call
		for _, input := range v.fan.inputs(step) {
			if made := v.calls[input]; made != "" && value.Inputs[input] != made {
				v.lost("%s was computed from %s by call %s, not %s, which is the recorded one", step, input, value.Inputs[input], made)
			}
		}
	}
}
