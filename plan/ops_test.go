package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func fromOps(kind plan.InputKind, ops ...string) plan.Input { return plan.Input{Kind: kind, Ops: ops} }

// addOp adds an op without assets.
func addOp(s *plan.Snapshot, name string, inputs ...plan.Input) *plan.Compute {
	s.Computes = append(s.Computes, plan.Compute{Name: name, Op: true, Outputs: []string{}, Inputs: inputs, Shape: "shape of " + name})
	return &s.Computes[len(s.Computes)-1]
}

// etl is a location with a job of ops and two graph assets: pages fans out, clean and rate are mapped over it, and
// total collects rate; summary is made by two ops, of which the first reads an asset and an external one; split gives two
// assets, each by an op of its own.
func etl() *plan.Snapshot {
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "etl", Assets: []plan.Asset{{Key: "outside"}}}
	addOp(s, "source")
	addOp(s, "rules").Optional = true
	addOp(s, "etl.pages", fromOps(plan.InputValue, "source")).FanOut = true
	addOp(s, "etl.clean", fromOps(plan.InputElement, "etl.pages"), fromOps(plan.InputValue, "rules")).Over = "etl.pages"
	addOp(s, "etl.rate", fromOps(plan.InputElement, "etl.clean")).Over = "etl.pages"
	addOp(s, "total", fromOps(plan.InputCollect, "etl.rate"))
	addOp(s, "notify", fromOps(plan.InputAfter, "total")).NoValue = true
	add(s, "base", []string{"base"})
	addOp(s, "summary.read", value("base", "outside")...)
	add(s, "summary.sum", []string{"summary"}, fromOps(plan.InputValue, "summary.read")).Op = true
	addOp(s, "split.read", value("summary")...)
	add(s, "split.left", []string{"left"}, fromOps(plan.InputValue, "split.read")).Op = true
	add(s, "split.right", []string{"right"}, append(value("left"), fromOps(plan.InputValue, "split.read"))...).Op = true
	s.Jobs = []plan.Job{{Name: "etl", Ops: []string{"etl.clean", "etl.pages", "etl.rate", "notify", "rules", "source", "total"}}}
	return s
}

func job(name string) wire.RunRequest { return wire.RunRequest{Job: name} }

func TestPlanOfAnOpJob(t *testing.T) {
	t.Parallel()
	got, err := planner(t, etl()).Plan(job("etl"), plan.Facts{RunID: "r1"})
	require.NoError(t, err)
	require.Equal(t, []string{"rules", "source", "etl.pages", "etl.clean", "etl.rate", "total", "notify"}, stepKeys(got))
	require.Equal(t, []plan.WalkStep{
		{Key: "rules", Next: []int{3}},
		{Key: "source", Next: []int{2}},
		{Key: "etl.pages", Fan: true, Next: []int{3, 4}},
		{Key: "etl.clean", Over: 3, Next: []int{4}},
		{Key: "etl.rate", Over: 3, Next: []int{5}},
		{Key: "total", Next: []int{6}},
		{Key: "notify"},
	}, got.Walk.Steps)
	require.Empty(t, got.Assets)
	require.Empty(t, got.Outside)
	require.Equal(t, 7-2, got.StepsTotal(), "a template is no step")
	for key, want := range map[string]plan.Step{
		"rules":     {Optional: true},
		"etl.pages": {FanOut: true, Values: []plan.ValueInput{{Step: "source"}}},
		"etl.clean": {Over: "etl.pages", Values: []plan.ValueInput{{Step: "etl.pages", Take: plan.TakeKey}, {Step: "rules"}}},
		"etl.rate":  {Over: "etl.pages", Values: []plan.ValueInput{{Step: "etl.clean", Take: plan.TakeKey}}},
		"total":     {Values: []plan.ValueInput{{Step: "etl.rate", Take: plan.TakeAll}}},
		"notify":    {NoValue: true},
	} {
		want.Key, want.Type, want.Shape, want.Op, want.MaxLostWorkers = key, key, "shape of "+key, true, 3
		step, _ := stepOf(t, got, key)
		require.Equal(t, want, step)
	}
	planned := got.PlannedSteps()
	require.Equal(t, wire.PlannedStep{Step: "etl.clean", Assets: []string{}, After: []string{"rules", "etl.pages"}, Reason: "op of job etl; once for each key of etl.pages"}, planned[3])
	require.Equal(t, wire.PlannedStep{Step: "total", Assets: []string{}, After: []string{"etl.rate"}, Reason: "op of job etl"}, planned[5])
}

