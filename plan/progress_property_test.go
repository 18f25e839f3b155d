package plan_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// reference is the rule of a run over its steps by key, recomputed from nothing each time.
type reference struct {
	walk *plan.Walk
	// told is how steps were said to end; notEmitted and keys what those that succeeded said of their outputs.
	told       map[string]wire.StepStatus
	notEmitted map[string][]string
	keys       map[string][]string
	inherited  map[string]bool
	memo       map[string]wire.StepStatus
}

// open is the status of a step that may run or does; waiting is wire.StepWaiting.
const open = wire.StepStatus("")

// steps are the keys of all steps that there are, templates left out.
func (r *reference) steps() []string {
	var keys []string
	for _, step := range r.walk.Steps {
		if step.Over == 0 {
			keys = append(keys, step.Key)
			continue
		}
		for _, key := range r.keys[r.walk.Steps[step.Over-1].Key] {
			keys = append(keys, step.Key+"["+key+"]")
		}
	}
	return keys
}

// source is a step as another one needs it: members are the steps that it stands for.
type source struct {
	number  int
	members []string
	// fan is the fan of a template that is collected; "" for a plain need.
	fan string
}

// source resolves a need of the step that is mapped for key over the step over, 0 and "" for one that is not mapped.
func (r *reference) source(need, over int, key string) source {
	of := r.walk.Steps[need]
	switch of.Over {
	case 0:
		return source{need, []string{of.Key}, ""}
	case over:
		return source{need, []string{of.Key + "[" + key + "]"}, ""}
	}
	s := source{number: need, fan: r.walk.Steps[of.Over-1].Key}
	for _, key := range r.keys[s.fan] {
		s.members = append(s.members, of.Key+"["+key+"]")
	}
	return s
}

func bad(status wire.StepStatus) bool {
	return status == wire.StepFailed || status == wire.StepUpstreamFailed || status == wire.StepCanceled
}

// resolved says whether all that a source stands for has ended.
func (r *reference) resolved(s source) bool {
	if s.fan != "" && (r.status(s.fan) == open || !r.status(s.fan).Ended()) {
		return false
	}
	return !slices.ContainsFunc(s.members, func(key string) bool { return r.status(key) == open || !r.status(key).Ended() })
}

func (r *reference) failed(s source) bool {
	return (s.fan != "" && bad(r.status(s.fan))) || slices.ContainsFunc(s.members, func(key string) bool { return bad(r.status(key)) })
}

// missing says whether a source emitted nothing under an asset, or left any output out when it is nil; a collected one
// when all its members did, of which there must be some.
func (r *reference) missing(s source, asset *string) bool {
	emptied := 0
	for _, key := range s.members {
		if r.status(key) == wire.StepSkipped || (asset != nil && s.fan == "" && slices.Contains(r.notEmitted[key], *asset)) ||
			((asset == nil || s.fan != "") && len(r.notEmitted[key]) > 0) {
			emptied++
		}
	}
	return emptied > 0 && emptied == len(s.members)
}

func (r *reference) status(key string) wire.StepStatus {
	if told, ok := r.told[key]; ok {
		return told
	}
	if known, ok := r.memo[key]; ok {
		return known
	}
	status := r.decide(key)
	r.memo[key] = status
	return status
}

func (r *reference) decide(key string) wire.StepStatus {
	name, mapping, _ := strings.Cut(strings.TrimSuffix(key, "]"), "[")
	number := slices.IndexFunc(r.walk.Steps, func(s plan.WalkStep) bool { return s.Key == name })
	step := r.walk.Steps[number]
	skip, failed := false, false
	for need, of := range r.walk.Steps {
		if !slices.Contains(of.Next, number) {
			continue
		}
		s := r.source(need, step.Over, mapping)
		if !r.resolved(s) {
			return wire.StepWaiting
		}
		failed = failed || r.failed(s)
		skip = skip || (len(step.Inputs) == 0 && r.missing(s, nil))
	}
	for _, sources := range step.Inputs {
		all := len(sources) > 0
		for _, one := range sources {
			all = all && r.missing(r.source(one.Step, step.Over, mapping), &one.Asset)
		}
		skip = skip || all
	}
	switch {
	case skip:
		return wire.StepSkipped
	case failed:
		return wire.StepUpstreamFailed
	default:
		return open
	}
}

