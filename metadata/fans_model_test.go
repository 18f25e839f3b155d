package metadata_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// fanModel is what a run's rows must say, worked out the simple way.
type fanModel struct {
	run string
	// keys are those of the fan as it stands, inherited whether the run took it over.
	keys []string
	// emitted holds the output of each step that is done and emitted one, by step; of the fan by "pages" and its key.
	emitted map[string]wire.StepValue
	// steps are the steps that there are, and how they ended.
	steps map[string]wire.StepStatus
	// parent is the run whose steps it took over.
	parent    *fanModel
	inherited map[string]bool
}

func (m *fanModel) value(step, key string) []wire.StepValue {
	from := m
	if m.inherited[step] {
		from = m.parent
	}
	value, ok := from.emitted[step+"/"+key]
	if !ok {
		return nil
	}
	return []wire.StepValue{value}
}

// loads is what the claim of a step must answer.
func (m *fanModel) loads(step string) []wire.StepValue {
	template, key, _ := plan.SplitMappedKey(step)
	switch template {
	case "pages":
		return m.value("source", "")
	case "etl.clean":
		return m.value("pages", key)
	case "total":
		return append(m.value(plan.MappedKey("etl.clean", key), ""), m.value("source", "")...)
	case "summary":
		var all []wire.StepValue
		for _, key := range m.keys {
			all = append(all, m.value("pages", key)...)
		}
		for _, key := range m.keys {
			all = append(all, m.value(plan.MappedKey("total", key), "")...)
		}
		return all
	default:
		return nil
	}
}

func (m *fanModel) forget(step string) {
	for output := range m.emitted {
		if strings.HasPrefix(output, step+"/") {
			delete(m.emitted, output)
		}
	}
}

// dropMapped forgets what the fan brought.
func (m *fanModel) dropMapped() {
	for step := range m.steps {
		if _, _, mapped := plan.SplitMappedKey(step); mapped {
			m.forget(step)
			delete(m.steps, step)
		}
	}
	m.keys = nil
}

func (m *fanModel) expand(keys []string) {
	m.keys = keys
	for _, key := range keys {
		m.steps[plan.MappedKey("etl.clean", key)] = wire.StepWaiting
		m.steps[plan.MappedKey("total", key)] = wire.StepWaiting
	}
}

func (m *fanModel) order() []string {
	order := []string{"source", "pages"}
	for _, template := range []string{"etl.clean", "total"} {
		for _, key := range m.keys {
			if step := plan.MappedKey(template, key); m.steps[step] != "" {
				order = append(order, step)
			}
		}
	}
	return append(order, "summary")
}

func (m *fanModel) own() []string {
	return slices.DeleteFunc(m.order(), func(step string) bool { return m.inherited[step] })
}

// act has one step run, or closes it, as a workflow and its resets would, and checks what the claim answers.
func (m *fanModel) act(t *rapid.T, b *bench, at int64) {
	step := rapid.SampledFrom(m.own()).Draw(t, "step")
	do := rapid.SampledFrom([]string{"emit", "emit", "emit", "nothing", "fail", "skip", "cancel"}).Draw(t, "do")
	if do == "skip" || do == "cancel" {
		closed := wire.ClosedStep{Step: step, Status: wire.StepSkipped}
		if do == "cancel" {
			closed = wire.ClosedStep{Step: step, Status: wire.StepCanceled, Unscheduled: true}
		}
		_, err := b.CloseSteps(b.Context(), m.run, time.Unix(0, at), []wire.ClosedStep{closed})
		require.NoError(t, err)
		if step == "pages" && m.steps[step] != closed.Status {
			m.dropMapped()
		}
		m.steps[step] = closed.Status
		m.forget(step)
		return
	}
	claim := b.claimOp(m.run, step, at)
	if step == "pages" {
		m.dropMapped()
	}
	if want := m.loads(step); len(want)+len(claim.Values) > 0 {
		require.Equal(t, want, claim.Values, step)
	}
	m.forget(step)
	fence := wire.Fence{Run: m.run, Step: step, Scheduled: at, Token: claim.Token}
	if do == "fail" {
		require.False(t, b.fail(fence, 1, true))
		m.steps[step] = wire.StepFailed
		return
	}
	m.steps[step] = wire.StepSuccess
	var keys []string
	switch {
	case step == "pages":
		keys = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 0, 4, rapid.ID).Draw(t, "keys")
		m.expand(keys)
	case do == "emit":
		keys = []string{""}
	}
	for _, key := range keys {
		m.emitted[step+"/"+key] = valueOf(fence, key)
	}
	b.commitOp(fence, keys...)
}

