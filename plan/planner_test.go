package plan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func value(keys ...string) []plan.Input {
	var inputs []plan.Input
	for _, key := range keys {
		inputs = append(inputs, plan.Input{Kind: plan.InputValue, Assets: []string{key}})
	}
	return inputs
}

// add adds a compute and the assets that it makes; an output that ends in "?" is optional.
func add(s *plan.Snapshot, name string, outputs []string, inputs ...plan.Input) *plan.Compute {
	compute := plan.Compute{Name: name, Inputs: inputs, Shape: "shape of " + name}
	for _, key := range outputs {
		optional := key[len(key)-1] == '?'
		if optional {
			key = key[:len(key)-1]
		}
		compute.Outputs = append(compute.Outputs, key)
		s.Assets = append(s.Assets, plan.Asset{Key: key, Group: "default", Compute: name, Optional: optional, CodeVersion: "v of " + key})
	}
	s.Computes = append(s.Computes, compute)
	return &s.Computes[len(s.Computes)-1]
}

// flights is a small location with one of everything.
func flights() *plan.Snapshot {
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "flights"}
	s.Assets = append(s.Assets, plan.Asset{Key: "airports", Group: "raw"}, plan.Asset{Key: "weather", Group: "raw"})
	add(s, "raw/flights", []string{"raw/flights"})
	add(s, "clean", []string{"clean"}, value("raw/flights", "airports")...).Retries = &plan.Retries{Max: 3}
	add(s, "delays", []string{"by_route", "by_airport"}, value("clean")...)
	subset := add(s, "rankings", []string{"worst?", "best?"}, value("by_airport", "airports")...)
	subset.CanSubset = true
	subset.Timeout = time.Minute
	chart := add(s, "chart", []string{"chart"}, value("worst")...)
	chart.Queue, chart.Pool = "gpu", "images"
	add(s, "report", []string{"report"}, append(value("chart"), plan.Input{Kind: plan.InputAfter, Assets: []string{"by_route"}})...)
	s.Jobs = []plan.Job{
		{
			Name: "nightly", Selection: wire.AssetSelection{Expression: "raw/flights or clean"}, Tags: map[string]string{"team": "data", "kind": "job"},
			Retries: &plan.Retries{Max: 1}, Priority: wire.PriorityLow,
		},
		{Name: "broken", Selection: wire.AssetSelection{Keys: []string{"clean", "gone"}}},
	}
	return s
}

func planner(t testing.TB, s *plan.Snapshot) *plan.Planner {
	t.Helper()
	p, err := plan.NewPlanner(s, nil)
	require.NoError(t, err)
	return p
}

func assets(expression string) wire.RunRequest {
	return wire.RunRequest{Assets: wire.AssetSelection{Expression: expression}}
}

func keys(list ...string) wire.RunRequest {
	return wire.RunRequest{Assets: wire.AssetSelection{Keys: list}}
}

func stepKeys(p *plan.Plan) []string {
	var found []string
	for _, step := range p.Steps {
		found = append(found, step.Key)
	}
	return found
}

func stepOf(t *testing.T, p *plan.Plan, key string) (plan.Step, plan.WalkStep) {
	t.Helper()
	for i, step := range p.Steps {
		if step.Key == key {
			return step, p.Walk.Steps[i]
		}
	}
	require.FailNow(t, "no step "+key)
	return plan.Step{}, plan.WalkStep{}
}

func TestPlanOfEverything(t *testing.T) {
	t.Parallel()
	got, err := planner(t, flights()).Plan(assets("*"), plan.Facts{RunID: "r1"})
	require.NoError(t, err)
	require.Equal(t, []string{"raw/flights", "clean", "delays", "rankings", "chart", "report"}, stepKeys(got))
	require.Equal(t, []string{"best", "by_airport", "by_route", "chart", "clean", "raw/flights", "report", "worst"}, got.Assets)
	require.Empty(t, got.Outside)
	require.Equal(t, wire.PriorityNormal, got.Priority)

	walk := got.Walk
	require.Equal(t, plan.WalkVersion, walk.V)
	require.Equal(t, "r1", walk.Cause)
	require.Equal(t, plan.DefaultLimits(), walk.Limits)
	require.Equal(t, got.Assets, walk.Assets)
	require.Equal(t, []plan.Kind{{Priority: 3}, {Queue: "gpu", Pool: "images", Priority: 3}}, walk.Kinds)
	require.Equal(t, [][]int{{1}, {2}, {3, 5}, {4}, {5}, nil},
		[][]int{walk.Steps[0].Next, walk.Steps[1].Next, walk.Steps[2].Next, walk.Steps[3].Next, walk.Steps[4].Next, walk.Steps[5].Next})
	require.Equal(t, 1, walk.Steps[4].Kind)
	require.Equal(t, 0, walk.Steps[5].Kind)

	clean, _ := stepOf(t, got, "clean")
	require.Equal(t, plan.Step{
		Key: "clean", Type: "clean", Shape: "shape of clean", Outputs: []plan.Output{{Asset: "clean", CodeVersion: "v of clean"}},
		Inputs:  []plan.StepInput{{Asset: "airports", External: true}, {Asset: "raw/flights", InRun: true}},
		Retries: &plan.Retries{Max: 3}, MaxLostWorkers: 3,
	}, clean)
	rankings, _ := stepOf(t, got, "rankings")
	require.Equal(t, time.Minute, rankings.Timeout)
	require.Equal(t, []plan.Output{{Asset: "worst", Optional: true, CodeVersion: "v of worst"}, {Asset: "best", Optional: true, CodeVersion: "v of best"}}, rankings.Outputs)
	report, _ := stepOf(t, got, "report")
	require.Equal(t, []plan.StepInput{{Asset: "chart", InRun: true}}, report.Inputs, "what only comes before is not loaded")

	require.Equal(t, wire.PlannedStep{Step: "report", Assets: []string{"report"}, After: []string{"delays", "chart"}, Reason: "selected by *"}, got.PlannedSteps()[5])
}

func TestPlanOfAPart(t *testing.T) {
	t.Parallel()
	p := planner(t, flights())
	got, err := p.Plan(keys("chart", "clean"), plan.Facts{RunID: "r1"})
	require.NoError(t, err)
	require.Equal(t, []string{"clean", "chart"}, stepKeys(got))
	require.Equal(t, []string{"raw/flights", "worst"}, outside(got))
	require.Nil(t, got.Walk.Steps[0].Next)
	require.Equal(t, "selected by key", got.PlannedSteps()[0].Reason)

	got, err = p.Plan(keys("worst"), plan.Facts{RunID: "r1"})
	require.NoError(t, err)
	require.Equal(t, []plan.Output{{Asset: "worst", Optional: true, CodeVersion: "v of worst"}}, got.Steps[0].Outputs)
	require.Equal(t, []plan.StepInput{{Asset: "airports", External: true}, {Asset: "by_airport"}}, got.Steps[0].Inputs)
	require.Equal(t, []string{"by_airport"}, outside(got))

	got, err = p.Plan(assets("airports+"), plan.Facts{RunID: "r1"})
	require.NoError(t, err, "an external asset may be where a selection begins")
	require.Equal(t, []string{"clean", "delays", "rankings", "chart", "report"}, stepKeys(got))

	got, err = p.Plan(assets("report or by_route or by_airport"), plan.Facts{RunID: "r1"})
	require.NoError(t, err)
	require.Equal(t, []int{1}, got.Walk.Steps[0].Next, "order alone is an edge too")
	require.Equal(t, []string{"chart", "clean"}, outside(got))
}