// drawWalk draws a walk of plain steps, steps with dynamic outputs and steps that are mapped over these, under orders
// and tag limits.
func drawWalk(t *rapid.T) *plan.Walk {
	n := rapid.IntRange(1, 12).Draw(t, "steps")
	walk := &plan.Walk{V: plan.WalkVersion, Steps: make([]plan.WalkStep, n), TagLimits: []plan.TagLimit{{Key: "a", Limit: 2}, {Key: "b", PerValue: true, Limit: 1}}}
	walk.Kinds = []plan.Kind{
		{},
		{Order: 3},
		{Limits: []plan.KindLimit{{Limit: 0}}},
		{Order: 1, Limits: []plan.KindLimit{{Limit: 0}, {Limit: 1, Value: "x"}}},
		{Limits: []plan.KindLimit{{Limit: 1, Value: "y"}}},
	}
	var fans []int
	for number := range walk.Steps {
		step := &walk.Steps[number]
		step.Key, step.Kind = fmt.Sprintf("s%d", number), rapid.IntRange(0, len(walk.Kinds)-1).Draw(t, "kind")
		var needs []int
		for need := range number {
			if rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
				needs = append(needs, need)
			}
		}
		switch rapid.SampledFrom([]string{"plain", "plain", "fan", "mapped", "mapped"}).Draw(t, "what") {
		case "fan":
			step.Fan = true
			fans = append(fans, number)
		case "mapped":
			if len(fans) > 0 {
				fan := rapid.SampledFrom(fans).Draw(t, "over")
				step.Over = fan + 1
				needs = append(needs, fan)
				slices.Sort(needs)
				needs = slices.Compact(needs)
			}
		}
		for _, need := range needs {
			walk.Steps[need].Next = append(walk.Steps[need].Next, number)
		}
		if len(needs) == 0 || rapid.Bool().Draw(t, "plain inputs") {
			continue
		}
		for range rapid.IntRange(1, 3).Draw(t, "inputs") {
			sources := []plan.Source{}
			for range rapid.IntRange(0, 3).Draw(t, "members") {
				sources = append(sources, plan.Source{
					Step:  rapid.SampledFrom(needs).Draw(t, "source"),
					Asset: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "asset"),
				})
			}
			step.Inputs = append(step.Inputs, sources)
		}
	}
	return walk
}

// drawStart makes the walk take some of its first steps over from an earlier run, and says so to the reference.
func drawStart(t *rapid.T, walk *plan.Walk, ref *reference) {
	if rapid.Bool().Draw(t, "anew") {
		return
	}
	start := plan.State{}
	letters := func(key string) byte {
		if rapid.IntRange(0, 2).Draw(t, "runs") == 0 {
			return '.'
		}
		ref.told[key], ref.inherited[key] = wire.StepSuccess, true
		if rapid.IntRange(0, 3).Draw(t, "emitted nothing") == 0 {
			ref.notEmitted[key] = []string{"x"}
			start.NotEmitted = append(start.NotEmitted, plan.NotEmitted{Step: len(start.Steps), Assets: []string{"x"}})
		}
		return 'P'
	}
	for _, step := range walk.Steps {
		letter := byte('.')
		if step.Over == 0 {
			letter = letters(step.Key)
		}
		start.Steps += string(letter)
	}
	for number, fan := range walk.Steps {
		var templates []string
		for _, step := range walk.Steps {
			if step.Over == number+1 {
				templates = append(templates, step.Key)
			}
		}
		if !ref.inherited[fan.Key] || len(templates) == 0 || rapid.IntRange(0, 3).Draw(t, "no keys") == 0 {
			continue
		}
		keys := []string{"k0", "k1", "k2"}[:rapid.IntRange(1, 3).Draw(t, "keys")]
		start.Fans = append(start.Fans, plan.FanKeys{Step: number, Keys: keys})
		ref.keys[fan.Key] = keys
		for _, key := range keys {
			for _, template := range templates {
				start.Steps += string(letters(template + "[" + key + "]"))
			}
		}
	}
	walk.Start = &start
}