func TestPlanOfAPartOfAnOpJob(t *testing.T) {
	t.Parallel()
	p := planner(t, etl())
	request := job("etl")
	request.Ops = "*etl.pages, rules"
	got, err := p.Plan(request, plan.Facts{})
	require.NoError(t, err)
	require.Equal(t, []string{"rules", "source", "etl.pages"}, stepKeys(got))
	require.Equal(t, "selected by *etl.pages, rules", got.PlannedSteps()[0].Reason)
	notJob, assetJob := keys("base"), etl()
	notJob.Ops = "base"
	assetJob.Jobs = append(assetJob.Jobs, plan.Job{Name: "assets", Selection: wire.AssetSelection{Expression: "*"}})
	for _, test := range []struct {
		ops, want string
	}{
		{"etl", `ops: op "etl.clean" of job "etl" needs "rules", which is left out (select "rules" too, or leave "etl.clean" out); ops: op "etl.pages" of job "etl" needs "source", which is left out`},
		{"*total rules", ""},
		{"etl.claen+", `ops: there is no step "etl.claen" (did you mean "etl.clean"?)`},
		{"etl.clean[a]", `ops: there is no step "etl.clean[a]" (did you mean "etl.clean"?)`},
		{"base", `ops: there is no step "base" (`},
		{"total+ +", "ops: selection `total+ +`, column 9: expected a step's key"},
	} {
		request.Ops = test.ops
		_, err := p.Plan(request, plan.Facts{})
		if test.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, test.want)
		require.NotNil(t, wire.ProblemsOf(err))
	}
	_, err = p.Plan(notJob, plan.Facts{})
	require.ErrorContains(t, err, "ops: it narrows a job of ops, and this run makes assets")
	request = wire.RunRequest{Job: "assets", Ops: "base"}
	_, err = planner(t, assetJob).Plan(request, plan.Facts{})
	require.ErrorContains(t, err, "ops: it narrows a job of ops, and this run makes assets")
}

func TestPlanOfAJobThatLeavesAnOpOut(t *testing.T) {
	t.Parallel()
	s := etl()
	s.Jobs[0].Ops = []string{"etl.clean", "etl.pages", "etl.rate", "rules", "total"}
	_, err := planner(t, s).Plan(job("etl"), plan.Facts{})
	require.EqualError(t, err, `job: op "etl.pages" of job "etl" needs "source", which is left out (select "source" too, or leave "etl.pages" out)`)
}

func TestPlanOfGraphAssets(t *testing.T) {
	t.Parallel()
	p := planner(t, etl())
	for expression, want := range map[string][]string{
		"summary":   {"summary.read", "summary.sum"},
		"1+summary": {"base", "summary.read", "summary.sum"},
		"base+1":    {"base", "summary.read", "summary.sum"},
		"left":      {"split.read", "split.left"},
		"right":     {"split.read", "split.right"},
		"summary+":  {"summary.read", "summary.sum", "split.read", "split.left", "split.right"},
		"roots(*)":  {"base"},
		"sinks(*)":  {"split.read", "split.right"},
		"outside+1": {"summary.read", "summary.sum"},
		"+left":     {"base", "summary.read", "summary.sum", "split.read", "split.left"},
	} {
		got, err := p.Plan(assets(expression), plan.Facts{})
		require.NoError(t, err, expression)
		require.Equal(t, want, stepKeys(got), expression)
	}
	got, err := p.Plan(assets("summary"), plan.Facts{})
	require.NoError(t, err)
	require.Equal(t, []string{"base"}, outside(got))
	require.Equal(t, []string{"summary"}, got.Assets)
	read, _ := stepOf(t, got, "summary.read")
	require.Equal(t, []plan.StepInput{{Asset: "base"}, {Asset: "outside", External: true}}, read.Inputs)
	sum, _ := stepOf(t, got, "summary.sum")
	require.Equal(t, []plan.Output{{Asset: "summary", CodeVersion: "v of summary"}}, sum.Outputs)
	require.Equal(t, []plan.ValueInput{{Step: "summary.read"}}, sum.Values)
	require.True(t, sum.Op)
	_, err = p.Plan(keys("outside"), plan.Facts{})
	require.ErrorContains(t, err, "materialize what reads it: summary", "the graph asset's op reads it")
}

