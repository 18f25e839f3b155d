package plan_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func configSchema(schema, defaults string) *plan.ConfigSchema {
	return &plan.ConfigSchema{Schema: json.RawMessage(schema), Defaults: json.RawMessage(defaults)}
}

// rich is a location with everything that takes config: beside the assets of configured a job of ops with loggers, a
// graph that maps its config, one that does not, and graph assets.
func rich() *plan.Snapshot {
	s := configured()
	number := configSchema(`{"type":"object","additionalProperties":false,"properties":{"n":{"type":"integer"}}}`, `{"n":5}`)
	addOp(s, "source").Config = number
	addOp(s, "etl.pages", fromOps(plan.InputValue, "source")).ConfigUnder = "etl"
	addOp(s, "etl.inner.rate", fromOps(plan.InputValue, "etl.pages")).ConfigUnder = "etl"
	addOp(s, "loose.count", fromOps(plan.InputValue, "source")).Config = configSchema(delaySchema, `{"ratio":0.5,"mode":"mean"}`)
	addOp(s, "loose.plain")
	addOp(s, "bare.only")
	addOp(s, "elsewhere").Config = number
	addOp(s, "summary.read", value("plain")...).Config = number
	add(s, "summary.sum", []string{"summary"}, fromOps(plan.InputValue, "summary.read")).Op = true
	add(s, "unset.sum", []string{"unset"}).Op = true
	s.Graphs = []plan.Graph{{Name: "etl", Config: configSchema(`{"type":"object","additionalProperties":false,"required":["site"],"properties":{
		"site":{"type":"string"},"limits":{"type":"object","additionalProperties":{"type":"integer"}},
		"window":{"anyOf":[{"type":"object","additionalProperties":false,"properties":{"size":{"type":"integer"},"unit":{"type":"string"}}},{"type":"null"}]}}}`,
		`{"limits":{"a":1},"window":{"size":1,"unit":"day"}}`)}}
	s.Loggers = []plan.Logger{
		{Name: "audit", Config: configSchema(`{"type":"object","additionalProperties":false,"required":["to"],"properties":{"to":{"type":"string"}}}`, `{}`)},
		{Name: "syslog"},
	}
	s.Jobs = append(s.Jobs,
		plan.Job{
			Name: "ops", Ops: []string{"bare.only", "etl.inner.rate", "etl.pages", "loose.count", "loose.plain", "source"},
			Loggers: []string{"audit", "syslog"}, Resources: []string{"db"}, MaxConcurrentSteps: 7, TagLimits: []plan.TagLimit{{Key: "job", Limit: 1}},
			Config: json.RawMessage(`{"ops":{"etl":{"site":"job","limits":{"b":2}},"loose.count":{"min_flights":1},"elsewhere":{"n":1}},"loggers":{"audit":{"to":"job"}}}`),
		},
		plan.Job{Name: "short", Ops: []string{"source"}},
		plan.Job{Name: "summary", Selection: wire.AssetSelection{Expression: "summary"}},
		plan.Job{Name: "needy", Ops: []string{"etl.inner.rate", "etl.pages", "loose.count", "source"}, Loggers: []string{"audit"}},
	)
	return s
}

func planRich(t *testing.T, job, config string) (*plan.Plan, error) {
	t.Helper()
	return planner(t, rich()).Plan(wire.RunRequest{Job: job, Config: json.RawMessage(config)}, plan.Facts{})
}

