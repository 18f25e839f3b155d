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

// op plans an op's step that loads these outputs of others.
func op(key string, values ...plan.ValueInput) plan.Step {
	return plan.Step{Key: key, Type: key, Shape: shape, MaxLostWorkers: 3, Op: true, Values: values}
}

func taking(take plan.Take, steps ...string) []plan.ValueInput {
	values := make([]plan.ValueInput, len(steps))
	for i, step := range steps {
		values[i] = plan.ValueInput{Step: step, Take: take}
	}
	return values
}

// fanned is a plan with a dynamic output: source, pages over it, clean and total mapped over pages, and summary, which
// collects both pages and total.
func fanned() []plan.Step {
	pages := op("pages", taking("", "source")...)
	pages.FanOut = true
	clean := op("etl.clean", taking(plan.TakeKey, "pages")...)
	total := op("total", append(taking(plan.TakeKey, "etl.clean"), taking("", "source")...)...)
	clean.Over, total.Over = "pages", "pages"
	return []plan.Step{op("source"), pages, clean, total, op("summary", taking(plan.TakeAll, "pages", "total")...)}
}

// opCommit commits one output under each key; a step without dynamic output has the key "".
func opCommit(fence wire.Fence, keys ...string) wire.Commit {
	commit := wire.Commit{Fence: fence, Result: wire.StepResult{Recorded: true}, Build: "b1", Worker: "host-1", Attempt: 1}
	for _, key := range keys {
		commit.Outputs = append(commit.Outputs, wire.CommittedOutput{
			Key: key, SlotToken: fence.Token, Location: "mem://" + fence.Step + "/" + key, DataVersion: fmt.Sprint("d", fence.Token),
		})
		if key != "" {
			commit.Result.Keys = append(commit.Result.Keys, key)
		}
	}
	return commit
}

func (b *bench) commitOp(fence wire.Fence, keys ...string) {
	b.Helper()
	committed, err := b.Commit(b.Context(), opCommit(fence, keys...))
	require.NoError(b, err)
	require.False(b, committed.Refused)
}

// claimOp claims a step whose activity type is its template's.
func (b *bench) claimOp(run, step string, scheduled int64) wire.Claim {
	b.Helper()
	asked := request(run, step, scheduled, scheduled)
	asked.Type, _, _ = plan.SplitMappedKey(step)
	claim, err := b.Claim(b.Context(), asked)
	require.NoError(b, err)
	require.Equal(b, wire.ClaimGranted, claim.Outcome, step)
	return claim
}

func (b *bench) ranOp(run, step string, scheduled int64, keys ...string) wire.Fence {
	b.Helper()
	fence := wire.Fence{Run: run, Step: step, Scheduled: scheduled, Token: b.claimOp(run, step, scheduled).Token}
	b.commitOp(fence, keys...)
	return fence
}

func valueOf(fence wire.Fence, key string) wire.StepValue {
	return wire.StepValue{
		Run: fence.Run, Step: fence.Step, Key: key, Token: fence.Token, Location: "mem://" + fence.Step + "/" + key,
		DataVersion: fmt.Sprint("d", fence.Token),
	}
}

func (b *bench) stepKeys(run string) []string {
	b.Helper()
	page, err := b.Steps(b.Context(), run, "", 1000)
	require.NoError(b, err)
	var keys []string
	for _, row := range page.Rows {
		keys = append(keys, row.Step)
	}
	return keys
}

func TestADynamicOutputBringsItsSteps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", fanned()...)
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, 3, run.StepsTotal, "templates are no steps")
	require.Equal(t, []string{"source", "pages", "summary"}, b.stepKeys("r1"))
	require.Equal(t, wire.ClaimUnknown, b.claim("r1", "etl.clean", 1, 1).Outcome, "a template does not run")

	source := b.ranOp("r1", "source", 1, "")
	claim := b.claimOp("r1", "pages", 2)
	require.Equal(t, []wire.StepValue{valueOf(source, "")}, claim.Values)
	pages := wire.Fence{Run: "r1", Step: "pages", Scheduled: 2, Token: claim.Token}
	b.commitOp(pages, "p10", "p9")

	run, err = b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, 7, run.StepsTotal)
	require.Equal(t, []string{
		"source", "pages", "etl.clean[p10]", "etl.clean[p9]", "total[p10]", "total[p9]", "summary",
	}, b.stepKeys("r1"))

	claim = b.claimOp("r1", "etl.clean[p9]", 3)
	require.Equal(t, "p9", claim.MappingKey)
	require.Contains(t, string(claim.Plan), `"etl.clean"`)
	require.Equal(t, []wire.StepValue{valueOf(pages, "p9")}, claim.Values)
	clean := wire.Fence{Run: "r1", Step: "etl.clean[p9]", Scheduled: 3, Token: claim.Token}
	b.commitOp(clean, "")
	claim = b.claimOp("r1", "total[p9]", 4)
	require.Equal(t, []wire.StepValue{valueOf(clean, ""), valueOf(source, "")}, claim.Values)
	total9 := wire.Fence{Run: "r1", Step: "total[p9]", Scheduled: 4, Token: claim.Token}
	b.commitOp(total9, "")
	b.ranOp("r1", "etl.clean[p10]", 3, "")
	total10 := b.ranOp("r1", "total[p10]", 4, "")
	claim = b.claimOp("r1", "summary", 5)
	require.Empty(t, claim.MappingKey)
	require.Equal(t, []wire.StepValue{
		valueOf(pages, "p10"), valueOf(pages, "p9"), valueOf(total10, ""), valueOf(total9, ""),
	}, claim.Values, "in the order of emission")
	b.commitOp(wire.Fence{Run: "r1", Step: "summary", Scheduled: 5, Token: claim.Token}, "")

	result := b.end("r1", 6, wire.RunSuccess)
	require.Equal(t, wire.StepCounts{Succeeded: 7}, result.Steps)
	require.NotContains(t, b.types("r1"), metadata.EventMaterialization)
	require.Zero(t, b.count("select count(*) from materializations"))

	// Asked again it changes nothing.
	before := b.dump()
	b.commitOp(total10, "")
	require.Equal(t, before, b.dump())
}

func TestStepsOfALargeFanArePagedInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", fanned()...)
	var keys []string
	want := []string{"source", "pages"}
	for i := range 30 {
		keys = append(keys, fmt.Sprint("k", (i*7)%30))
	}
	for _, template := range []string{"etl.clean", "total"} {
		for _, key := range keys {
			want = append(want, plan.MappedKey(template, key))
		}
	}
	b.ranOp("r1", "pages", 1, keys...)
	var got []string
	for cursor := ""; ; {
		page, err := b.Steps(t.Context(), "r1", cursor, 7)
		require.NoError(t, err)
		for _, row := range page.Rows {
			got = append(got, row.Step)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Equal(t, append(want, "summary"), got)
}

func TestAFanThatIsComputedAnewReplacesItsSteps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", fanned()...)
	b.ranOp("r1", "source", 1, "")
	b.ranOp("r1", "pages", 2, "a", "b")
	for _, key := range []string{"a", "b"} {
		b.ranOp("r1", plan.MappedKey("etl.clean", key), 3, "")
		b.ranOp("r1", plan.MappedKey("total", key), 4, "")
	}
	b.end("r1", 5, wire.RunSuccess)

	// A reset. Nothing of what the fan brought before is there once it begins.
	b.claimOp("r1", "pages", 10)
	require.Equal(t, []string{"source", "pages", "summary"}, b.stepKeys("r1"))
	pages := b.ranOp("r1", "pages", 11, "b", "c")
	require.Equal(t, []string{
		"source", "pages", "etl.clean[b]", "etl.clean[c]", "total[b]", "total[c]", "summary",
	}, b.stepKeys("r1"))
	require.Equal(t, wire.StepWaiting, b.stepRow("r1", "total[b]").Status)
	require.Equal(t, []wire.StepValue{valueOf(pages, "b"), valueOf(pages, "c")}, b.claimOp("r1", "summary", 12).Values)
	b.close("r1", "summary", 13, wire.StepCanceled)

	// Its stored values wait for their removal: two elements of the fan, and two outputs of each template.
	require.Equal(t, 6, b.count("select count(*) from superseded_values"))

	// An empty fan, and one that is skipped now, have no steps.
	b.ranOp("r1", "pages", 20)
	require.Equal(t, []string{"source", "pages", "summary"}, b.stepKeys("r1"))
	b.ranOp("r1", "pages", 21, "z")
	b.close("r1", "pages", 22, wire.StepSkipped)
	require.Equal(t, []string{"source", "pages", "summary"}, b.stepKeys("r1"))
	result := b.end("r1", 30, wire.RunCanceled)
	require.Equal(t, wire.StepCounts{Succeeded: 1, Skipped: 1, Canceled: 1}, result.Steps)
}

