package definitions

import (
	"errors"
	"fmt"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Result is what [Materialize] or [RunJob] did.
type Result struct {
	// refused is why nothing was run; canceled why the rest was not; closing what went wrong at the end.
	refused, canceled, closing error
	definitions                *Definitions
	inProcess                  *inProcess
	memory                     *memory
	ledger                     *memoryLedger
	plan                       *plan.Plan
	progress                   *plan.Progress
	// failures by step; steps by the asset they make.
	failures map[int]error
	hooks    []HookResult
	stepOf   map[string]int
}

func (r *Result) begin(p *plan.Plan, progress *plan.Progress, ledger *memoryLedger) {
	r.plan, r.progress, r.ledger = p, progress, ledger
	r.failures, r.stepOf = map[int]error{}, map[string]int{}
	for number, planned := range p.Steps {
		for _, output := range planned.Outputs {
			r.stepOf[output.Asset] = number
		}
	}
}

// Err joins everything that went wrong: the problems for which nothing was run ([ProblemList] among them), each
// failed step with its name, the end of the context, and resources that did not close. It is nil when all steps
// succeeded or were skipped.
func (r *Result) Err() error {
	if r.refused != nil {
		return r.refused
	}
	var problems []error
	for number := range r.progress.Len() {
		if err := r.failures[number]; err != nil {
			problems = append(problems, err)
		}
	}
	if r.canceled != nil {
		problems = append(problems, fmt.Errorf("the materialization was cancelled: %w", r.canceled))
	}
	return errors.Join(append(problems, r.closing)...)
}

// Materialized are the keys of the assets that were materialized, sorted.
func (r *Result) Materialized() []string {
	if r.ledger == nil {
		return nil
	}
	return r.ledger.assets()
}

// Status is how the step ended that makes an asset: SUCCESS, FAILED, SKIPPED, UPSTREAM_FAILED or CANCELED. It is ""
// when there was no step, because the asset was given or not needed.
func (r *Result) Status(a AnyAsset) wire.StepStatus {
	number, ok := r.step(a)
	if !ok {
		return ""
	}
	return r.progress.Status(number)
}

// Stack is the Go stack of the panic that failed an asset's step; "" when it did not panic.
func (r *Result) Stack(a AnyAsset) string {
	number, ok := r.step(a)
	if !ok {
		return ""
	}
	var failed *step.FailedError
	if !errors.As(r.failures[number], &failed) {
		return ""
	}
	return failed.Stack
}

// Metadata is what was reported for an asset's materialization; nil when there is none.
func (r *Result) Metadata(a AnyAsset) []Metadatum {
	base := baseOf(a)
	if base == nil || r.ledger == nil {
		return nil
	}
	output, ok := r.ledger.output(base.name)
	if !ok {
		return nil
	}
	return raiseMetadata(output.Metadata)
}

// DataVersion is the data version of an asset's materialization; "" when there is none.
func (r *Result) DataVersion(a AnyAsset) string {
	base := baseOf(a)
	if base == nil || r.ledger == nil {
		return ""
	}
	output, _ := r.ledger.output(base.name)
	return output.DataVersion
}

func (r *Result) step(a AnyAsset) (int, bool) {
	base := baseOf(a)
	if base == nil {
		return 0, false
	}
	number, ok := r.stepOf[base.name]
	return number, ok
}

// In is this asset's value in the result of [Materialize], also when it was [Given]. An error says why there is none.
func (a *AssetOf[T]) In(r *Result) (T, error) {
	var value T
	def := a.base()
	if def == nil {
		return value, errors.New("the asset handle was never declared")
	}
	if given, ok := r.inProcess.given(def); ok {
		value, _ = given.(T) // Given has checked the type; a nil interface stays nil
		return value, nil
	}
	if err := r.read(def, &value); err != nil {
		return value, fmt.Errorf("%s has no value: %w", def.object(), err)
	}
	return value, nil
}

func (r *Result) read(a *asset, into any) error {
	if r.refused != nil {
		return r.refused
	}
	number, planned := r.stepOf[a.name]
	if !planned && a.external {
		return errors.New("it is external: nothing here makes it, and it was not Given")
	}
	if !planned {
		return errors.New("it was not asked for: name it in Only")
	}
	output, ok := r.ledger.output(a.name)
	switch {
	case ok && a.isNothing():
		return nil
	case ok:
		return r.memory.Load(nil, Slot{Asset: a.name, Token: output.SlotToken}, into)
	case r.failures[number] != nil:
		return r.failures[number]
	case r.progress.Status(number) == wire.StepSuccess:
		return errors.New("its step did not emit it")
	}
	return fmt.Errorf("its step ended as %s", r.progress.Status(number))
}