func TestConfigOfOpsGraphsAndLoggers(t *testing.T) {
	t.Parallel()
	got, err := planRich(t, "ops", `{"ops":{"source":{"n":9},"etl":{"window":{"size":2}},"loose.count":{"mode":"median"}},
		"resources":{"db":{"max":2}},"loggers":{"level":"debug"}}`)
	require.NoError(t, err)
	graph := `{"site":"job","limits":{"b":2},"window":{"size":2,"unit":"day"}}`
	for step, want := range map[string]string{
		"source": `{"n":9}`, "etl.pages": graph, "etl.inner.rate": graph, "loose.count": `{"min_flights":1,"ratio":0.5,"mode":"median"}`,
	} {
		planned, _ := stepOf(t, got, step)
		require.JSONEq(t, want, string(planned.Config), step)
	}
	plain, _ := stepOf(t, got, "loose.plain")
	require.Nil(t, plain.Config)
	require.Equal(t, map[string]json.RawMessage{"level": json.RawMessage(`"DEBUG"`), "audit": json.RawMessage(`{"to":"job"}`)}, plain.Loggers)
	require.JSONEq(t, `{"max":2,"dsn":{"env":"FLIGHTS_DSN"}}`, string(plain.Resources["db"]), "the job's hooks and loggers use it")

	got, err = planRich(t, "ops", `{"ops":{"etl":{"limits":{"c":3},"window":null}}}`)
	require.NoError(t, err)
	pages, _ := stepOf(t, got, "etl.pages")
	require.JSONEq(t, `{"site":"job","limits":{"c":3},"window":null}`, string(pages.Config), "a map is taken whole")

	got, err = planRich(t, "summary", `{"ops":{"summary.read":{"n":1}}}`)
	require.NoError(t, err)
	read, _ := stepOf(t, got, "summary.read")
	require.JSONEq(t, `{"n":1}`, string(read.Config))
	require.Nil(t, read.Loggers)
}

func TestLevelOfARunWithoutAJob(t *testing.T) {
	t.Parallel()
	request := keys("plain")
	request.Config = json.RawMessage(`{"loggers":{"level":"ERROR"},"execution":{"max_concurrent_steps":3}}`)
	got, err := planner(t, rich()).Plan(request, plan.Facts{})
	require.NoError(t, err)
	plain, _ := stepOf(t, got, "plain")
	require.Equal(t, map[string]json.RawMessage{"level": json.RawMessage(`"ERROR"`)}, plain.Loggers)
	require.Equal(t, 3, got.Walk.Limits.MaxConcurrentSteps)
}

func TestConfigOfOpsIsRefusedWithItsPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, job, config string
		want              []string
	}{
		{"unknown op", "ops", `{"ops":{"suorce":{}}}`, []string{`config.ops.suorce: there is no op or graph "suorce" (did you mean "source"? known: elsewhere, etl, loose.count, source, summary.read)`}},
		{"wrong value", "ops", `{"ops":{"loose.count":{"min_flights":"x"},"etl":{"limits":{"a":"1"}}}}`, []string{
			`config.ops.etl.limits.a: must be a whole number, not the string "1"`, `config.ops["loose.count"].min_flights: must be a whole number, not the string "x"`,
		}},
		{"an op under a graph's config", "ops", `{"ops":{"etl.pages":{"site":"x"}}}`, []string{`config.ops["etl.pages"]: op "etl.pages" has no config of its own: graph "etl" makes it of the graph's (write the config of graph "etl")`}},
		{"a graph under a graph's config", "ops", `{"ops":{"etl.inner":{}}}`, []string{`config.ops["etl.inner"]: graph "etl.inner" has no config of its own: graph "etl" makes it of the graph's (write the config of graph "etl")`}},
		{"a graph without config", "ops", `{"ops":{"loose":{"count":{}}}}`, []string{`config.ops.loose: graph "loose" has no config of its own: its ops do (write it under loose.count)`}},
		{"a graph of nothing that takes config", "ops", `{"ops":{"bare":{}}}`, []string{`config.ops.bare: graph "bare" takes no config (leave it out)`}},
		{"an op that takes none", "ops", `{"ops":{"loose.plain":{}}}`, []string{`config.ops["loose.plain"]: op "loose.plain" takes no config (leave it out)`}},
		{"an asset among the ops", "ops", `{"ops":{"easy":{}}}`, []string{`config.ops.easy: "easy" is an asset (write its config in "assets")`}},
		{"a graph asset among the ops", "summary", `{"ops":{"summary":{}}}`, []string{`config.ops.summary: asset "summary" has no config of its own: the ops of a graph make it (write it under summary.read)`}},
		{"an op among the assets", "ops", `{"assets":{"source":{}}}`, []string{`config.assets.source: "source" is an op (write its config in "ops")`}},
		{"a graph among the assets", "ops", `{"assets":{"etl":{}}}`, []string{`config.assets.etl: "etl" is a graph (write its config in "ops")`}},
		{"a graph asset", "summary", `{"assets":{"summary":{}}}`, []string{`config.assets.summary: asset "summary" has no config of its own: the ops of a graph make it (write it in "ops" under summary.read)`}},
		{"a graph asset without config", "ops", `{"assets":{"unset":{}},"ops":{"unset":{},"airports":{}}}`, []string{
			`config.assets.unset: asset "unset" takes no config`, `config.ops.airports: asset "airports" takes no config`, `config.ops.unset: asset "unset" takes no config`,
		}},
		{"what is not selected", "short", `{"ops":{"etl":{"site":"x"},"elsewhere":{"n":1}},"resources":{"db":{}},"loggers":{"audit":{"to":"x"}}}`, []string{
			`config.ops.elsewhere: config is given for "elsewhere", which is not in the selection (select it or leave its config out)`,
			`config.ops.etl: config is given for graph "etl", of which no op is in the selection (select one or leave its config out)`,
			`config.resources.db: config is given for resource "db", which nothing selected uses (leave its config out)`,
			`config.loggers.audit: config is given for logger "audit", which no job of this run has (leave its config out)`,
		}},
		{"what is required", "needy", `{}`, []string{
			`config.ops.etl.site: "site" is required and has no default (give it, for example "config":{"ops":{"etl":{"site":"…"}}})`,
			`config.ops["loose.count"].min_flights: "min_flights" is required and has no default (give it, for example "config":{"ops":{"loose.count":{"min_flights":1}}})`,
			`config.loggers.audit.to: "to" is required and has no default`,
		}},
		{"unknown logger", "ops", `{"loggers":{"adit":{}}}`, []string{`config.loggers.adit: there is no logger "adit" (did you mean "audit"? known: audit, syslog, level)`}},
		{"a logger that takes none", "ops", `{"loggers":{"syslog":{}}}`, []string{`config.loggers.syslog: logger "syslog" takes no config (leave it out)`}},
		{"unknown level", "ops", `{"loggers":{"level":"warm"}}`, []string{`config.loggers.level: there is no log level "warm" (did you mean "WARN"? known: DEBUG, INFO, WARN, ERROR)`}},
		{"no level", "ops", `{"loggers":{"level":4}}`, []string{`config.loggers.level: must be a log level, not the number 4 (give one of DEBUG, INFO, WARN, ERROR)`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := planRich(t, test.job, test.config)
			problems := wire.ProblemsOf(err)
			require.Len(t, problems, len(test.want), "%v", err)
			for i, want := range test.want {
				require.Contains(t, problems[i].String(), want)
			}
		})
	}
}

func TestExecutionOfTheRunConfig(t *testing.T) {
	t.Parallel()
	local := plan.Executor{Kind: plan.ExecutorLocalActivity}
	for _, test := range []struct {
		name, config string
		job          *plan.Executor
		want         *plan.Executor
	}{
		{"the job's", `{}`, &local, &local},
		{"before the job's", `{"executor":{"kind":"subprocess","memory_limit":1024}}`, &local, &plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: 1024}},
		{"before the instance's", `{"executor":{"kind":"activity"}}`, nil, nil},
		{"a limit in megabytes", `{"executor":{"kind":"subprocess","memory_limit":"512MiB"}}`, nil, &plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: 512 << 20}},
		{"a limit with a fraction", `{"executor":{"kind":"subprocess","memory_limit":"1.5 GiB"}}`, nil, &plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: 3 << 29}},
		{"a limit as a float", `{"executor":{"kind":"subprocess","memory_limit":2.0}}`, nil, &plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := rich()
			s.Jobs[3].Executor = test.job
			got, err := planner(t, s).Plan(wire.RunRequest{Job: "ops", Config: json.RawMessage(`{"execution":` + test.config + `}`)}, plan.Facts{Executor: local})
			require.NoError(t, err)
			step, walked := stepOf(t, got, "source")
			require.Equal(t, test.want, step.Executor)
			require.Equal(t, test.want != nil && test.want.Kind == plan.ExecutorSubprocess, got.Walk.Kinds[walked.Kind].Subprocess)
			require.Equal(t, 7, got.Walk.Limits.MaxConcurrentSteps)
			require.Equal(t, []plan.TagLimit{{Key: "job", Limit: 1}}, got.Walk.TagLimits)
		})
	}
}

func TestAStepKeepsItsOwnExecutor(t *testing.T) {
	t.Parallel()
	s := rich()
	own := plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: 5}
	s.Computes[slices.IndexFunc(s.Computes, func(c plan.Compute) bool { return c.Name == "source" })].Executor = &own
	got, err := planner(t, s).Plan(wire.RunRequest{Job: "ops", Config: json.RawMessage(`{"execution":{"executor":{"kind":"local_activity"}}}`)}, plan.Facts{})
	require.NoError(t, err)
	step, _ := stepOf(t, got, "source")
	require.Equal(t, &own, step.Executor)
	step, _ = stepOf(t, got, "bare.only")
	require.Equal(t, plan.ExecutorLocalActivity, step.Executor.Kind)
}

func TestExecutionIsLaidOverTheJobsMemberByMember(t *testing.T) {
	t.Parallel()
	s := rich()
	s.Jobs[3].Config = json.RawMessage(`{"execution":{"executor":{"kind":"subprocess","memory_limit":9},"max_concurrent_steps":8},"ops":{"etl":{"site":"x"},"loose.count":{"min_flights":1}},"loggers":{"audit":{"to":"x"},"level":"WARN"}}`)
	s.Computes[len(s.Computes)-1].Tags = nil
	p := planner(t, s)
	got, err := p.Plan(wire.RunRequest{Job: "ops", Config: json.RawMessage(`{"execution":{"tag_limits":[{"key":"team","limit":2},{"key":"team","value":"a","limit":1}]}}`)}, plan.Facts{})
	require.NoError(t, err)
	step, _ := stepOf(t, got, "source")
	require.Equal(t, &plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: 9}, step.Executor)
	require.JSONEq(t, `"WARN"`, string(step.Loggers["level"]))
	require.Equal(t, 8, got.Walk.Limits.MaxConcurrentSteps)
	require.Equal(t, []plan.TagLimit{{Key: "team", Limit: 2}, {Key: "team", Value: "a", Limit: 1}}, got.Walk.TagLimits)

	got, err = p.Plan(wire.RunRequest{Job: "ops", Config: json.RawMessage(`{"execution":{"executor":{"kind":"activity"},"tag_limits":[],"max_concurrent_steps":9}}`)}, plan.Facts{})
	require.NoError(t, err)
	step, _ = stepOf(t, got, "source")
	require.Nil(t, step.Executor, "the memory limit of the job's is not taken over")
	require.Empty(t, got.Walk.TagLimits)
	require.Equal(t, 9, got.Walk.Limits.MaxConcurrentSteps)
}

func TestExecutionIsRefusedWithItsPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, config string
		want         []string
	}{
		{"no object", `7`, []string{`config.execution: must be an object, not the number 7`}},
		{"unknown field", `{"excutor":{}}`, []string{`config.execution.excutor: unknown field "excutor" (did you mean "executor"?`}},
		{"null", `{"executor":null}`, []string{`config.execution.executor: must not be null`}},
		{"no kind", `{"executor":{}}`, []string{`config.execution.executor.kind: it is not said how steps run (give one of activity, local_activity, subprocess)`}},
		{"unknown kind", `{"executor":{"kind":"proces"}}`, []string{`config.execution.executor.kind: there is no executor "proces"`}},
		{"a limit of what has none", `{"executor":{"kind":"activity","memory_limit":5}}`, []string{`config.execution.executor.memory_limit: executor "activity" has no memory limit (leave it out, or choose the kind "subprocess")`}},
		{"no amount", `{"executor":{"kind":"subprocess","memory_limit":"much"}}`, []string{`config.execution.executor.memory_limit: must be a number of bytes, or text such as "512MiB" or "2GiB", not "much"`}},
		{"a negative amount", `{"executor":{"kind":"subprocess","memory_limit":-1}}`, []string{`memory_limit: must be a number of bytes`}},
		{"too many steps", `{"max_concurrent_steps":501}`, []string{`config.execution.max_concurrent_steps: is 501 (give 1 to 500)`}},
		{"no steps", `{"max_concurrent_steps":0}`, []string{`config.execution.max_concurrent_steps: is 0`}},
		{"tag limits", `{"tag_limits":[{"limit":1},{"key":"a b","limit":1},{"key":"a","value":"b c","limit":1},{"key":"a","value":"b","per_value":true,"limit":1},{"key":"a","limit":0},{"key":"a","limit":1}]}`, []string{
			`config.execution.tag_limits[0].key: it is not said which tag is limited`, `tag_limits[1].key: the tag key "a b" is not allowed`,
			`tag_limits[2].value: the tag value "b c" is not allowed`, `tag_limits[3].per_value: it is for the value "b" and for each value`,
			`tag_limits[4].limit: the limit is 0 (give at least 1)`, `tag_limits[5].key: the tag "a" has two limits`,
		}},
		{"a tag limit of another type", `{"tag_limits":[{"key":1,"limit":"x"}]}`, []string{`config.execution.tag_limits[0].key: must be a string`, `config.execution.tag_limits[0].limit: must be a whole number`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := planRich(t, "ops", `{"execution":`+test.config+`}`)
			problems := wire.ProblemsOf(err)
			require.Len(t, problems, len(test.want), "%v", err)
			for i, want := range test.want {
				require.Contains(t, problems[i].String(), want)
			}
		})
	}
}

func TestLocalActivityThatTheRequestChooses(t *testing.T) {
	t.Parallel()
	s := rich()
	s.Computes[slices.IndexFunc(s.Computes, func(c plan.Compute) bool { return c.Name == "source" })].Pool = "db"
	_, err := planner(t, s).Plan(wire.RunRequest{Job: "ops", Config: json.RawMessage(`{"execution":{"executor":{"kind":"local_activity"}}}`)}, plan.Facts{})
	require.EqualError(t, err, `config.execution.executor: step "source" cannot run as a local activity: it is in the pool "db" (give it the executor activity)`)
}

func TestARunThatIsExecutedAgainTakesItsConfigAndWhatIsNew(t *testing.T) {
	t.Parallel()
	parent := &plan.ParentRun{RunID: "r1", Status: wire.RunFailure, Request: wire.RunRequest{Job: "ops", Config: json.RawMessage(
		`{"ops":{"source":{"n":1},"etl":{"site":"r1","limits":{"r1":1},"window":{"unit":"hour"}}},"execution":{"executor":{"kind":"subprocess","memory_limit":7}},"loggers":{"level":"WARN"}}`)}}
	got, err := planner(t, rich()).Plan(wire.RunRequest{RetryOf: &wire.RetryOf{RunID: "r1", From: wire.RetryAll}, Config: json.RawMessage(
		`{"ops":{"etl":{"limits":{"r2":2},"window":{"size":3}}},"execution":{"executor":{"kind":"activity"}},"loggers":{"level":"ERROR","audit":{"to":"r2"}}}`)}, plan.Facts{Parent: parent})
	require.NoError(t, err)
	require.JSONEq(t, `{"ops":{"source":{"n":1},"etl":{"site":"r1","limits":{"r2":2},"window":{"unit":"hour","size":3}}},"execution":{"executor":{"kind":"activity"}},
		"loggers":{"level":"ERROR","audit":{"to":"r2"}}}`, string(got.Request.Config))
	pages, _ := stepOf(t, got, "etl.pages")
	require.JSONEq(t, `{"site":"r1","limits":{"r2":2},"window":{"unit":"hour","size":3}}`, string(pages.Config))
	require.Nil(t, pages.Executor)
	require.JSONEq(t, `{"to":"r2"}`, string(pages.Loggers["audit"]))
}

func TestConfigThatIsWrongAltogetherNamesEverything(t *testing.T) {
	t.Parallel()
	_, err := planRich(t, "ops", `{"op":{},"ops":{"source":{"n":true},"x":{}},"execution":{"executor":{"kind":""}},"loggers":[],"resources":{"db":{"max":"1"}}}`)
	var paths []string
	for _, problem := range wire.ProblemsOf(err) {
		paths = append(paths, problem.Path)
	}
	slices.Sort(paths)
	require.Equal(t, "config.execution.executor.kind config.loggers config.op config.ops.source.n config.ops.x config.resources.db.max", strings.Join(paths, " "))
}