func (m *fanModel) check(t *rapid.T, b *bench) {
	page, err := b.Steps(b.Context(), m.run, "", 1000)
	require.NoError(t, err)
	var order []string
	ended := map[wire.StepStatus]int{}
	for _, row := range page.Rows {
		order = append(order, row.Step)
		if m.inherited[row.Step] {
			require.Equal(t, m.parent.run, row.InheritedFrom, row.Step)
			continue
		}
		require.Equal(t, m.steps[row.Step], row.Status, row.Step)
		ended[row.Status]++
	}
	require.Equal(t, m.order(), order)
	run, err := b.Run(b.Context(), m.run)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{
		Succeeded: ended[wire.StepSuccess], Failed: ended[wire.StepFailed], Skipped: ended[wire.StepSkipped], Canceled: ended[wire.StepCanceled],
	}, run.Steps)
	require.Equal(t, len(m.own()), run.StepsTotal)
}

// heir begins a run that takes over what the model's run has done, as far as the draws say so.
func (m *fanModel) heir(t *rapid.T, b *bench) *fanModel {
	h := &fanModel{run: m.run + "~1", emitted: map[string]wire.StepValue{}, steps: map[string]wire.StepStatus{}, parent: m, inherited: map[string]bool{}}
	run := newRun(h.run, fanned()...)
	start := &plan.State{}
	run.Plan.RetryOf, run.Plan.RootRunID, run.Plan.Inherited, run.Plan.Walk.Start = m.run, m.run, map[string]plan.Inherited{}, start
	run.Plan.Walk.Kinds = []plan.Kind{{}}
	run.Plan.Walk.Steps = []plan.WalkStep{
		{Key: "source", Next: []int{1, 3}},
		{Key: "pages", Fan: true, Next: []int{2, 4}},
		{Key: "etl.clean", Over: 2, Next: []int{3}},
		{Key: "total", Over: 2, Next: []int{4}},
		{Key: "summary"},
	}
	letter := func(step string, take bool) string {
		if !take {
			h.steps[step] = wire.StepWaiting
			return "."
		}
		h.inherited[step], h.steps[step] = true, wire.StepSuccess
		inherited := plan.Inherited{Run: m.run}
		if step == "pages" {
			inherited.Result.Keys = m.keys
		}
		run.Plan.Inherited[step] = inherited
		return "P"
	}
	takes := func(step string) bool { return m.steps[step] == wire.StepSuccess && rapid.Bool().Draw(t, "take "+step) }
	fan := takes("pages")
	for _, step := range []string{"source", "pages"} {
		start.Steps += letter(step, step == "pages" && fan || step != "pages" && takes(step))
	}
	start.Steps += ".." + letter("summary", false)
	if fan && len(m.keys) > 0 {
		h.keys = m.keys
		start.Fans = []plan.FanKeys{{Step: 1, Keys: m.keys}}
		for _, key := range m.keys {
			for _, template := range []string{"etl.clean", "total"} {
				step := plan.MappedKey(template, key)
				if leftOut := m.steps[step] != wire.StepSuccess && rapid.Bool().Draw(t, "leave out "+step); leftOut {
					start.Steps += "P"
					continue
				}
				start.Steps += letter(step, takes(step))
			}
		}
	}
	planned, err := b.PlanRun(b.Context(), run)
	require.NoError(t, err)
	require.Equal(t, metadata.Planned, planned.Outcome)
	return h
}

// Whatever runs again, is closed or reset, in a run or in one that takes steps over from it: the steps that there are, how
// they stand, and what a claim says of the values to load are those of a simple model.
func TestFansAndInheritedStepsAreAsTheModelSays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		m := &fanModel{run: fmt.Sprint("r", runs), emitted: map[string]wire.StepValue{}, steps: map[string]wire.StepStatus{
			"source": wire.StepWaiting, "pages": wire.StepWaiting, "summary": wire.StepWaiting,
		}}
		b.begin(m.run, fanned()...)
		at := int64(10)
		for range rapid.IntRange(1, 12).Draw(rt, "actions") {
			at += 10
			m.act(rt, b, at)
		}
		m.check(rt, b)
		h := m.heir(rt, b)
		for range rapid.IntRange(0, 8).Draw(rt, "actions of the heir") {
			at += 10
			h.act(rt, b, at)
		}
		h.check(rt, b)
	})
}