func TestProgressAgreesWithTheRuleAndSurvivesARestoreAtEveryPoint(t *testing.T) {
	t.Parallel()
	// What a walk can be is more than rapid draws in its hundred.
	for range 10 {
		rapid.Check(t, checkProgress)
	}
}

func checkProgress(t *rapid.T) {
	walk := drawWalk(t)
	ref := &reference{
		walk: walk, told: map[string]wire.StepStatus{}, notEmitted: map[string][]string{}, keys: map[string][]string{},
		inherited: map[string]bool{}, memo: map[string]wire.StepStatus{},
	}
	drawStart(t, walk, ref)
	data, err := plan.EncodeWalk(walk)
	require.NoError(t, err)
	walk, err = plan.DecodeWalk(data)
	require.NoError(t, err)
	p := plan.NewProgress(walk)
	running := map[string]bool{}
	var decided []string
	take := func() {
		for _, step := range p.TakeDecided() {
			decided = append(decided, p.Key(step))
		}
	}
	agree(t, p, ref, running)
	for !p.Done() {
		restored := throughJSON(t, walk, p)
		agree(t, restored, ref, nil)
		sameButRunning(t, p, restored)
		if rapid.IntRange(0, 4).Draw(t, "restore") == 0 {
			p = restored
			clear(running)
		}
		startSome(t, p, walk, running)
		if rapid.IntRange(0, 20).Draw(t, "cancel one") == 0 {
			if step := rapid.IntRange(0, p.Len()-1).Draw(t, "which"); !p.Status(step).Ended() && !p.IsTemplate(step) {
				p.Cancel(step)
				ref.told[p.Key(step)] = wire.StepCanceled
				delete(running, p.Key(step))
			}
		}
		endOne(t, p, ref, running)
		ref.memo = map[string]wire.StepStatus{}
		if rapid.Bool().Draw(t, "ask") {
			take()
		}
		agree(t, p, ref, running)
	}
	take()
	var want []string
	for _, key := range ref.steps() {
		if status := ref.status(key); status == wire.StepSkipped || status == wire.StepUpstreamFailed {
			want = append(want, key)
		}
	}
	require.ElementsMatch(t, want, decided, "each decided step is told once")
}

// startSome takes ready steps, and checks that each is one that may start.
func startSome(t *rapid.T, p *plan.Progress, walk *plan.Walk, running map[string]bool) {
	kindOf := func(step int) plan.Kind { return walk.Kinds[p.Step(step).Kind] }
	full := func(kind plan.Kind) bool {
		return slices.ContainsFunc(kind.Limits, func(under plan.KindLimit) bool {
			count := 0
			for key := range running {
				step, _ := p.Find(key)
				if slices.Contains(kindOf(step).Limits, under) {
					count++
				}
			}
			return count >= walk.TagLimits[under.Limit].Limit
		})
	}
	for rapid.Bool().Draw(t, "take") || len(running) == 0 {
		best, free := 0, false
		for step := range p.Len() {
			if p.Status(step) != wire.StepWaiting || p.IsTemplate(step) || len(p.WaitingFor(step, 1)) > 0 {
				continue
			}
			kind := kindOf(step)
			_, held := p.HeldBack(step)
			require.Equal(t, full(kind), held, p.Key(step))
			if !held && (!free || kind.Order > best) {
				best, free = kind.Order, true
			}
		}
		step, ok := p.NextReady()
		require.Equal(t, free, ok)
		if !ok {
			return
		}
		require.Equal(t, best, kindOf(step).Order)
		require.False(t, full(kindOf(step)))
		require.Equal(t, wire.StepRunning, p.Status(step))
		require.False(t, running[p.Key(step)])
		running[p.Key(step)] = true
	}
}

// endOne ends one of the running steps, if there is any.
func endOne(t *rapid.T, p *plan.Progress, ref *reference, running map[string]bool) {
	if len(running) == 0 {
		return
	}
	keys := make([]string, 0, len(running))
	for key := range running {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	key := rapid.SampledFrom(keys).Draw(t, "ends")
	delete(running, key)
	step, known := p.Find(key)
	require.True(t, known)
	if rapid.IntRange(0, 5).Draw(t, "fails") == 0 {
		p.Fail(step)
		ref.told[key] = wire.StepFailed
		return
	}
	missing := rapid.SampledFrom([][]string{nil, nil, nil, {"x"}, {"y"}, {"x", "y"}}).Draw(t, "not emitted")
	var emitted []string
	if p.Step(step).Fan {
		missing = nil
		for i := range rapid.IntRange(0, 3).Draw(t, "keys") {
			emitted = append(emitted, fmt.Sprintf("k%d", i))
		}
		ref.keys[key] = emitted
	}
	p.Succeed(step, missing, emitted)
	p.Fail(step)
	ref.told[key], ref.notEmitted[key] = wire.StepSuccess, missing
}

func throughJSON(t *rapid.T, walk *plan.Walk, p *plan.Progress) *plan.Progress {
	data, err := plan.EncodeState(p.State())
	require.NoError(t, err)
	require.True(t, json.Valid(data))
	state, err := plan.DecodeState(data)
	require.NoError(t, err)
	restored, err := plan.RestoreProgress(walk, state)
	require.NoError(t, err)
	return restored
}

// sameButRunning checks that a restored progress is the same, but that what ran is ready.
func sameButRunning(t *rapid.T, p, restored *plan.Progress) {
	want, got := p.State(), restored.State()
	want.Steps = strings.ReplaceAll(want.Steps, "R", "r")
	require.Equal(t, want, got)
	require.Equal(t, p.Len(), restored.Len())
	for step := range p.Len() {
		require.Equal(t, p.Step(step), restored.Step(step))
		require.Equal(t, p.MappingKey(step), restored.MappingKey(step))
		require.Equal(t, p.WaitingFor(step, p.Len()), restored.WaitingFor(step, p.Len()))
	}
}

func agree(t *rapid.T, p *plan.Progress, ref *reference, running map[string]bool) {
	var waiting, ready, done, ran int
	want, got := map[string]wire.StepStatus{}, map[string]wire.StepStatus{}
	for _, key := range ref.steps() {
		switch status := ref.status(key); {
		case ref.inherited[key]:
			want[key] = wire.StepSuccess
		case status == wire.StepWaiting:
			waiting++
			want[key] = status
		case status == open && running[key]:
			ran++
			want[key] = wire.StepRunning
		case status == open:
			ready++
			want[key] = wire.StepWaiting
		default:
			done++
			want[key] = status
		}
	}
	for step := range p.Len() {
		if p.IsTemplate(step) {
			continue
		}
		key := p.Key(step)
		got[key] = p.Status(step)
		require.Equal(t, ref.inherited[key], p.Inherited(step), key)
		needs := p.WaitingFor(step, p.Len())
		require.Equal(t, ref.told[key] == "" && ref.status(key) == wire.StepWaiting, len(needs) > 0, key)
		for _, need := range needs {
			require.False(t, p.Status(need).Ended())
		}
	}
	require.Equal(t, want, got)
	gotWaiting, gotReady, gotRunning, ended := p.Counts()
	require.Equal(t, []int{waiting, ready, ran, done},
		[]int{gotWaiting, gotReady, gotRunning, ended.Succeeded + ended.Failed + ended.Skipped + ended.Canceled})
	require.Equal(t, waiting+ready+ran == 0, p.Done())
}
