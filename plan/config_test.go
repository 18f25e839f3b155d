package plan_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const delaySchema = `{"type":"object","additionalProperties":false,"required":["min_flights"],"properties":{
	"min_flights":{"type":"integer","minimum":1},
	"ratio":{"type":"number"},
	"mode":{"enum":["mean","median"]},
	"window":{"$ref":"#/$defs/window"},
	"names":{"type":"array","items":{"type":"string"}},
	"limit":{"anyOf":[{"type":"integer"},{"type":"null"}]},
	"limits":{"type":"object","additionalProperties":{"type":"integer"}}},
	"$defs":{"window":{"type":"object","additionalProperties":false,"required":["unit"],
		"properties":{"unit":{"enum":["day","hour"]},"size":{"type":"integer"}}}}}`

const databaseSchema = `{"type":"object","additionalProperties":false,"properties":{"max":{"type":"integer"},
	"dsn":{"$ref":"#/$defs/secret"}},
	"$defs":{"secret":{"type":"object","additionalProperties":false,"required":["env"],"properties":{"env":{"enum":["FLIGHTS_DSN","OTHER_DSN"]}}}}}`

// configured is a location whose assets and resources take config.
func configured() *plan.Snapshot {
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "flights"}
	s.Assets = append(s.Assets, plan.Asset{Key: "airports"})
	easy := &plan.ConfigSchema{Schema: json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{"n":{"type":"integer"}}}`), Defaults: json.RawMessage(`{"n":5}`)}
	add(s, "plain", []string{"plain"}).Resources = []string{"db"}
	add(s, "easy", []string{"easy"}, value("plain")...).Config = easy
	add(s, "route.delays", []string{"route.delays"}, value("plain")...).Config = &plan.ConfigSchema{
		Schema:   json.RawMessage(delaySchema),
		Defaults: json.RawMessage(`{"ratio":0.5,"mode":"mean","window":{"unit":"day","size":1},"names":["a","b"]}`),
	}
	add(s, "pair", []string{"left", "right"}).Config = easy
	s.Resources = []plan.Resource{
		{Name: "db", Config: &plan.ConfigSchema{Schema: json.RawMessage(databaseSchema), Defaults: json.RawMessage(`{"max":4,"dsn":{"env":"FLIGHTS_DSN"}}`)}},
		{Name: "files"},
	}
	s.Jobs = []plan.Job{
		{Name: "delays", Selection: wire.AssetSelection{Expression: `"route.delays"`}, Config: json.RawMessage(`{"assets":{"route.delays":{"min_flights":10,"window":{"size":2}},"easy":{"n":1}},"resources":{"db":{"max":9}}}`)},
		{Name: "wrong", Selection: wire.AssetSelection{Expression: `"route.delays"`}, Config: json.RawMessage(`{"assets":{"route.delays":{"min_flights":"many"},"gone":{}}}`)},
		{Name: "all", Selection: wire.AssetSelection{Expression: "*"}, Config: json.RawMessage(`{"assets":{"route.delays":{"min_flights":10}},"resources":{"db":{"max":9}}}`)},
	}
	return s
}

func TestConfigIsLaidOverTheJobsOverTheDefaults(t *testing.T) {
	t.Parallel()
	p := planner(t, configured())
	got, err := p.Plan(wire.RunRequest{Job: "all", Config: json.RawMessage(
		`{"assets":{"route.delays":{"min_flights":3.0,"window":{"unit":"hour"},"names":["c"],"limit":null,"limits":{"x":1e1}}},"resources":{"db":{"dsn":{"env":"OTHER_DSN"}}}}`)}, plan.Facts{})
	require.NoError(t, err)
	delays, _ := stepOf(t, got, "route.delays")
	require.JSONEq(t, `{"min_flights":3,"ratio":0.5,"mode":"mean","window":{"unit":"hour","size":1},"names":["c"],"limit":null,"limits":{"x":10}}`, string(delays.Config))
	require.Contains(t, string(delays.Config), `"min_flights":3,`, "a whole number decodes into an int")
	require.Nil(t, delays.Resources, "it uses none")
	plain, _ := stepOf(t, got, "plain")
	require.Nil(t, plain.Config)
	require.Len(t, plain.Resources, 1)
	require.JSONEq(t, `{"max":9,"dsn":{"env":"OTHER_DSN"}}`, string(plain.Resources["db"]))
	easy, _ := stepOf(t, got, "easy")
	require.JSONEq(t, `{"n":5}`, string(easy.Config))
	pair, _ := stepOf(t, got, "pair")
	require.JSONEq(t, `{"n":5}`, string(pair.Config))
}

func TestConfigOfAJobForWhatIsNotSelectedIsDropped(t *testing.T) {
	t.Parallel()
	got, err := planner(t, configured()).Plan(wire.RunRequest{Job: "delays"}, plan.Facts{})
	require.NoError(t, err)
	delays, _ := stepOf(t, got, "route.delays")
	require.JSONEq(t, `{"min_flights":10,"ratio":0.5,"mode":"mean","window":{"unit":"day","size":2},"names":["a","b"]}`, string(delays.Config))
	require.Nil(t, delays.Resources)
}

func TestConfigWithoutOverridesIsTheDefaults(t *testing.T) {
	t.Parallel()
	got, err := planner(t, configured()).Plan(keys("plain", "easy"), plan.Facts{})
	require.NoError(t, err)
	plain, _ := stepOf(t, got, "plain")
	require.Nil(t, plain.Resources, "nothing configures it")
	easy, _ := stepOf(t, got, "easy")
	require.JSONEq(t, `{"n":5}`, string(easy.Config))
}

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	p := planner(t, configured())
	delays := func(config string) string { return `{"assets":{"route.delays":` + config + `}}` }
	for _, test := range []struct {
		name, config string
		want         []string
	}{
		{"no object", `["a"]`, []string{`config: must be a JSON object, not a list`}},
		{"unknown section", `{"op":{}, "asset":{}}`, []string{
			`config.asset: unknown field "asset" (did you mean "assets"? known: assets, ops, resources, execution, loggers)`, `config.op: unknown field "op" (did you mean "ops"?`,
		}},
		{"section of another type", `{"assets":[],"resources":null}`, []string{`config.assets: must be an object, not a list`, `config.resources: must be an object, not null`}},
		{"config of another type", `{"assets":{"easy":3}}`, []string{`config.assets.easy: must be an object, not the number 3`}},
		{"given twice", `{"assets":{"easy":{"n":1,"n":2}}}`, []string{`config.assets.easy.n: is given twice`}},
		{"unknown asset", `{"assets":{"esay":{}}}`, []string{`config.assets.esay: there is no asset or multi-asset "esay" (known: easy, pair, route.delays)`}},
		{"unknown resource", `{"resources":{"bd":{}}}`, []string{`config.resources.bd: there is no resource "bd" (known: db, files)`}},
		{"external", `{"assets":{"airports":{}}}`, []string{`config.assets.airports: asset "airports" takes no config (leave it out)`}},
		{"takes none", `{"assets":{"plain":{}},"resources":{"files":{}}}`, []string{
			`config.assets.plain: asset "plain" takes no config`, `config.resources.files: resource "files" takes no config`,
		}},
		{"member of a multi-asset", `{"assets":{"left":{}}}`, []string{`config.assets.left: asset "left" has no config of its own: multi-asset "pair" makes it (write it under "pair")`}},
		{"unknown field", `{"assets":{"easy":{"m":1,"nn":2}}}`, []string{`config.assets.easy.m: unknown field "m" (known: n)`, `config.assets.easy.nn: unknown field "nn" (did you mean "n"? known: n)`}},
		{"wrong type", `{"assets":{"easy":{"n":"5"}}}`, []string{`config.assets.easy.n: must be a whole number, not the string "5"`}},
		{"null", `{"assets":{"easy":{"n":null}}}`, []string{`config.assets.easy.n: must be a whole number, not null`}},
		{"fraction", `{"assets":{"easy":{"n":1.5}}}`, []string{`config.assets.easy.n: must be a whole number, not the number 1.5`}},
		{"missing", delays(`{}`), []string{`config.assets["route.delays"].min_flights: "min_flights" is required and has no default (give it, for example "config":{"assets":{"route.delays":{"min_flights":1}}})`}},
		{"number beyond everything", `{"assets":{"easy":{"n":1e999999999}}}`, []string{`config.assets.easy`}},
		{"below the minimum", delays(`{"min_flights":0}`), []string{`config.assets["route.delays"].min_flights: minimum: got 0, want 1`}},
		{"enum", delays(`{"min_flights":1,"mode":"medain"}`), []string{`.mode: must be one of "mean", "median", not the string "medain" (did you mean "median"?)`}},
		{"nested unknown field", delays(`{"min_flights":1,"window":{"sice":1}}`), []string{`.window.sice: unknown field "sice" (did you mean "size"? known: size, unit)`}},
		{"nested wrong types", delays(`{"min_flights":1,"window":7,"names":["a",3]}`), []string{
			`.names[1]: must be a string, not the number 3`, `.window: must be an object, not the number 7`,
		}},
		{"neither form", delays(`{"min_flights":1,"limit":"x"}`), []string{`.limit: fits none of the forms it may have: must be a whole number, not the string "x"; or must be null, not the string "x"`}},
		{"a secret itself", `{"resources":{"db":{"dsn":"postgres://me:hunter2@db"}}}`, []string{
			`config.resources.db.dsn: a secret is never written itself (name the environment variable that holds it: {"env":"FLIGHTS_DSN"})`,
		}},
		{"an undeclared secret", `{"resources":{"db":{"dsn":{"env":"HOME"}}}}`, []string{`config.resources.db.dsn.env: must be one of "FLIGHTS_DSN", "OTHER_DSN", not the string "HOME"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request := keys("plain", "easy", "left", "right", "route.delays")
			request.Config = json.RawMessage(test.config)
			_, err := p.Plan(request, plan.Facts{})
			var problems wire.Problems
			for _, problem := range wire.ProblemsOf(err) {
				// Most of these configs leave out the one that is required.
				if problem.Code != wire.CodeMissing || test.name == "missing" {
					problems = append(problems, problem)
				}
			}
			require.Len(t, problems, len(test.want), "%v", err)
			for i, want := range test.want {
				require.Contains(t, problems[i].String(), want)
			}
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestConfigForWhatIsNotInTheRun(t *testing.T) {
	t.Parallel()
	p := planner(t, configured())
	request := keys("left", "right")
	request.Config = json.RawMessage(`{"assets":{"easy":{"n":1},"pair":{"n":2}},"resources":{"db":{"max":1}}}`)
	_, err := p.Plan(request, plan.Facts{})
	require.EqualError(t, err, `config.assets.easy: config is given for "easy", which is not in the selection (select it or leave its config out); `+
		`config.resources.db: config is given for resource "db", which nothing selected uses (leave its config out)`)
}

func TestConfigThatIsGivenNowhere(t *testing.T) {
	t.Parallel()
	_, err := planner(t, configured()).Plan(assets("*"), plan.Facts{})
	require.EqualError(t, err, `config.assets["route.delays"].min_flights: "min_flights" is required and has no default `+
		`(give it, for example "config":{"assets":{"route.delays":{"min_flights":1}}})`)
}

func TestConfigOfAJobThatIsWrong(t *testing.T) {
	t.Parallel()
	p := planner(t, configured())
	_, err := p.Plan(wire.RunRequest{Job: "wrong", Config: json.RawMessage(`{"assets":{"route.delays":{"ratio":true}}}`)}, plan.Facts{})
	problems := wire.ProblemsOf(err)
	require.Len(t, problems, 3)
	require.Contains(t, problems[0].String(), `job: the config of job "wrong": config.assets.gone: there is no asset or multi-asset "gone"`)
	require.Equal(t, `job: the config of job "wrong": config.assets["route.delays"].min_flights: must be a whole number, not the string "many"`, problems[1].String())
	require.Equal(t, `config.assets["route.delays"].ratio: must be a number, not true`, problems[2].String())

	_, err = p.Plan(wire.RunRequest{Job: "wrong", Config: json.RawMessage(`{"assets":{"route.delays":{"min_flights":1}}}`)}, plan.Facts{})
	require.Len(t, wire.ProblemsOf(err), 1, "the request mends what it replaces: %v", err)
}

func TestConfigIsCheckedWhenTheSelectionIsWrong(t *testing.T) {
	t.Parallel()
	request := assets("gone")
	request.Config = json.RawMessage(`{"assets":{"easy":{"n":"1"}}}`)
	_, err := planner(t, configured()).Plan(request, plan.Facts{})
	problems := wire.ProblemsOf(err)
	require.Len(t, problems, 2)
	require.Equal(t, "assets", problems[0].Path)
	require.Equal(t, "config.assets.easy.n", problems[1].Path)
}

func TestConfigSchemaThatIsWrongIsNotTheRequestsFault(t *testing.T) {
	t.Parallel()
	for want, schema := range map[string]plan.ConfigSchema{
		`config of "easy": its schema is not JSON`: {Schema: json.RawMessage(`{"required"`)},
		`config of "easy": its schema: `:           {Schema: json.RawMessage(`{"required":5}`)},
		`config of "easy": its defaults: `:         {Schema: json.RawMessage(`{"required":[]}`), Defaults: json.RawMessage(`[]`)},
	} {
		s := configured()
		s.Computes[1].Config = &schema
		_, err := planner(t, s).Plan(keys("easy"), plan.Facts{})
		require.ErrorContains(t, err, want)
	}
}

func TestPlannerIsSharedByManyGoroutines(t *testing.T) {
	t.Parallel()
	p := planner(t, configured())
	request := wire.RunRequest{Job: "all", Config: json.RawMessage(`{"assets":{"easy":{"n":7},"pair":{"n":8}}}`)}
	want, err := planner(t, configured()).Plan(request, plan.Facts{})
	require.NoError(t, err)
	got := make([]*plan.Plan, 16)
	var group sync.WaitGroup
	for i := range got {
		group.Go(func() { got[i], _ = p.Plan(request, plan.Facts{}) })
	}
	group.Wait()
	for _, one := range got {
		require.Equal(t, want, one)
	}
}