func TestPlanSaysWhichOpInputsCanSkipAStep(t *testing.T) {
	t.Parallel()
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "etl"}
	addOp(s, "maybe").Optional = true
	addOp(s, "sure")
	addOp(s, "one", fromOps(plan.InputValue, "maybe"))
	withDefault := fromOps(plan.InputValue, "maybe")
	withDefault.Default = true
	addOp(s, "with_default", withDefault)
	addOp(s, "default_beside", withDefault, fromOps(plan.InputValue, "one"))
	addOp(s, "fan_in", fromOps(plan.InputAll, "maybe", "sure"))
	addOp(s, "fan_in_of_maybe", fromOps(plan.InputAll, "maybe", "one"))
	addOp(s, "after", fromOps(plan.InputAfter, "maybe"))
	addOp(s, "fan", fromOps(plan.InputValue, "maybe")).FanOut = true
	addOp(s, "gather", fromOps(plan.InputCollect, "fan"))
	addOp(s, "after_fan", fromOps(plan.InputAfter, "fan"), fromOps(plan.InputCollect, "fan"))
	mapped := addOp(s, "mapped", fromOps(plan.InputElement, "fan"))
	mapped.Over, mapped.Optional = "fan", true
	addOp(s, "members", fromOps(plan.InputElement, "mapped"), fromOps(plan.InputValue, "sure")).Over = "fan"
	addOp(s, "collect", fromOps(plan.InputCollect, "members"))
	addOp(s, "collect_two", fromOps(plan.InputCollect, "mapped"), fromOps(plan.InputAll, "maybe", "sure"))
	var ops []string
	for _, compute := range s.Computes {
		ops = append(ops, compute.Name)
	}
	s.Jobs = []plan.Job{{Name: "all", Ops: ops}}
	got, err := planner(t, s).Plan(job("all"), plan.Facts{})
	require.NoError(t, err)
	source := func(op string) plan.Source {
		for i, step := range got.Steps {
			if step.Key == op {
				return plan.Source{Step: i}
			}
		}
		return plan.Source{Step: -1}
	}
	for step, want := range map[string][][]plan.Source{
		"one": nil, "after": nil, "mapped": nil, "members": nil, "collect": nil,
		"with_default":    {{}},
		"default_beside":  {{source("one")}},
		"fan_in":          {{}},
		"fan_in_of_maybe": {{source("maybe"), source("one")}},
		"gather":          {{}},
		"after_fan":       {{source("fan")}},
		"collect_two":     {{source("mapped")}},
	} {
		_, walked := stepOf(t, got, step)
		require.Equal(t, want, walked.Inputs, step)
	}

	// With the fan skipped, what collects runs with an empty list, and what is only after it does not.
	p := plan.NewProgress(&got.Walk)
	p.Succeed(source("maybe").Step, []string{""}, nil)
	p.Succeed(source("sure").Step, nil, nil)
	for step, want := range map[string]wire.StepStatus{
		"one": wire.StepSkipped, "with_default": wire.StepWaiting, "default_beside": wire.StepSkipped, "fan_in": wire.StepWaiting,
		"fan_in_of_maybe": wire.StepSkipped, "after": wire.StepSkipped, "fan": wire.StepSkipped, "gather": wire.StepWaiting,
		"after_fan": wire.StepSkipped, "collect": wire.StepWaiting, "collect_two": wire.StepWaiting,
	} {
		require.Equal(t, want, p.Status(source(step).Step), step)
		if want == wire.StepWaiting {
			require.Empty(t, p.WaitingFor(source(step).Step, 1), step+" is ready")
		}
	}
}

