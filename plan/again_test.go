package plan_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// parentOf is a run of a request in which steps ended as told: "S" done, "F" failed, "K" skipped, "U" upstream failed,
// "G" done with values that are gone.
func parentOf(request wire.RunRequest, steps map[string]string) *plan.ParentRun {
	parent := &plan.ParentRun{RunID: "r1", RootRunID: "r1", Status: wire.RunFailure, Request: request}
	letters := map[string]wire.StepStatus{
		"S": wire.StepSuccess, "G": wire.StepSuccess, "F": wire.StepFailed, "K": wire.StepSkipped, "U": wire.StepUpstreamFailed, "C": wire.StepCanceled,
	}
	for key, letter := range steps {
		step := plan.ParentStep{Step: key, Status: letters[letter[:1]], Run: "r1", Gone: letter == "G"}
		if step.Status == wire.StepSuccess {
			step.Result = &wire.StepResult{Recorded: true}
			if key == "etl.pages" {
				step.Result.Keys = []string{"a", "b"}
			}
			if letter == "S-" {
				step.Result.NotEmitted = []string{""}
			}
		}
		parent.Steps = append(parent.Steps, step)
	}
	return parent
}

func retry(from wire.RetryFrom, ops string) wire.RunRequest {
	return wire.RunRequest{RetryOf: &wire.RetryOf{RunID: "r1", From: from}, Ops: ops}
}

// runsOf are the steps that a plan runs or leaves to the walk to decide, and those it takes over, as the run would see them
// at its start: dynamic outputs that run are not known.
func runsOf(t *testing.T, got *plan.Plan) (runs, taken []string) {
	t.Helper()
	data, err := plan.EncodeWalk(&got.Walk)
	require.NoError(t, err)
	walk, err := plan.DecodeWalk(data)
	require.NoError(t, err)
	p := plan.NewProgress(walk)
	for step := range p.Len() {
		switch {
		case p.Inherited(step):
			taken = append(taken, p.Key(step))
		case p.IsTemplate(step) && len(p.WaitingFor(step, 1)) == 0 && hasMapped(got, p.Key(step)):
		default:
			runs = append(runs, p.Key(step))
		}
	}
	return runs, taken
}

// hasMapped says whether the steps of a template are known.
func hasMapped(got *plan.Plan, template string) bool {
	for _, mapped := range got.MappedSteps() {
		if mapped.Template == template {
			return true
		}
	}
	return false
}

