//go:build unix

package testlocation

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// Verdict is what is wrong with a run; all empty is a run in which nothing is.
type Verdict struct {
	// Lost is what should be there and is not, or is not right; Doubled what is there twice; Unfinished what did not
	// come to its end.
	Lost, Doubled, Unfinished []string
}

// Good says whether nothing is wrong.
func (v Verdict) Good() bool { return len(v.Lost)+len(v.Doubled)+len(v.Unfinished) == 0 }

// recorded is what Postgres has of a run.
type recorded struct {
	run              metadata.Run
	steps            []metadata.Step
	events           []metadata.Event
	materializations map[string][]metadata.Materialization // by asset
	current          map[string]metadata.Materialization
}

// verifier collects what is wrong with one run.
type verifier struct {
	Verdict
	instance *Instance
	spec     Spec
	recorded recorded
	// counts are how many events the run has of a type and step, places where the last of them stands in the log.
	counts map[eventKind]int
	places map[eventKind]int64
	// latest is whether nobody has made the assets since.
	latest bool
}

// Verify looks at a run of all assets of the spec: it must have succeeded, with one materialization of each asset,
// loadable, right and current, of inputs that the same run made, and with one event for each thing that happened.
// Steps that another worker took up again are fine.
func (i *Instance) Verify(ctx context.Context, spec Spec, run string) (Verdict, error) {
	return i.verify(ctx, run, &verifier{instance: i, spec: spec, latest: true})
}

// VerifyAgain is Verify of a run since which others have made its assets.
func (i *Instance) VerifyAgain(ctx context.Context, spec Spec, run string) (Verdict, error) {
	return i.verify(ctx, run, &verifier{instance: i, spec: spec})
}

func (i *Instance) verify(ctx context.Context, run string, v *verifier) (Verdict, error) {
	if err := v.read(ctx, run); err != nil {
		return Verdict{}, err
	}
	v.checkEnd()
	v.checkMaterializations()
	v.checkEvents()
	v.checkValues(ctx)
	return v.Verdict, nil
}

func (v *verifier) lost(format string, arguments ...any) {
	v.Lost = append(v.Lost, fmt.Sprintf(format, arguments...))
}

func (v *verifier) doubled(format string, arguments ...any) {
	v.Doubled = append(v.Doubled, fmt.Sprintf(format, arguments...))
}

func (v *verifier) unfinished(format string, arguments ...any) {
	v.Unfinished = append(v.Unfinished, fmt.Sprintf(format, arguments...))
}

const pageLimit = 1000