func TestNewPlannerRefusesWrongOps(t *testing.T) {
	t.Parallel()
	compute := func(s *plan.Snapshot, name string) *plan.Compute {
		for i := range s.Computes {
			if s.Computes[i].Name == name {
				return &s.Computes[i]
			}
		}
		return nil
	}
	for want, change := range map[string]func(*plan.Snapshot){
		`compute "total" needs the op "gone", which is not there`:                   func(s *plan.Snapshot) { compute(s, "total").Inputs[0].Ops[0] = "gone" },
		`job "etl" has the op "gone", which is not there`:                           func(s *plan.Snapshot) { s.Jobs[0].Ops = []string{"gone"} },
		`job "etl" has the op "base", which is not there`:                           func(s *plan.Snapshot) { s.Jobs[0].Ops = []string{"base"} },
		`op "etl.clean" is mapped over "source", which has no dynamic output`:       func(s *plan.Snapshot) { compute(s, "etl.clean").Over = "source" },
		`op "etl.clean" is mapped over "gone", which has no dynamic output`:         func(s *plan.Snapshot) { compute(s, "etl.clean").Over = "gone" },
		`op "etl.rate" has a dynamic output and is mapped over that of "etl.pages"`: func(s *plan.Snapshot) { compute(s, "etl.rate").FanOut = true },
		`op "etl.pages" has a dynamic output and is optional`:                       func(s *plan.Snapshot) { compute(s, "etl.pages").Optional = true },
		`op "summary.sum" is there once for each key of a dynamic output and makes`: func(s *plan.Snapshot) { compute(s, "summary.sum").FanOut = true },
		`compute "total" collects "source", which has no dynamic output`:            func(s *plan.Snapshot) { compute(s, "total").Inputs[0].Ops[0] = "source" },
		`compute "total" takes an element of "etl.rate", over whose dynamic`:        func(s *plan.Snapshot) { compute(s, "total").Inputs[0].Kind = plan.InputElement },
		`compute "total" takes the value of "etl.rate", which is there once for`:    func(s *plan.Snapshot) { compute(s, "total").Inputs[0].Kind = plan.InputValue },
		`compute "etl.rate" collects "etl.clean", and both are mapped over "etl.pages": collect it in an op that is not`: func(s *plan.Snapshot) {
			compute(s, "etl.rate").Inputs[0].Kind = plan.InputCollect
		},
		`compute "split.right" takes the output of "split.left", which is the asset "left"`: func(s *plan.Snapshot) {
			compute(s, "split.right").Inputs[1].Ops[0] = "split.left"
		},
		`in a circle: source → etl.pages → etl.rate → total → source`: func(s *plan.Snapshot) {
			compute(s, "source").Inputs = []plan.Input{fromOps(plan.InputAfter, "total")}
		},
	} {
		s := etl()
		change(s)
		_, err := plan.NewPlanner(s, nil)
		require.ErrorContains(t, err, want)
	}
}