func TestPlanOfAJob(t *testing.T) {
	t.Parallel()
	p := planner(t, flights())
	got, err := p.Plan(wire.RunRequest{Job: "nightly", Tags: map[string]string{"kind": "mine", "empty": ""}, Cause: "tick-7"},
		plan.Facts{RunID: "r1", Limits: plan.Limits{MaxConcurrentSteps: 7, ContinueAfter: 8, ForceAfter: 9, MaxLostWorkers: 10}})
	require.NoError(t, err)
	require.Equal(t, "nightly", got.Job)
	require.Equal(t, "nightly", got.Walk.Job)
	require.Equal(t, "tick-7", got.Walk.Cause)
	require.Equal(t, 7, got.Walk.Limits.MaxConcurrentSteps)
	require.Equal(t, map[string]string{"team": "data", "kind": "mine", "empty": ""}, got.Tags)
	require.Equal(t, wire.PriorityLow, got.Priority)
	require.Equal(t, []plan.Kind{{Priority: wire.PriorityLow}}, got.Walk.Kinds)
	require.Equal(t, &plan.Retries{Max: 1}, got.Steps[0].Retries, "the job's, for it has none of its own")
	require.Equal(t, &plan.Retries{Max: 3}, got.Steps[1].Retries)
	require.Equal(t, 10, got.Steps[0].MaxLostWorkers)
	require.Equal(t, "selected by job nightly (raw/flights or clean)", got.PlannedSteps()[0].Reason)

	got, err = p.Plan(wire.RunRequest{Job: "nightly", Priority: wire.PriorityHigh}, plan.Facts{RunID: "r1"})
	require.NoError(t, err)
	require.Equal(t, wire.PriorityHigh, got.Priority)
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	p := planner(t, flights())
	both := assets("*")
	both.Job = "nightly"
	for _, test := range []struct {
		name    string
		request wire.RunRequest
		want    []string
	}{
		{"nothing", wire.RunRequest{}, []string{`it is not said what to run (give "assets", for example "*", or "job")`}},
		{"both", both, []string{`both assets and a job are given (give "assets" or "job")`}},
		{"unknown job", wire.RunRequest{Job: "nigthly"}, []string{`job: there is no job "nigthly" in location "flights" (did you mean "nightly"? known: broken, nightly)`}},
		{"a job of what is gone", wire.RunRequest{Job: "broken"}, []string{`job: the selection of job "broken": there is no asset "gone" (`}},
		{"unknown asset", assets("by_ruote+ and group:rwa"), []string{
			`assets: there is no asset "by_ruote" (did you mean "by_route"?)`, `assets: there is no group "rwa" (did you mean `,
		}},
		{"unknown keys", keys("clean", "reprot", "gone"), []string{`assets[1]: there is no asset "reprot" (did you mean "report"?)`, `assets[2]: there is no asset "gone" (`}},
		{"syntax", assets("clean and and"), []string{`, column 11: expected an asset key`}},
		{"empty", assets("clean and chart"), []string{`assets: clean and chart selects nothing (location "flights" has 10 assets: * selects all that are made here)`}},
		{"external by key", keys("clean", "airports", "weather"), []string{
			`assets[1]: asset "airports" is external: nothing in location "flights" makes it (materialize what reads it: best, clean, worst)`,
			`assets[2]: asset "weather" is external: nothing in location "flights" makes it (nothing here reads it either)`,
		}},
		{"external alone", assets("airports"), []string{`assets: asset "airports" is external`}},
		{"part of a multi-asset by key", keys("by_route"), []string{
			`assets: multi-asset "delays" makes all its assets together, and only "by_route" of them is selected (select "by_airport" too, or declare the multi-asset with CanSubset)`,
		}},
		{"part of a multi-asset by traversal", assets("1+chart or 1+rankings"), []string{`there is no asset "rankings"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := p.Plan(test.request, plan.Facts{RunID: "r1"})
			require.Nil(t, got)
			problems := wire.ProblemsOf(err)
			require.Len(t, problems, len(test.want), "%v", err)
			for i, want := range test.want {
				require.Contains(t, problems[i].String(), want)
			}
		})
	}
}

func TestPlanListsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	request := keys("gone", "by_route")
	request.Tags = map[string]string{"perdure/x": "", "a b": "", "ok": "not ok", "fine/x.y": "z"}
	request.Priority = 6
	request.Title, request.Note, request.Cause = strings.Repeat("é", 201), strings.Repeat("n", 4001), strings.Repeat("c", 3000)
	request.Config = json.RawMessage(`{"asets":{},"assets":{"clean":{}},"resources":[]}`)
	_, err := planner(t, flights()).Plan(request, plan.Facts{RunID: "r1"})
	require.ErrorContains(t, err, "cause: has 3000 characters (use at most 200)")
	var paths []string
	for _, problem := range wire.ProblemsOf(err) {
		paths = append(paths, problem.Path)
	}
	require.Equal(t, []string{"assets[0]", `tags["a b"]`, "tags.ok", "tags.perdure/x", "title", "note", "cause", "priority", "config.asets", "config.resources", "config.assets.clean"}, paths)
}

func TestTextsOfTheGreatestLengthArePlanned(t *testing.T) {
	t.Parallel()
	request := keys("raw/flights")
	request.Title, request.Note, request.Cause = strings.Repeat("é", 200), strings.Repeat("é", 4000), strings.Repeat("é", 200)
	planned, err := planner(t, flights()).Plan(request, plan.Facts{RunID: "r1"})
	require.NoError(t, err)
	require.Equal(t, request.Cause, planned.Walk.Cause)
}

func TestPlanRefusesLimits(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plan.Limits){
		"max_concurrent_steps is 0":   func(l *plan.Limits) { l.MaxConcurrentSteps = 0 },
		"max_concurrent_steps is 501": func(l *plan.Limits) { l.MaxConcurrentSteps = 501 },
		"continue_after is 0":         func(l *plan.Limits) { l.ContinueAfter = 0 },
		"force_after 3999":            func(l *plan.Limits) { l.ForceAfter = 3999 },
		"max_lost_workers is 0":       func(l *plan.Limits) { l.MaxLostWorkers = 0 },
	} {
		limits := plan.DefaultLimits()
		change(&limits)
		_, err := planner(t, flights()).Plan(assets("*"), plan.Facts{Limits: limits})
		require.ErrorContains(t, err, name)
		require.Nil(t, wire.ProblemsOf(err), "not the request's fault")
	}
}

func TestNewPlannerRefuses(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*plan.Snapshot){
		`there are two assets "clean"`:                         func(s *plan.Snapshot) { s.Assets = append(s.Assets, plan.Asset{Key: "clean"}) },
		`there are two computes "chart"`:                       func(s *plan.Snapshot) { s.Computes = append(s.Computes, plan.Compute{Name: "chart"}) },
		`there are two jobs "nightly"`:                         func(s *plan.Snapshot) { s.Jobs = append(s.Jobs, plan.Job{Name: "nightly"}) },
		`there are two resources "db"`:                         func(s *plan.Snapshot) { s.Resources = []plan.Resource{{Name: "db"}, {Name: "db"}} },
		`compute "clean" needs the asset "gone"`:               func(s *plan.Snapshot) { s.Computes[1].Inputs = value("gone") },
		`compute "clean" uses the resource "db"`:               func(s *plan.Snapshot) { s.Computes[1].Resources = []string{"db"} },
		`compute "clean" and its output "gone"`:                func(s *plan.Snapshot) { s.Computes[1].Outputs = []string{"gone", "clean"} },
		`compute "clean" and its output "airports"`:            func(s *plan.Snapshot) { s.Computes[1].Outputs = []string{"clean", "airports"} },
		`asset "chart" is made by the compute "raw/flights"`:   func(s *plan.Snapshot) { s.Assets[8].Compute = "raw/flights" },
		`in a circle: clean → delays → rankings → clean`:       func(s *plan.Snapshot) { s.Computes[1].Inputs = value("raw/flights", "best") },
		`these need each other in a circle: report → report`:   func(s *plan.Snapshot) { s.Computes[5].Inputs = value("report") },
		`location "flights" cannot be planned: there are two `: func(s *plan.Snapshot) { s.Assets = append(s.Assets, s.Assets[0]) },
	} {
		s := flights()
		change(s)
		_, err := plan.NewPlanner(s, nil)
		require.ErrorContains(t, err, want)
	}
}

func TestPlanSaysWhichInputsCanSkipAStep(t *testing.T) {
	t.Parallel()
	all := func(list ...string) plan.Input { return plan.Input{Kind: plan.InputAll, Assets: list} }
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "flights", Assets: []plan.Asset{{Key: "outside"}}}
	add(s, "a", []string{"a?"})
	add(s, "b", []string{"b?"})
	add(s, "sure", []string{"sure"})
	add(s, "two", []string{"first", "second?"}).CanSubset = true
	add(s, "one_need", []string{"one_need"}, value("a", "sure")...)
	add(s, "only_after", []string{"only_after"}, plan.Input{Kind: plan.InputAfter, Assets: []string{"a"}})
	add(s, "gather", []string{"gather"}, all("a", "b"), all("sure", "sure"))
	add(s, "mixed", []string{"mixed"}, all("a", "sure"))
	add(s, "with_outside", []string{"with_outside"}, all("a", "outside"))
	add(s, "nothing", []string{"nothing"}, append(value("a"), all())...)
	add(s, "of_first", []string{"of_first"}, value("first", "a")...)
	add(s, "of_second", []string{"of_second"}, value("second")...)
	add(s, "z_below", []string{"z_below"}, all("gather", "one_need"))
	p := planner(t, s)

	got, err := p.Plan(assets("*"), plan.Facts{})
	require.NoError(t, err)
	number := map[string]int{}
	for i, step := range got.Steps {
		number[step.Key] = i
	}
	source := func(step, asset string) plan.Source { return plan.Source{Step: number[step], Asset: asset} }
	for step, want := range map[string][][]plan.Source{
		"one_need": nil, "only_after": nil, "nothing": nil,
		"gather":       {{source("a", "a"), source("b", "b")}},
		"mixed":        {{}},
		"with_outside": {{}},
		"of_first":     {{source("a", "a")}},
		"of_second":    {{source("two", "second")}},
		"z_below":      {{source("gather", "gather"), source("one_need", "one_need")}},
	} {
		_, walked := stepOf(t, got, step)
		require.Equal(t, want, walked.Inputs, step)
	}

	got, err = p.Plan(keys("a", "gather", "second", "of_second"), plan.Facts{})
	require.NoError(t, err)
	_, walked := stepOf(t, got, "gather")
	require.Equal(t, [][]plan.Source{{}}, walked.Inputs, "b comes from elsewhere")
	_, walked = stepOf(t, got, "of_second")
	require.Nil(t, walked.Inputs, "the step is asked for one output only")
}

func TestAnExpressionBringsWhatIsMadeTogether(t *testing.T) {
	t.Parallel()
	p := planner(t, flights())
	for _, expression := range []string{"by_route", "1+worst", "by_route or by_airport"} {
		got, err := p.Plan(assets(expression), plan.Facts{RunID: "r1"})
		require.NoError(t, err, expression)
		require.Contains(t, got.Assets, "by_route", expression)
		require.Contains(t, got.Assets, "by_airport", expression)
	}
}

// outside names the assets without partitions that a plan needs from elsewhere.
func outside(p *plan.Plan) []string {
	var keys []string
	for _, of := range p.Outside {
		keys = append(keys, of.Asset)
	}
	return keys
}
