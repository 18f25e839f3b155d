package definitions

import (
	"cmp"
	"slices"
)

// OpJob declares a job that runs ops: those of results, and all that they hang on. A result may be a [Fan]: what is
// mapped and never collected. name is letters, digits, "_", "." and "-". Ops of two jobs may be the same, and are then
// one definition.
func OpJob(name string, results []AnyValue, opts ...JobOption) *Job {
	j := &Job{declared: declared{what: "job", name: name, at: place()}, isOps: true}
	for _, o := range opts {
		if o == nil {
			j.nilOption()
			continue
		}
		o.applyJob(j)
	}
	if len(results) == 0 {
		j.wrong("results", "it lists no results", "list the ops that it is to run, those that they hang on are run, too")
	}
	for _, result := range results {
		if n := opOf(result); n != nil {
			j.results = append(j.results, n)
			continue
		}
		j.wrong("results", "it lists an op's handle that was never declared", "declare it with Op, Maybe, FanOut or Map")
	}
	j.ops = reached(j.results, 0)
	slices.SortFunc(j.ops, func(a, b *node) int { return cmp.Compare(a.number, b.number) })
	return j
}
