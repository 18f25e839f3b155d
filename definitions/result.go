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
	stepOf   map[step.AssetPartition]int
	// partitions are the keys of each partitioned asset that the run makes, in the order of their set.
	partitions map[string][]string
}

func (r *Result) begin(p *plan.Plan, progress *plan.Progress, ledger *memoryLedger) {
	r.plan, r.progress, r.ledger = p, progress, ledger
	r.failures, r.stepOf = map[int]error{}, map[step.AssetPartition]int{}
	r.partitions = map[string][]string{}
	for number, planned := range p.Steps {
		keys := planned.Partitions
		if len(keys) == 0 {
			keys = []string{planned.Partition}
		}
		for _, output := range planned.Outputs {
			for _, key := range keys {
				r.stepOf[step.AssetPartition{Asset: output.Asset, Partition: key}] = number
				r.partitions[output.Asset] = append(r.partitions[output.Asset], key)
			}
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
// when there was no step, because the asset was given or not needed. Where it has several, for several partitions, it is SUCCESS
// when all have succeeded, and else how the first other one ended.
func (r *Result) Status(a AnyAsset) wire.StepStatus {
	status := wire.StepStatus("")
	for _, key := range r.keysOf(a) {
		if status = r.PartitionStatus(a, key); status != wire.StepSuccess {
			break
		}
	}
	return status
}

// Stack is the Go stack of the panic that failed an asset's step, of several the first; "" when none panicked.
func (r *Result) Stack(a AnyAsset) string {
	for _, key := range r.keysOf(a) {
		var failed *step.FailedError
		if errors.As(r.failures[r.stepOf[partOf(a, key)]], &failed) && failed.Stack != "" {
			return failed.Stack
		}
	}
	return ""
}

// Metadata is what was reported for an asset's materialization; nil when there is none, or several, for several partitions: see
// [Result.PartitionMetadata].
func (r *Result) Metadata(a AnyAsset) []Metadatum {
	key, err := r.onlyKey(a)
	if err != nil {
		return nil
	}
	return r.PartitionMetadata(a, key)
}

// DataVersion is the data version of an asset's materialization; "" when there is none, or several, for several partitions: see
// [Result.PartitionDataVersion].
func (r *Result) DataVersion(a AnyAsset) string {
	key, err := r.onlyKey(a)
	if err != nil {
		return ""
	}
	return r.PartitionDataVersion(a, key)
}

// In is this asset's value in the result of [Materialize], also when it was [Given]. An error says why there is none. Of several
// partitions read each with [AssetOf.InPartition].
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
	key, err := r.onlyKey(a)
	if err == nil {
		err = r.read(def, key, &value)
	}
	if err != nil {
		return value, fmt.Errorf("%s has no value: %w", def.object(), err)
	}
	return value, nil
}

// read reads a partition of an asset; its key is "" of one without partitions.
func (r *Result) read(a *asset, key string, into any) error {
	if r.refused != nil {
		return r.refused
	}
	of := step.AssetPartition{Asset: a.name, Partition: key}
	number, planned := r.stepOf[of]
	if !planned && a.external {
		return errors.New("it is external: nothing here makes it, and it was not Given")
	}
	if !planned {
		return errors.New("it was not asked for: name it in Only")
	}
	output, ok := r.ledger.output(of)
	switch {
	case ok && a.isNothing():
		return nil
	case ok:
		return r.memory.Load(nil, Slot{Asset: a.name, Partition: key, Token: output.SlotToken}, into)
	case r.failures[number] != nil:
		return r.failures[number]
	case r.progress.Status(number) == wire.StepSuccess:
		return errors.New("its step did not emit it")
	}
	return fmt.Errorf("its step ended as %s", r.progress.Status(number))
}
