package plan_test

import (
	"encoding/json"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestScaffoldOfAJob(t *testing.T) {
	t.Parallel()
	text, err := planner(t, rich()).ScaffoldConfig("needy", plan.Facts{Executor: plan.Executor{Kind: plan.ExecutorSubprocess}})
	require.NoError(t, err)
	require.Equal(t, `# Run config of job needy of location flights.
# What is commented out by a "#" without a space behind it holds by itself. To change it, remove that "#", and those of
# the lines it stands below. What is required stands here with an example.

ops:
  # Graph: its ops get what it makes of this config.
  etl:
    # text; required
    site: "…"
    # map by name of (whole number); default {"a":1}
    #limits: {"a":1}
    #window:
      # whole number; default 1
      #size: 1
      # text; default "day"
      #unit: "day"
  loose.count:
    # whole number, at least 1; required
    min_flights: 1
    # whole number, or null
    #limit: 1
    # map by name of (whole number)
    #limits: {}
    # one of "mean", "median"; default "mean"
    #mode: "mean"
    # list of (text)
    #names: []
    # number; default 0.5
    #ratio: 0.5
    #window:
      # one of "day", "hour"; required
      #unit: "day"
      # whole number
      #size: 1
  #source:
    # whole number; default 5
    #"n": 5

#execution:
  # How steps run that do not choose themselves.
  #executor:
    # one of activity, local_activity, subprocess
    #kind: "subprocess"
    # bytes, or text such as "512MiB"; for the kind subprocess; 0 is no limit
    #memory_limit: 0
  # How many steps run at once: whole number, 1 to 500.
  #max_concurrent_steps: 100
  # How many steps with a tag run at once: list of {key: TAG, limit: NUMBER}, with "value" for only
  # that value of the tag, or "per_value: true" for each value by itself.
  #tag_limits: []

loggers:
  # From which level on the log of steps is kept: one of DEBUG, INFO, WARN, ERROR.
  #level: INFO
  audit:
    # text; required
    to: "…"
`, text)
}

func TestScaffoldSaysWhatTheJobGives(t *testing.T) {
	t.Parallel()
	s := rich()
	s.Jobs[3].Executor = &plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: 3 << 29}
	text, err := planner(t, s).ScaffoldConfig("ops", plan.Facts{})
	require.NoError(t, err)
	for _, want := range []string{
		"    # text; required; the job gives \"job\"\n    #site: \"job\"\n", "default {\"a\":1}; the job gives {\"b\":2}\n    #limits: {\"b\":2}\n",
		"#kind: \"subprocess\"\n", "#memory_limit: \"1536MiB\"\n", "#max_concurrent_steps: 7\n", `#tag_limits: [{"key":"job","limit":1}]`,
		"    # secret: {env: NAME} names the environment variable that holds it, one of FLIGHTS_DSN, OTHER_DSN; default {env: FLIGHTS_DSN}\n    #dsn: {env: FLIGHTS_DSN}\n",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "elsewhere", "the job does not use it")
	require.NotRegexp(t, `(?m)^ *[^ #\n]`, text, "the job gives all that is required")
}

var commentedOut = regexp.MustCompile(`(?m)^( *)#([^ ])`)

// requireAccepted plans a job with a template as its run config, as it is and with all of it in force, which changes
// nothing.
func requireAccepted(t *testing.T, p *plan.Planner, job, text string) {
	t.Helper()
	var plans []*plan.Plan
	for _, variant := range []string{text, commentedOut.ReplaceAllString(text, "$1$2")} {
		config := map[string]any{}
		require.NoError(t, yaml.Unmarshal([]byte(variant), &config), variant)
		data, err := json.Marshal(config)
		require.NoError(t, err)
		planned, err := p.Plan(wire.RunRequest{Job: job, Config: data}, plan.Facts{})
		require.NoError(t, err, variant)
		plans = append(plans, planned)
	}
	require.Equal(t, plans[0].Walk, plans[1].Walk)
}

func TestScaffoldsAreAccepted(t *testing.T) {
	t.Parallel()
	s := rich()
	p := planner(t, s)
	for _, job := range s.Jobs {
		text, err := p.ScaffoldConfig(job.Name, plan.Facts{})
		if job.Name == "wrong" {
			require.ErrorContains(t, err, "there is no asset or multi-asset")
			continue
		}
		require.NoError(t, err)
		requireAccepted(t, p, job.Name, text)
	}
	_, err := p.ScaffoldConfig("opps", plan.Facts{})
	require.ErrorContains(t, err, `there is no job "opps" in location "flights" (did you mean "ops"?`)
}

func TestScaffoldOfAwkwardSchemas(t *testing.T) {
	t.Parallel()
	for name, schema := range map[string]*plan.ConfigSchema{
		"a required struct of optional fields": configSchema(`{"type":"object","required":["s"],"additionalProperties":false,"properties":{"s":{"type":"object","additionalProperties":false,"properties":{"a":{"type":"integer"},"b":{"type":"object","additionalProperties":false,"properties":{"c":{"type":"string"}}}}}}}`, `{}`),
		"a required empty struct":              configSchema(`{"type":"object","required":["s"],"additionalProperties":false,"properties":{"s":{"type":"object","additionalProperties":false,"properties":{}}}}`, `{}`),
		"nothing":                              configSchema(`{"type":"object","additionalProperties":false,"properties":{}}`, `{}`),
		"words of YAML":                        configSchema(`{"type":"object","required":["null"],"additionalProperties":false,"properties":{"null":{"type":"string"},"yes":{"type":"string"},"a: b":{"type":"integer"},"#x":{"type":"boolean"}}}`, `{"yes":"no: #","a: b":-1,"#x":true}`),
		"bounds":                               configSchema(`{"type":"object","required":["a","b","c"],"additionalProperties":false,"properties":{"a":{"type":"integer","minimum":-128,"maximum":127},"b":{"type":"integer","minimum":5},"c":{"type":"number","maximum":-1}}}`, `{}`),
		"a required secret":                    configSchema(`{"type":"object","required":["a"],"additionalProperties":false,"properties":{"a":{"type":"object","required":["env"],"additionalProperties":false,"properties":{"env":{"type":"string","enum":["A","B"]}}}}}`, `{}`),
		"a required pointer":                   configSchema(`{"type":"object","required":["a"],"additionalProperties":false,"properties":{"a":{"anyOf":[{"type":"object","required":["x"],"additionalProperties":false,"properties":{"x":{"type":"integer"}}},{"type":"null"}]}}}`, `{}`),
		"required in a struct with defaults":   configSchema(`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"object","required":["x"],"additionalProperties":false,"properties":{"x":{"type":"integer","description":"One\nTwo"},"y":{"type":"integer"}}}}}`, `{"a":{"y":1}}`),
		"lists of objects":                     configSchema(`{"type":"object","required":["a"],"additionalProperties":false,"properties":{"a":{"type":"array","items":{"type":"object","required":["x"],"additionalProperties":false,"properties":{"x":{"type":"integer"}}}}}}`, `{}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "x"}
			addOp(s, "op").Config = schema
			s.Jobs = []plan.Job{{Name: "job", Ops: []string{"op"}}}
			p := planner(t, s)
			text, err := p.ScaffoldConfig("job", plan.Facts{})
			require.NoError(t, err)
			requireAccepted(t, p, "job", text)
		})
	}
}

func TestContentsOfAJob(t *testing.T) {
	t.Parallel()
	p := planner(t, rich())
	contents, err := p.JobContents("summary")
	require.NoError(t, err)
	require.Equal(t, []string{"summary"}, contents.Assets)
	require.Equal(t, []string{"summary.read", "summary.sum"}, contents.Ops)
	contents, err = p.JobContents("short")
	require.NoError(t, err)
	require.Empty(t, contents.Assets)
	require.Equal(t, []string{"source"}, contents.Ops)
	_, err = p.JobContents("")
	require.ErrorContains(t, err, "it is not said what to run")
}