func TestReexecutionOfAnOpJob(t *testing.T) {
	t.Parallel()
	// One mapped step of clean failed, and with it rate, total and notify.
	failed := map[string]string{
		"rules": "S", "source": "S", "etl.pages": "S", "etl.clean[a]": "S", "etl.clean[b]": "F", "etl.rate[a]": "S", "etl.rate[b]": "U", "total": "U", "notify": "U",
	}
	done := map[string]string{
		"rules": "S", "source": "S", "etl.pages": "S", "etl.clean[a]": "S", "etl.clean[b]": "S", "etl.rate[a]": "S", "etl.rate[b]": "S", "total": "S", "notify": "S",
	}
	with := func(steps map[string]string, changes ...string) map[string]string {
		changed := map[string]string{}
		maps.Copy(changed, steps)
		for i := 0; i < len(changes); i += 2 {
			if changed[changes[i]] = changes[i+1]; changes[i+1] == "" {
				delete(changed, changes[i])
			}
		}
		return changed
	}
	for _, test := range []struct {
		name        string
		parent      map[string]string
		from        wire.RetryFrom
		ops         string
		runs, taken []string
		left        []string // mapped steps that are neither
	}{
		{
			"from failure", failed, "", "",
			[]string{"total", "notify", "etl.clean[b]", "etl.rate[b]"},
			[]string{"rules", "source", "etl.pages", "etl.clean[a]", "etl.rate[a]"},
			nil,
		},
		{
			"the fan failed",
			map[string]string{"rules": "S", "source": "S", "etl.pages": "F"},
			wire.RetryFailure, "",
			[]string{"etl.pages", "etl.clean", "etl.rate", "total", "notify"},
			[]string{"rules", "source"},
			nil,
		},
		{
			"nothing was done", nil, wire.RetryFailure, "",
			[]string{"rules", "source", "etl.pages", "etl.clean", "etl.rate", "total", "notify"},
			nil, nil,
		},
		{
			"a value that is needed is gone", with(failed, "rules", "G", "source", "G"), wire.RetryFailure, "",
			[]string{"rules", "total", "notify", "etl.clean[b]", "etl.rate[b]"},
			[]string{"source", "etl.pages", "etl.clean[a]", "etl.rate[a]"},
			nil,
		},
		{
			"a mapped value that is collected is gone, and what it needs too", with(failed, "etl.clean[a]", "G", "etl.rate[a]", "G"), wire.RetryFailure, "",
			[]string{"total", "notify", "etl.clean[a]", "etl.rate[a]", "etl.clean[b]", "etl.rate[b]"},
			[]string{"rules", "source", "etl.pages"},
			nil,
		},
		{
			"the dynamic output is gone: all that is mapped over it runs again", with(failed, "etl.pages", "G"), wire.RetryFailure, "",
			[]string{"etl.pages", "etl.clean", "etl.rate", "total", "notify"},
			[]string{"rules", "source"},
			nil,
		},
		{
			"and what that needs is gone", with(failed, "etl.pages", "G", "source", "G"), wire.RetryFailure, "",
			[]string{"source", "etl.pages", "etl.clean", "etl.rate", "total", "notify"},
			[]string{"rules"},
			nil,
		},
		{
			"what is only waited for may be gone", with(done, "total", "G", "notify", "F"), wire.RetryFailure, "",
			[]string{"notify"},
			[]string{"rules", "source", "etl.pages", "total", "etl.clean[a]", "etl.rate[a]", "etl.clean[b]", "etl.rate[b]"},
			nil,
		},
		{
			"all", done, wire.RetryAll, "",
			[]string{"rules", "source", "etl.pages", "etl.clean", "etl.rate", "total", "notify"},
			nil, nil,
		},
		{
			"a step", done, wire.RetrySelection, "total",
			[]string{"total"},
			[]string{"rules", "source", "etl.pages", "notify", "etl.clean[a]", "etl.rate[a]", "etl.clean[b]", "etl.rate[b]"},
			nil,
		},
		{
			"a step and all after it", failed, wire.RetrySelection, "source*, rules",
			[]string{"rules", "source", "etl.pages", "etl.clean", "etl.rate", "total", "notify"},
			nil, nil,
		},
		{
			"a mapped step and all after it", done, wire.RetrySelection, "etl.clean[b]*",
			[]string{"total", "notify", "etl.clean[b]", "etl.rate[b]"},
			[]string{"rules", "source", "etl.pages", "etl.clean[a]", "etl.rate[a]"},
			nil,
		},
		{
			"a mapped step alone", failed, wire.RetrySelection, "etl.clean[b]",
			[]string{"etl.clean[b]"},
			[]string{"rules", "source", "etl.pages", "etl.clean[a]", "etl.rate[a]"},
			[]string{"etl.rate[b]"},
		},
		{
			"a template", failed, wire.RetrySelection, "etl.clean",
			[]string{"etl.clean[a]", "etl.clean[b]"},
			[]string{"rules", "source", "etl.pages", "etl.rate[a]"},
			[]string{"etl.rate[b]"},
		},
		{
			"a fan alone", done, wire.RetrySelection, "etl.pages",
			[]string{"etl.pages"},
			[]string{"rules", "source", "total", "notify"},
			nil,
		},
		{
			"what needs a step only in order", failed, wire.RetrySelection, "notify",
			[]string{"notify"},
			[]string{"rules", "source", "etl.pages", "etl.clean[a]", "etl.rate[a]"},
			[]string{"etl.clean[b]", "etl.rate[b]"},
		},
		{
			"a member that was skipped is left out", with(done, "etl.clean[a]", "S-", "etl.rate[a]", "K", "total", "F", "notify", "U"), wire.RetrySelection, "total",
			[]string{"total"},
			[]string{"rules", "source", "etl.pages", "etl.clean[a]", "etl.rate[a]", "etl.clean[b]", "etl.rate[b]"},
			nil,
		},
		{
			"a fan that was skipped gives an empty list",
			map[string]string{"source": "S-", "etl.pages": "K", "rules": "S", "total": "S", "notify": "S"},
			wire.RetrySelection, "total",
			[]string{"etl.clean", "etl.rate", "total"},
			[]string{"rules", "source", "etl.pages", "notify"},
			nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parent := parentOf(job("etl"), test.parent)
			got, err := planner(t, etl()).Plan(retry(test.from, test.ops), plan.Facts{RunID: "r2", Parent: parent})
			require.NoError(t, err)
			require.Equal(t, []string{"r1", "r1"}, []string{got.RetryOf, got.RootRunID})
			runs, taken := runsOf(t, got)
			inherited := taken
			for _, key := range test.left {
				require.Contains(t, taken, key)
				require.NotContains(t, got.Inherited, key)
				taken = remove(taken, key)
			}
			require.ElementsMatch(t, test.runs, runs)
			require.ElementsMatch(t, test.taken, taken)
			require.Len(t, got.Inherited, len(taken))
			for _, key := range taken {
				require.Equal(t, "r1", got.Inherited[key].Run, key)
			}
			for _, mapped := range got.MappedSteps() {
				require.Equal(t, plan.MappedKey(mapped.Template, mapped.MappingKey), mapped.Key)
				if mapped.Runs {
					require.Contains(t, test.runs, mapped.Key)
				} else {
					require.Contains(t, inherited, mapped.Key)
				}
			}
		})
	}
}