func (v *verifier) read(ctx context.Context, run string) (err error) {
	store := v.instance.Store
	if v.recorded.run, err = store.Run(ctx, run); err != nil {
		return err
	}
	for cursor := ""; ; {
		page, err := store.Steps(ctx, run, cursor, pageLimit)
		if err != nil {
			return err
		}
		v.recorded.steps = append(v.recorded.steps, page.Rows...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for after := int64(0); ; {
		events, err := store.Events(ctx, after, metadata.EventFilter{Run: run}, pageLimit)
		if err != nil {
			return err
		}
		v.recorded.events = append(v.recorded.events, events...)
		if len(events) < pageLimit {
			break
		}
		after = events[len(events)-1].Position
	}
	v.recorded.materializations = map[string][]metadata.Materialization{}
	for cursor := ""; ; {
		page, err := store.Materializations(ctx, metadata.MaterializationFilter{Run: run}, cursor, pageLimit)
		if err != nil {
			return err
		}
		for _, one := range page.Rows {
			v.recorded.materializations[one.Asset] = append(v.recorded.materializations[one.Asset], one)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	v.recorded.current, err = store.Current(ctx, v.spec.Keys())
	return err
}

func (v *verifier) checkEnd() {
	run := v.recorded.run
	if run.Status != wire.RunSuccess || run.EndedAt.IsZero() {
		v.unfinished("run %s is %s (%s), not SUCCESS", run.ID, run.Status, run.Reason)
	}
	if want := (wire.StepCounts{Succeeded: len(v.spec.Assets)}); run.Steps != want {
		v.unfinished("run %s counts %+v, not %+v", run.ID, run.Steps, want)
	}
	if len(v.recorded.steps) != len(v.spec.Assets) {
		v.lost("run %s has %d steps, not %d", run.ID, len(v.recorded.steps), len(v.spec.Assets))
	}
	for _, step := range v.recorded.steps {
		if step.Status != wire.StepSuccess {
			v.unfinished("step %s is %s (%s)", step.Step, step.Status, step.Reason)
		}
	}
}

func (v *verifier) checkMaterializations() {
	for _, key := range v.spec.Keys() {
		found := v.recorded.materializations[key]
		switch {
		case len(found) == 0:
			v.lost("%s has no materialization of this run", key)
			continue
		case len(found) > 1:
			v.doubled("%s has %d materializations of this run", key, len(found))
		}
		if current := v.recorded.current[key]; v.latest && current.ID != found[0].ID {
			v.lost("%s: the current row names materialization %d of run %s, not %d of this run", key, current.ID, current.Run, found[0].ID)
		}
	}
}

// stepEventsOnce are the events of a step that happen once however often its worker died.
var stepEventsOnce = []metadata.EventType{metadata.EventStepStart, metadata.EventStepSuccess, metadata.EventMaterialization}

// eventCustom is what a program of an asset in Python reports of itself.
const eventCustom metadata.EventType = "CUSTOM_MESSAGE"

// eventKind tells events of a run apart.
type eventKind struct {
	event metadata.EventType
	step  string
}

// countEvents counts the run's events, which must be those of a run that began once and ended well once.
func (v *verifier) countEvents() {
	v.counts, v.places = map[eventKind]int{}, map[eventKind]int64{}
	last := int64(0)
	for _, event := range v.recorded.events {
		if event.Position <= last {
			v.doubled("event %d comes after event %d", event.Position, last)
		}
		last = event.Position
		at := eventKind{event.Type, event.Step}
		v.counts[at]++
		v.places[at] = event.Position
	}
	v.expect("", metadata.EventRunStart, metadata.EventRunSuccess)
}

// expect finds each of the events once.
func (v *verifier) expect(step string, events ...metadata.EventType) {
	for _, event := range events {
		switch n := v.counts[eventKind{event, step}]; {
		case n == 0:
			v.lost("%s has no event %s", step, event)
		case n > 1:
			v.doubled("%s has %d events %s", step, n, event)
		}
	}
}

// expectNone finds none of the events.
func (v *verifier) expectNone(step string, events ...metadata.EventType) {
	for _, event := range events {
		if n := v.counts[eventKind{event, step}]; n > 0 {
			v.lost("%s has %d events %s", step, n, event)
		}
	}
}

// checkOrder finds that a step began after its input was done.
func (v *verifier) checkOrder(step, input string) {
	if started, done := v.started(step), v.done(input); started.Before(done) {
		v.lost("%s started at %s, before its input %s was done at %s", step, started, input, done)
	}
}

func (v *verifier) checkEvents() {
	v.countEvents()
	for _, asset := range v.spec.Assets {
		v.expect(asset.Key, stepEventsOnce...)
		if asset.Python {
			v.expect(asset.Key, eventCustom)
		}
		v.expectNone(asset.Key, metadata.EventStepFailure)
		for _, input := range asset.Inputs {
			v.checkOrder(asset.Key, input)
		}
		for _, one := range v.recorded.materializations[asset.Key] {
			if one.Position != v.places[eventKind{metadata.EventMaterialization, asset.Key}] {
				v.lost("%s: materialization %d names event %d, which is not its own", asset.Key, one.ID, one.Position)
			}
		}
	}
}

// started is when the attempt that succeeded claimed a step, by the clock of Postgres.
func (v *verifier) started(step string) time.Time {
	for _, found := range v.recorded.steps {
		if found.Step == step {
			return found.ClaimedAt
		}
	}
	return time.Time{}
}

// done is when a step's success was recorded, by the same clock.
func (v *verifier) done(step string) time.Time {
	for _, event := range v.recorded.events {
		if event.Type == metadata.EventStepSuccess && event.Step == step {
			return event.At
		}
	}
	return time.Time{}
}

// checkValues loads every value, and follows each back to the calls that made its inputs.
func (v *verifier) checkValues(ctx context.Context) {
	sums := v.spec.Sums()
	calls := map[string]string{}
	for _, asset := range v.spec.Assets {
		found := v.recorded.materializations[asset.Key]
		if len(found) == 0 {
			continue // said already
		}
		value, err := v.instance.Load(ctx, found[0])
		if err != nil {
			v.lost("%s: its value is not there: %v", asset.Key, err)
			continue
		}
		if value.Asset != asset.Key || value.Sum != sums[asset.Key] {
			v.lost("%s: its value is %+v, not that of sum %s", asset.Key, value, sums[asset.Key])
		}
		calls[asset.Key] = value.Call
		for _, input := range asset.Inputs {
			if value.Inputs[input] != calls[input] {
				v.lost("%s was computed from %s by call %s, not %s, which is the recorded one", asset.Key, input, value.Inputs[input], calls[input])
			}
		}
	}
}

// Load reads the value of a materialization.
func (i *Instance) Load(ctx context.Context, one metadata.Materialization) (Value, error) {
	var value Value
	err := i.Storage.Load(quiet{definitions.NewContext(ctx)}, definitions.Slot{Asset: one.Asset, Partition: one.Partition, Token: one.SlotToken}, &value) //nolint:contextcheck // it has ctx inside
	return value, err
}

// quiet is a context whose log goes nowhere.
type quiet struct{ definitions.Context }

// Log goes nowhere.
func (quiet) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }
