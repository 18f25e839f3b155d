package definitions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/plan"
)

type base struct {
	Region string `enum:"east, west" description:"where"`
}

type everything struct {
	base
	MinFlights int8
	Rows       uint16
	Share      float64 `enum:"0.5,1"`
	Ratio      float32
	Verbose    bool
	Wait       time.Duration
	Since      time.Time
	HTTPPath   string   `json:"path,omitempty"`
	Token      d.Secret `enum:"TOKEN_TEST"`
	Steps      []stage
	Weights    map[string]int
	Limit      *int
	Nested     struct{ Depth int }
	Mandatory  string `config:"required" enum:"a,b"`
	Internal   func() `json:"-"`
}

type stage struct {
	Name string `config:"required"`
	Size int
}

func someConfig() everything {
	return everything{
		base: base{Region: "east"}, MinFlights: 3, Rows: 7, Share: 0.5, Ratio: 0.1, Wait: 90 * time.Second,
		Since: time.Date(2001, 1, 31, 6, 0, 0, 0, time.FixedZone("", -5*3600)), HTTPPath: "/x", Token: d.FromEnv("TOKEN"),
		Steps: []stage{{"one", 1}}, Weights: map[string]int{"a": 1},
	}
}

// configuredBy is a location with one asset, whose value is the config it was computed with.
func configuredBy[C any](config *d.ConfigOf[C]) (*d.AssetOf[C], *d.Definitions) {
	a := d.Asset("a", d.Bind1(func(_ d.Context, c C) (C, error) { return c, nil }, config))
	return a, d.New("x", a)
}

func schemaOf(t *testing.T, definitions *d.Definitions) *plan.ConfigSchema {
	t.Helper()
	snapshot, err := definitions.Snapshot()
	require.NoError(t, err)
	return snapshot.Computes[0].Config
}

func TestConfigIsASchemaWithDefaults(t *testing.T) {
	t.Parallel()
	_, definitions := configuredBy(d.Config(someConfig()))
	config := schemaOf(t, definitions)
	require.JSONEq(t, `{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"type": "object", "additionalProperties": false, "required": ["mandatory"],
		"properties": {
			"region": {"type": "string", "enum": ["east", "west"], "description": "where"},
			"min_flights": {"type": "integer", "minimum": -128, "maximum": 127},
			"rows": {"type": "integer", "minimum": 0, "maximum": 65535},
			"share": {"type": "number", "enum": [0.5, 1]},
			"ratio": {"type": "number"},
			"verbose": {"type": "boolean"},
			"wait": {"type": "string", "pattern": "^[-+]?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$", "examples": ["1m30s"]},
			"since": {"type": "string", "format": "date-time", "examples": ["2001-01-31T06:00:00Z"]},
			"path": {"type": "string"},
			"token": {"type": "object", "additionalProperties": false, "required": ["env"], "properties": {"env": {"type": "string", "enum": ["TOKEN", "TOKEN_TEST"]}}},
			"steps": {"type": "array", "items": {"type": "object", "additionalProperties": false, "required": ["name"], "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}}},
			"weights": {"type": "object", "additionalProperties": {"type": "integer"}},
			"limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
			"nested": {"type": "object", "additionalProperties": false, "properties": {"depth": {"type": "integer"}}},
			"mandatory": {"type": "string", "enum": ["a", "b"]}
		}}`, string(config.Schema))
	require.JSONEq(t, `{
		"region": "east", "min_flights": 3, "rows": 7, "share": 0.5, "ratio": 0.1, "verbose": false, "wait": "1m30s",
		"since": "2001-01-31T06:00:00-05:00", "path": "/x", "token": {"env": "TOKEN"}, "steps": [{"name": "one", "size": 1}],
		"weights": {"a": 1}, "limit": null, "nested": {"depth": 0}}`, string(config.Defaults))
}

// TestDefaultsFitTheirSchema holds the two against each other with a JSON Schema library, required fields aside.
func TestDefaultsFitTheirSchema(t *testing.T) {
	t.Parallel()
	_, definitions := configuredBy(d.Config(someConfig()))
	config := schemaOf(t, definitions)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("config.json", document))
	schema, err := compiler.Compile("config.json")
	require.NoError(t, err)

	whole := strings.Replace(string(config.Defaults), "{", `{"mandatory":"a",`, 1)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(whole))
	require.NoError(t, err)
	require.NoError(t, schema.Validate(value))
}

func TestConfigOfARun(t *testing.T) {
	t.Setenv("TOKEN", "s3cret")
	config := d.Config(someConfig())
	a, definitions := configuredBy(config)

	run := d.Materialize(t.Context(), definitions, d.RunConfig(`{"assets":{"a":{"mandatory":"b","min_flights":4.0,"limit":7,"nested":{"depth":2},"steps":[{"name":"x"}],"wait":"2h"}}}`))
	require.NoError(t, run.Err())
	got, err := a.In(run)
	require.NoError(t, err)
	seven := 7
	want := someConfig()
	want.Mandatory, want.MinFlights, want.Limit, want.Nested.Depth, want.Steps, want.Wait = "b", 4, &seven, 2, []stage{{"x", 0}}, 2*time.Hour
	require.True(t, want.Since.Equal(got.Since))
	want.Since = got.Since // another pointer to the same zone
	require.Equal(t, want, got)
	require.Equal(t, "s3cret", got.Token.Reveal(d.NewContext(t.Context())))

	want.Mandatory = "a"
	run = d.Materialize(t.Context(), definitions, d.Configure(config, want))
	require.NoError(t, run.Err())
	again, err := a.In(run)
	require.NoError(t, err)
	require.True(t, want.Since.Equal(again.Since))
	want.Since = again.Since
	require.Equal(t, want, again)

	given := d.Materialize(t.Context(), definitions, d.Given(config, everything{MinFlights: 9}))
	require.NoError(t, given.Err(), "a config that is given is not read, so nothing is required")
	third, err := a.In(given)
	require.NoError(t, err)
	require.Equal(t, everything{MinFlights: 9}, third)
}

func TestDefaultsAreNotShared(t *testing.T) {
	t.Parallel()
	type settings struct{ Names []string }
	config := d.Config(settings{Names: []string{"a"}})
	spoil := func(_ d.Context, s settings) (string, error) {
		first := s.Names[0]
		s.Names[0] = "spoilt"
		return first, nil
	}
	a, b := d.Asset("a", d.Bind1(spoil, config)), d.Asset("b", d.Bind1(spoil, config))
	run := d.Materialize(t.Context(), d.New("x", a, b))
	require.NoError(t, run.Err())
	for _, asset := range []*d.AssetOf[string]{a, b} {
		first, err := asset.In(run)
		require.NoError(t, err)
		require.Equal(t, "a", first)
	}
}

func TestConfigThatIsRefusedNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, definitions := configuredBy(d.Config(someConfig()))
	run := d.Materialize(t.Context(), definitions, d.RunConfig(`{"assets":{"a":{"min_flights":200,"rows":-1,"share":0.7,"region":"north","wait":"soon","since":"today","token":"s3cret","steps":[{}],"weights":[1],"nested":{"deep":1},"verbos":true}}}`))
	require.Error(t, run.Err())
	for _, part := range []string{"min_flights", "rows", "share", "region", "wait", "since", "token", "steps[0]", "weights", "nested", "verbos", "mandatory"} {
		require.ErrorContains(t, run.Err(), part)
	}
	require.NotContains(t, run.Err().Error(), "s3cret", "a secret that was written by mistake is not repeated")
}

func TestSecretThatIsNotSetFailsTheStepByName(t *testing.T) {
	t.Parallel()
	type settings struct {
		DSN  d.Secret
		More map[string]d.Secret
	}
	_, definitions := configuredBy(d.Config(settings{DSN: d.FromEnv("PERDURE_TEST_UNSET_A"), More: map[string]d.Secret{"b": d.FromEnv("PERDURE_TEST_UNSET_B")}}))
	err := d.Materialize(t.Context(), definitions).Err()
	require.ErrorContains(t, err, "load config: dsn: the environment variable PERDURE_TEST_UNSET_A is not set on this worker (set it where the worker runs)")
	require.ErrorContains(t, err, "more.b: the environment variable PERDURE_TEST_UNSET_B is not set")
}

func TestSecretShowsOnlyItsName(t *testing.T) {
	t.Setenv("TOKEN", "s3cret")
	secret := d.FromEnv("TOKEN")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("connecting", "token", secret)
	marshalled, err := json.Marshal(struct{ Token d.Secret }{secret})
	require.NoError(t, err)
	for _, shown := range []string{fmt.Sprint(secret), fmt.Sprintf("%+v %#v %q", secret, secret, secret), log.String(), string(marshalled)} {
		require.NotContains(t, shown, "s3cret")
		require.Contains(t, shown, "TOKEN")
	}
	require.JSONEq(t, `{"Token":{"env":"TOKEN"}}`, string(marshalled))
}