func TestShapeHoldsWhatAPlanReliesOn(t *testing.T) {
	t.Parallel()
	base := func() *plan.Compute {
		return &plan.Compute{Op: true, Inputs: []plan.Input{fromOps(plan.InputElement, "a")}}
	}
	seen := map[string]string{}
	for name, change := range map[string]func(*plan.Compute){
		"as it is":          func(*plan.Compute) {},
		"another op":        func(c *plan.Compute) { c.Inputs[0].Ops[0] = "b" },
		"a default":         func(c *plan.Compute) { c.Inputs[0].Default = true },
		"another kind":      func(c *plan.Compute) { c.Inputs[0].Kind = plan.InputCollect },
		"dynamic":           func(c *plan.Compute) { c.FanOut = true },
		"mapped":            func(c *plan.Compute) { c.Over = "a" },
		"optional":          func(c *plan.Compute) { c.Optional = true },
		"nothing":           func(c *plan.Compute) { c.NoValue = true },
		"no op":             func(c *plan.Compute) { c.Op = false },
		"an asset":          func(c *plan.Compute) { c.Outputs = []string{"b"} },
		"an optional asset": func(c *plan.Compute) { c.Outputs = []string{"maybe"} },
	} {
		compute := base()
		change(compute)
		shape, err := plan.ShapeOf(compute, map[string]bool{"maybe": true}, nil)
		require.NoError(t, err)
		require.Empty(t, seen[shape], name)
		seen[shape] = name
	}
	compute := base()
	compute.Queue, compute.Timeout, compute.Name = "gpu", time.Second, "renamed"
	shape, err := plan.ShapeOf(compute, nil, nil)
	require.NoError(t, err)
	require.Equal(t, "as it is", seen[shape], "how it runs is no matter of its shape")
}

// opsOf10000 is a job of 10,000 ops: a chain of 1,000, a step that takes the values of 1,000 others, and ops over them.
func opsOf10000() *plan.Snapshot {
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "wide"}
	name := func(kind string, i int) string { return fmt.Sprintf("%s_%05d", kind, i) }
	addOp(s, name("chain", 0))
	for i := 1; i < 1000; i++ {
		addOp(s, name("chain", i), fromOps(plan.InputValue, name("chain", i-1)))
	}
	var all plan.Input
	all.Kind = plan.InputAll
	for i := range 1000 {
		addOp(s, name("wide", i), fromOps(plan.InputValue, name("chain", 999)))
		all.Ops = append(all.Ops, name("wide", i))
	}
	addOp(s, "gather", all)
	addOp(s, "fan", fromOps(plan.InputValue, "gather")).FanOut = true
	for i := 2002; i < 10_000; i++ {
		mapped := addOp(s, name("mapped", i), fromOps(plan.InputElement, "fan"), fromOps(plan.InputValue, "gather"))
		mapped.Over, mapped.Order = "fan", i%20
	}
	j := plan.Job{Name: "all", Selection: wire.AssetSelection{}}
	for _, compute := range s.Computes {
		j.Ops = append(j.Ops, compute.Name)
	}
	s.Jobs = []plan.Job{j}
	return s
}

func TestPlanOf10000OpsIsQuick(t *testing.T) {
	t.Parallel()
	got := planQuickly(t, planner(t, opsOf10000()), job("all"))
	require.Len(t, got.Steps, 10_000)
	require.Len(t, got.Walk.Kinds, 20)
}

func TestAGraphAssetIsMadeOfTheOpsThatLoadAssets(t *testing.T) {
	t.Parallel()
	s := etl()
	addOp(s, "wide.list", value("base")...).FanOut = true
	addOp(s, "wide.plain", value("outside")...)
	addOp(s, "wide.constant")
	addOp(s, "wide.tell", value("left")...).NoValue = true
	addOp(s, "wide.each", append(value("right"), fromOps(plan.InputValue, "wide.plain", "wide.constant"))...).Over = "wide.list"
	add(s, "wide.sum", []string{"wide"}, append(value("summary"), fromOps(plan.InputCollect, "wide.each"), fromOps(plan.InputAfter, "wide.tell"))...).Op = true
	got, err := planner(t, s).Plan(wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}}, plan.Facts{RunID: "r1"})
	require.NoError(t, err)
	madeOf := map[string][]string{}
	for _, step := range got.Steps {
		if step.MadeOf != nil {
			madeOf[step.Key] = step.MadeOf
		}
	}
	require.Equal(t, map[string][]string{
		"summary.sum": {"summary.read"}, "split.left": {"split.read"}, "split.right": {"split.read"},
		"wide.sum": {"wide.each", "wide.list", "wide.plain"},
	}, madeOf, "its own inputs are its own, and what is only ordered loads nothing for it")
}