func remove(keys []string, key string) []string {
	var kept []string
	for _, one := range keys {
		if one != key {
			kept = append(kept, one)
		}
	}
	return kept
}

// TestReexecutionTakesOverWhatWasNotEmitted runs the walk on from what is taken over.
func TestReexecutionTakesOverWhatWasNotEmitted(t *testing.T) {
	t.Parallel()
	parent := parentOf(job("etl"), map[string]string{
		"rules": "S-", "source": "S", "etl.pages": "S", "etl.clean[a]": "K", "etl.clean[b]": "K", "etl.rate[a]": "K", "etl.rate[b]": "K", "total": "K", "notify": "K",
	})
	parent.Status = wire.RunCanceled
	got, err := planner(t, etl()).Plan(retry(wire.RetryFailure, ""), plan.Facts{RunID: "r2", Parent: parent})
	require.NoError(t, err)
	p := plan.NewProgress(&got.Walk)
	require.True(t, p.Done(), "what was skipped stays skipped")
	require.Len(t, p.TakeDecided(), 6)
	require.Equal(t, 6, got.StepsTotal())

	got, err = planner(t, etl()).Plan(retry(wire.RetrySelection, "notify, total"), plan.Facts{RunID: "r2", Parent: parent})
	require.NoError(t, err)
	p = plan.NewProgress(&got.Walk)
	require.True(t, p.Done(), "all members were skipped")
	require.Equal(t, wire.StepResult{NotEmitted: []string{""}}, got.Inherited["etl.rate[a]"].Result)
}

func TestReexecutionOfAssets(t *testing.T) {
	t.Parallel()
	p := planner(t, flights())
	parent := parentOf(assets("*"), map[string]string{"raw/flights": "S", "clean": "S", "delays": "F", "rankings": "U", "chart": "U", "report": "U"})
	got, err := p.Plan(retry(wire.RetryFailure, ""), plan.Facts{RunID: "r2", Parent: parent})
	require.NoError(t, err)
	runs, taken := runsOf(t, got)
	require.Equal(t, []string{"delays", "rankings", "chart", "report"}, runs)
	require.Equal(t, []string{"raw/flights", "clean"}, taken)
	require.Equal(t, []string{"best", "by_airport", "by_route", "chart", "report", "worst"}, got.Assets, "what this run makes")
	require.Empty(t, got.Outside)
	delays, _ := stepOf(t, got, "delays")
	require.Equal(t, []plan.StepInput{{Asset: "clean", InRun: true, From: "r1"}}, delays.Inputs)
	require.Equal(t, "selected by *; done in run r1", got.PlannedSteps()[1].Reason)
	require.Equal(t, 4, got.StepsTotal())

	parent.Steps = parentOf(assets("*"), map[string]string{"raw/flights": "S", "clean": "S", "delays": "S", "rankings": "S", "chart": "F", "report": "U"}).Steps
	got, err = p.Plan(retry(wire.RetrySelection, "delays"), plan.Facts{RunID: "r2", Parent: parent})
	require.NoError(t, err)
	runs, taken = runsOf(t, got)
	require.Equal(t, []string{"delays"}, runs)
	require.Equal(t, []string{"raw/flights", "clean", "rankings"}, taken, "what failed and is not chosen is left out")
	require.Equal(t, []string{"by_airport", "by_route"}, got.Assets)
}

func TestReexecutionThatCannotBe(t *testing.T) {
	t.Parallel()
	p := planner(t, etl())
	failed := map[string]string{
		"rules": "S", "source": "S", "etl.pages": "S", "etl.clean[a]": "S", "etl.clean[b]": "F", "etl.rate[a]": "S", "etl.rate[b]": "U", "total": "U", "notify": "U",
	}
	all := map[string]string{
		"rules": "S", "source": "S", "etl.pages": "S", "etl.clean[a]": "S", "etl.clean[b]": "S", "etl.rate[a]": "S", "etl.rate[b]": "S", "total": "S", "notify": "S",
	}
	gone := map[string]string{"rules": "S", "source": "G", "etl.pages": "S"}
	withAssets := retry(wire.RetryAll, "")
	withAssets.Job = "etl"
	for _, test := range []struct {
		name    string
		request wire.RunRequest
		parent  map[string]string
		status  wire.RunStatus
		want    []string
	}{
		{"assets too", withAssets, failed, "", []string{`retry_of: assets or a job are given, and those of the earlier run are executed again (leave "assets" and "job" out)`}},
		{"no steps", retry(wire.RetrySelection, ""), failed, "", []string{`ops: it is not said which steps run again (give "ops", for example "clean*", or another "from")`}},
		{"steps and not selection", retry("", "total"), failed, "", []string{`ops: it says which steps run again, and so does "from": "failure"`}},
		{"another from", retry("start", ""), failed, "", []string{`retry_of.from: "start" is nothing to begin from (give failure, all or selection)`}},
		{"it runs", retry("", ""), failed, wire.RunStarted, []string{`retry_of.run_id: run "r1" is STARTED (cancel it or wait until it has ended)`}},
		{"it did not fail", retry("", ""), all, wire.RunSuccess, []string{`retry_of.run_id: run "r1" is SUCCESS: it did not fail (give "from": "all", or "selection" with "ops")`}},
		{"everything is done", retry("", ""), all, "", []string{`retry_of.from: every step of run "r1" is done (give "from": "all", or "selection" with "ops")`}},
		{"unknown steps", retry(wire.RetrySelection, "totl, etl.clean[c]"), failed, "", []string{
			`ops: there is no step "totl" (did you mean "total"?)`, `ops: there is no step "etl.clean[c]" (did you mean "etl.clean[a]" or "etl.clean[b]" or "etl.clean"?)`,
		}},
		{"syntax", retry(wire.RetrySelection, "a[b"), failed, "", []string{"ops: selection `a[b`, column 4: expected \"]\""}},
		{"a fan and one of its steps", retry(wire.RetrySelection, "etl.pages, etl.clean[a]*"), failed, "", []string{
			`ops: both "etl.pages" and "etl.clean[a]", which is mapped over it, are chosen (choose "etl.clean" for all its keys, or leave "etl.pages" out)`,
			`ops: both "etl.pages" and "etl.rate[a]"`,
		}},
		{"a need that is not done", retry(wire.RetrySelection, "total"), failed, "", []string{
			`ops: step "total" needs "etl.rate[b]", which run "r1" has not done and which is not chosen (choose "etl.rate[b]" too)`,
		}},
		{"a mapped need that is not done", retry(wire.RetrySelection, "etl.rate"), failed, "", []string{`ops: step "etl.rate" needs "etl.clean[b]", which run "r1"`}},
		{
			"a fan that is not done", retry(wire.RetrySelection, "etl.clean"),
			map[string]string{"rules": "S", "source": "S", "etl.pages": "F"},
			"",
			[]string{`ops: step "etl.clean" needs "etl.pages", which run "r1" has not done`},
		},
		{"what is mapped over a fan that runs again", retry(wire.RetrySelection, "etl.pages total"), all, "", []string{`ops: step "total" needs "etl.rate", which run "r1" has not done`}},
		{"the same between mapped steps", retry(wire.RetrySelection, "etl.pages etl.rate"), all, "", []string{`ops: step "etl.rate" needs "etl.clean"`}},
		{"a value that is gone", retry(wire.RetrySelection, "etl.pages"), gone, "", []string{`ops: step "etl.pages" needs "source", whose output in run "r1" is no longer kept (choose "source" too)`}},
		{
			"a skipped fan is mapped over", retry(wire.RetrySelection, "etl.clean"),
			map[string]string{"rules": "S", "source": "S", "etl.pages": "K"},
			"",
			[]string{`ops: step "etl.clean" needs "etl.pages", which run "r1" has not done`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parent := parentOf(job("etl"), test.parent)
			if test.status != "" {
				parent.Status = test.status
			}
			got, err := p.Plan(test.request, plan.Facts{RunID: "r2", Parent: parent})
			require.Nil(t, got)
			problems := wire.ProblemsOf(err)
			require.Len(t, problems, len(test.want), "%v", err)
			for i, want := range test.want {
				require.Contains(t, problems[i].String(), want)
			}
		})
	}
	_, err := p.Plan(retry("", "total"), plan.Facts{})
	require.EqualError(t, err, `ops: it says which steps run again, and so does "from": "failure" (give "from": "selection", or leave "ops" out); retry_of.run_id: there is no run "r1" (give the id of a run that has ended)`)
	other := parentOf(job("etl"), failed)
	other.RunID = "r9"
	_, err = p.Plan(retry("", ""), plan.Facts{Parent: other})
	require.ErrorContains(t, err, `the facts are of run "r9"`)
	require.Nil(t, wire.ProblemsOf(err))
	_, err = p.Plan(retry("", ""), plan.Facts{Parent: parentOf(job("elt"), failed)})
	require.ErrorContains(t, err, `retry_of.run_id: the request of run "r1" cannot be planned any more: job: there is no job "elt" in location "etl" (`)
}