func TestConfigRules(t *testing.T) {
	t.Parallel()
	type recursive struct{ Next []*recursive }
	for name, test := range map[string]struct {
		of   d.Definition
		want []string
	}{
		"no struct": {bindConfig(d.Config(3)), []string{`: int is no struct of settings; give Config a struct with a field for each setting`}},
		"a time":    {bindConfig(d.Config(time.Time{})), []string{`: time.Time is no struct of settings; give Config a struct with a field for each setting`}},
		"field types": {bindConfig(d.Config(struct {
			A chan int
			B any
			C []byte
			D map[int]string
			E **int
			F [2]int
		}{})), unsupported("a", "chan int", "b", "interface {}", "c", "[]uint8", "d", "map[int]string", "e", "**int", "f", "[2]int")},
		"unexported": {bindConfig(d.Config(struct{ hidden int }{})), []string{`, hidden: the field hidden is not exported, so config cannot set it; export it, or leave it out with the tag json:"-"`}},
		"recursive":  {bindConfig(d.Config(recursive{})), []string{`, next[]: definitions_test.recursive contains itself; use types that end`}},
		"doubled names": {bindConfig(d.Config(struct {
			AB int
			Ab int `json:"ab"`
		}{})), []string{`, ab: the fields AB and Ab have one JSON name; give one of them another with a json tag`}},
		"tags": {bindConfig(d.Config(struct {
			A int              `config:"mandatory"`
			B int              `enum:"x"`
			C struct{ X bool } `enum:"y"`
			D d.Secret         `enum:"A B"`
		}{})), []string{
			`, a: the tag config:"mandatory" means nothing; write config:"required", or leave it out`,
			`, b: the tag enum:"x": "x" is no int; list values of the field's type, separated by commas`,
			`, c: the tag enum:"y": a struct { X bool } has no enum; list values of the field's type, separated by commas`,
			`, d: the tag enum:"A B": "A B" is no name of an environment variable; list values of the field's type, separated by commas`,
		}},
		"defaults": {bindConfig(d.Config(struct {
			A int    `config:"required"`
			B string `enum:"x,y"`
			C []int  `enum:"1,2"`
			D []struct {
				E string `enum:"x"`
			}
			F d.Secret
			G *d.Secret
			H d.Secret
		}{A: 1, C: []int{1, 3}, H: d.FromEnv("a b")})), []string{
			`, a: the required field has the default 1; leave out the default, or the tag config:"required"`,
			`, b: the default "" is not one of "x" or "y"; choose one of them, or mark the field config:"required"`,
			`, c[1]: the default "3" is not one of "1" or "2"; choose one of them, or mark the field config:"required"`,
			`, d[].e: the default "" is not one of "x"; choose one of them, or mark the field config:"required"`,
			`, f: the secret names no environment variable; give it a default with FromEnv, or mark the field config:"required" and list the variables: enum:"NAME"`,
			`, g: the secret names no environment variable; give it a default with FromEnv, or list the variables: enum:"NAME"`,
			`, h: "a b" is no name of an environment variable; use letters, digits and _, beginning with no digit`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, line := range problemsOf(t, d.New("x", test.of)) {
				_, rest, found := strings.Cut(line, "(definitions/config_test.go:N)")
				require.True(t, found, line)
				got = append(got, rest)
			}
			require.Equal(t, strings.Join(test.want, "\n"), strings.Join(got, "\n"))
		})
	}
}

func bindConfig[C any](config *d.ConfigOf[C]) *d.AssetOf[int] {
	return d.Asset("a", d.Bind1(func(d.Context, C) (int, error) { return 0, nil }, config))
}

func unsupported(fieldsAndTypes ...string) []string {
	var problems []string
	for i := 0; i < len(fieldsAndTypes); i += 2 {
		problems = append(problems, fmt.Sprintf(", %s: config cannot hold a %s; use bool, integers, floats, string, time.Duration, time.Time, definitions.Secret, structs, slices, maps by string, or pointers to these", fieldsAndTypes[i], fieldsAndTypes[i+1]))
	}
	return problems
}
