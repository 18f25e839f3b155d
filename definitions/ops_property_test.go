package definitions_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

// modelOp is an op of a drawn graph, and how the obvious reading of the rules ends it.
type modelOp struct {
	does    string // "value", "nothing" or "fail"
	plain   []int
	all     []int
	orElse  []int
	after   []int
	status  wire.StepStatus
	value   int
	emitted bool
}

const fallback = 1000

// drawOps draws ops that each need some of those before.
func drawOps(t *rapid.T) []modelOp {
	ops := make([]modelOp, rapid.IntRange(1, 12).Draw(t, "ops"))
	for i := range ops {
		op := &ops[i]
		op.does = rapid.SampledFrom([]string{"value", "value", "value", "nothing", "fail"}).Draw(t, "does")
		for need := range i {
			switch rapid.IntRange(0, 9).Draw(t, "need") {
			case 0:
				op.plain = append(op.plain, need)
			case 1, 2:
				op.all = append(op.all, need)
			case 3:
				op.orElse = append(op.orElse, need)
			case 4:
				op.after = append(op.after, need)
			}
		}
	}
	return ops
}

// decide ends an op by the rules, those before it being decided.
func (op *modelOp) decide(ops []modelOp) {
	missing := func(need int) bool {
		return !ops[need].emitted && (ops[need].status == wire.StepSuccess || ops[need].status == wire.StepSkipped)
	}
	failed := func(need int) bool {
		return ops[need].status == wire.StepFailed || ops[need].status == wire.StepUpstreamFailed
	}
	allMissing := len(op.all) > 0 && !slices.ContainsFunc(op.all, func(need int) bool { return !missing(need) })
	switch {
	case allMissing || slices.ContainsFunc(op.plain, missing) || slices.ContainsFunc(op.after, missing):
		op.status = wire.StepSkipped
	case slices.ContainsFunc(slices.Concat(op.plain, op.all, op.orElse, op.after), failed):
		op.status = wire.StepUpstreamFailed
	case op.does == "fail":
		op.status = wire.StepFailed
	default:
		op.status, op.emitted, op.value = wire.StepSuccess, op.does == "value", 1
		for _, need := range slices.Concat(op.plain, op.all) {
			op.value += ops[need].value // 0 when it was not emitted
		}
		for _, need := range op.orElse {
			if ops[need].emitted {
				op.value += ops[need].value
			} else {
				op.value += fallback
			}
		}
		if !op.emitted {
			op.value = 0
		}
	}
}

// declare is the op as a user would write it.
func (op *modelOp) declare(name string, values []*d.Value[int]) *d.Value[int] {
	sources := []d.Source[int]{d.Literal(1)}
	for _, need := range op.plain {
		sources = append(sources, values[need])
	}
	for _, need := range op.orElse {
		sources = append(sources, d.OrElse(values[need], fallback))
	}
	if len(op.all) > 0 {
		members := make([]d.Source[int], len(op.all))
		for i, need := range op.all {
			members[i] = values[need]
		}
		sources = append(sources, d.View(d.All(members...), addUp))
	}
	after := make([]d.Orderable, len(op.after))
	for i, need := range op.after {
		after[i] = values[need]
	}
	for len(sources) < 8 {
		sources = append(sources, d.Literal(0))
	}
	run := func(_ d.Context, a, b, c, e, f, g, h, i int) (*int, error) {
		switch op.does {
		case "fail":
			return nil, errors.New("as drawn")
		case "nothing":
			return nil, nil
		}
		sum := addUp([]int{a, b, c, e, f, g, h, i})
		return &sum, nil
	}
	s := sources
	return d.Maybe(name, d.Bind8(run, s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), d.After(after...))
}

func TestGraphsOfOpsEndByTheRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ops := drawOps(t)
		values := make([]*d.Value[int], len(ops))
		results := make([]d.AnyValue, len(ops))
		for i := range ops {
			for len(ops[i].plain)+len(ops[i].orElse) > 6 { // with the literal and the fan-in, eight parameters
				if len(ops[i].plain) > 0 {
					ops[i].plain = ops[i].plain[1:]
				} else {
					ops[i].orElse = ops[i].orElse[1:]
				}
			}
			ops[i].decide(ops)
			values[i] = ops[i].declare(fmt.Sprintf("op_%d", i), values)
			results[i] = values[i]
		}
		job := d.OpJob("job", results)
		run := d.RunJob(t.Context(), d.New("x", job), job)
		for i, op := range ops {
			require.Equal(t, op.status, run.OpStatus(values[i]), "op %d of %+v", i, ops)
			value, err := values[i].In(run)
			require.Equal(t, op.emitted, err == nil, "op %d of %+v", i, ops)
			require.Equal(t, op.value, value, "op %d of %+v", i, ops)
		}
	})
}