// A zombie of a mapped step from before a reset records nothing.
func TestAMappedStepFromBeforeAResetCommitsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", fanned()...)
	b.ranOp("r1", "pages", 1, "a")
	zombie := wire.Fence{Run: "r1", Step: "etl.clean[a]", Scheduled: 2, Token: b.claimOp("r1", "etl.clean[a]", 2).Token}
	b.ranOp("r1", "pages", 10, "a")
	committed, err := b.Commit(t.Context(), opCommit(zombie, ""))
	require.NoError(t, err)
	require.True(t, committed.Refused)
	require.Equal(t, wire.StepWaiting, b.stepRow("r1", "etl.clean[a]").Status)
}

func TestAnEventThatAStepReportsIsInTheLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"), op("b"))
	commit := commitOf(b.granted("r1", "a", 1, 1), "a")
	commit.Events = []wire.StepEvent{
		{Type: "ASSET_CHECK_EVALUATION", Asset: "a", Body: []byte(`{"passed":true}`)}, {Type: "CUSTOM_MESSAGE"},
	}
	_, err := b.Commit(t.Context(), commit)
	require.NoError(t, err)
	onlyEvents := opCommit(b.granted("r1", "b", 1, 1), "")
	onlyEvents.Events = commit.Events[1:]
	_, err = b.Commit(t.Context(), onlyEvents)
	require.NoError(t, err)
	require.Equal(t, []metadata.EventType{
		metadata.EventStepStart, metadata.EventMaterialization, "ASSET_CHECK_EVALUATION", "CUSTOM_MESSAGE", metadata.EventStepSuccess,
		metadata.EventStepStart, "CUSTOM_MESSAGE", metadata.EventStepSuccess,
	}, b.types("r1")[2:])
	events, err := b.Events(t.Context(), 0, metadata.EventFilter{Asset: "a", Types: []metadata.EventType{"ASSET_CHECK_EVALUATION"}}, 0)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.JSONEq(t, `{"passed":true}`, string(events[0].Body))
	head, err := b.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, b.count("select count(*) from event_log"), int(head), "positions have no gap")
}

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
	counts := wire.StepCounts{}
	for _, row := range page.Rows {
		order = append(order, row.Step)
		if m.inherited[row.Step] {
			require.Equal(t, m.parent.run, row.InheritedFrom, row.Step)
			continue
		}
		require.Equal(t, m.steps[row.Step], row.Status, row.Step)
		switch row.Status {
		case wire.StepSuccess:
			counts.Succeeded++
		case wire.StepFailed:
			counts.Failed++
		case wire.StepSkipped:
			counts.Skipped++
		case wire.StepCanceled:
			counts.Canceled++
		}
	}
	require.Equal(t, m.order(), order)
	run, err := b.Run(b.Context(), m.run)
	require.NoError(t, err)
	require.Equal(t, counts, run.Steps)
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
		{Key: "source", Next: []int{1, 3}}, {Key: "pages", Fan: true, Next: []int{2, 4}},
		{Key: "etl.clean", Over: 2, Next: []int{3}}, {Key: "total", Over: 2, Next: []int{4}}, {Key: "summary"},
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