func TestReexecutionLaysItsRequestOverTheEarlierOne(t *testing.T) {
	t.Parallel()
	of := job("etl")
	of.Ops, of.Title, of.Note, of.Cause, of.Priority = "*total rules", "first", "a note", "tick", wire.PriorityHigh
	of.Tags = map[string]string{"team": "data", "who": "ann", plan.TagMaxRetries: "2", "perdure/retry_number": "1"}
	parent := parentOf(of, map[string]string{"rules": "S", "source": "F"})
	parent.RootRunID = "r0"
	request := retry("", "")
	request.Tags = map[string]string{"who": "bob"}
	request.Title = "again"
	got, err := planner(t, etl()).Plan(request, plan.Facts{RunID: "r2", Parent: parent})
	require.NoError(t, err)
	require.Equal(t, []string{"r1", "r0"}, []string{got.RetryOf, got.RootRunID})
	require.Equal(t, []string{"rules", "source", "etl.pages", "etl.clean", "etl.rate", "total"}, stepKeys(got), "notify is left out still")
	tags := map[string]string{"team": "data", "who": "bob", plan.TagMaxRetries: "2"}
	require.Equal(t, tags, got.Tags, "what was set for that one run is not")
	require.Equal(t, wire.PriorityHigh, got.Priority)
	require.Equal(t, "r2", got.Walk.Cause)
	require.Equal(t, wire.RunRequest{
		Job: "etl", Ops: "*total rules", RetryOf: &wire.RetryOf{RunID: "r1", From: wire.RetryFailure}, Tags: tags, Title: "again", Priority: wire.PriorityHigh,
	}, got.Request)
}

func TestReexecutionMergesConfig(t *testing.T) {
	t.Parallel()
	s := flights()
	s.Computes[1].Config = &plan.ConfigSchema{
		Schema:   json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"integer"},"b":{"type":"integer"}}}`),
		Defaults: json.RawMessage(`{"a":1,"b":2}`),
	}
	of := keys("clean", "raw/flights")
	of.Config = json.RawMessage(`{"assets":{"clean":{"a":10}}}`)
	request := retry(wire.RetryAll, "")
	for config, want := range map[string]string{
		"":                               `{"a":10,"b":2}`,
		`{"assets":{"clean":{"b":20}}}`:  `{"a":10,"b":20}`,
		`{"assets":{"clean":{"a":11}}}`:  `{"a":11,"b":2}`,
		`{"assets":{"clean":{"a":"x"}}}`: "config.assets.clean.a",
		`{"assets":{"clean":{},"x":1}}`:  "config.assets.x",
		`["x"]`:                          "config",
	} {
		request.Config = nil
		if config != "" {
			request.Config = json.RawMessage(config)
		}
		got, err := planner(t, s).Plan(request, plan.Facts{Parent: parentOf(of, nil)})
		if want[0] != '{' {
			require.ErrorContains(t, err, want, config)
			continue
		}
		require.NoError(t, err, config)
		clean, _ := stepOf(t, got, "clean")
		require.JSONEq(t, want, string(clean.Config))
	}
}

// TestReexecutionOfAReexecution follows a selection of steps through further runs.
func TestReexecutionOfAReexecution(t *testing.T) {
	t.Parallel()
	s := etl()
	p := planner(t, s)
	first := parentOf(job("etl"), map[string]string{
		"rules": "S", "source": "S", "etl.pages": "S", "etl.clean[a]": "S", "etl.clean[b]": "F", "etl.rate[a]": "S", "etl.rate[b]": "U", "total": "U", "notify": "U",
	})
	second, err := p.Plan(retry(wire.RetrySelection, "etl.clean[b]++"), plan.Facts{RunID: "r2", Parent: first})
	require.NoError(t, err)
	runs, _ := runsOf(t, second)
	require.ElementsMatch(t, []string{"total", "etl.clean[b]", "etl.rate[b]"}, runs)

	// It failed at rate[b]. Only what it was asked for is executed again, and what r1 made is still found there.
	parent := &plan.ParentRun{RunID: "r2", RootRunID: second.RootRunID, Status: wire.RunFailure, Request: second.Request}
	for key, taken := range second.Inherited {
		parent.Steps = append(parent.Steps, plan.ParentStep{Step: key, Status: wire.StepSuccess, Run: taken.Run, Result: &taken.Result})
	}
	parent.Steps = append(parent.Steps,
		plan.ParentStep{Step: "etl.clean[b]", Status: wire.StepSuccess, Run: "r2", Result: &wire.StepResult{}},
		plan.ParentStep{Step: "etl.rate[b]", Status: wire.StepFailed, Run: "r2"},
		plan.ParentStep{Step: "total", Status: wire.StepUpstreamFailed, Run: "r2"})
	for _, from := range []wire.RetryFrom{wire.RetryFailure, wire.RetryAll} {
		request := retry(from, "")
		request.RetryOf.RunID = "r2"
		third, err := p.Plan(request, plan.Facts{RunID: "r3", Parent: parent})
		require.NoError(t, err)
		require.Equal(t, "r1", third.RootRunID)
		runs, _ = runsOf(t, third)
		want := []string{"total", "etl.rate[b]"}
		if from == wire.RetryAll {
			want = append(want, "etl.clean[b]")
		} else {
			require.Equal(t, "r2", third.Inherited["etl.clean[b]"].Run)
		}
		require.ElementsMatch(t, want, runs)
		require.Equal(t, "r1", third.Inherited["etl.clean[a]"].Run)
		require.Equal(t, wire.RetrySelection, third.Request.RetryOf.From)
		require.Equal(t, "etl.clean[b]++", third.Request.Ops)
	}
}
