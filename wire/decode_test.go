package wire_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/wire"
)

// sample has a field of every kind that a request may have.
type sample struct {
	V        int                 `json:"v,omitempty"`
	Assets   wire.AssetSelection `json:"assets,omitzero"`
	Priority wire.Priority       `json:"priority,omitzero"`
	Name     string              `json:"name,omitempty"`
	Flag     bool                `json:"flag,omitempty"`
	Count    int                 `json:"count,omitempty"`
	Small    int8                `json:"small,omitempty"`
	Ratio    float64             `json:"ratio,omitempty"`
	Tags     map[string]string   `json:"tags,omitempty"`
	List     []string            `json:"list,omitempty"`
	Config   json.RawMessage     `json:"config,omitempty"`
	Any      any                 `json:"any,omitempty"`
	Nested   *nested             `json:"nested,omitempty"`
	Items    []nested            `json:"items,omitempty"`
	At       time.Time           `json:"at,omitzero"`
	ByName   map[string][]nested `json:"by_name,omitempty"`
	Status   wire.RunStatus      `json:"status,omitempty"`
	Text     level               `json:"text,omitzero"`
	Hidden   string              `json:"-"`
	Embedded
}

type nested struct {
	Inner int `json:"inner,omitempty"`
}

type Embedded struct {
	Promoted string `json:"promoted,omitempty"`
}

// level decodes itself from text.
type level struct{ n int }

func (l *level) UnmarshalText(text []byte) error {
	if _, err := fmt.Sscanf(string(text), "L%d", &l.n); err != nil {
		return fmt.Errorf("must be L and a number, not %q", text)
	}
	return nil
}

func (l level) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "L%d", l.n), nil }

func (l level) IsZero() bool { return l.n == 0 }

func TestDecodeReads(t *testing.T) {
	t.Parallel()
	var got sample
	require.Empty(t, wire.Decode([]byte(` {"v":1,"assets":["b","a/x"],"priority":"high","name":"n","flag":true,"count":3.0,"small":1e2,"ratio":0.5,
		"tags":{"team":"x","a.b":""},"list":["p","q"],"config":{"b":null, "a":1},"any":[null,1],"nested":{"inner":-2},"items":[{"inner":1},{}],
		"at":"2001-01-31T08:00:00Z","by_name":{"x":[{"inner":4}]},"status":"SUCCESS","text":"L7","promoted":"p"} `), &got))
	require.Equal(t, sample{
		V: 1, Assets: wire.AssetSelection{Keys: []string{"b", "a/x"}}, Priority: wire.PriorityHigh, Name: "n", Flag: true, Count: 3, Small: 100,
		Ratio: 0.5, Tags: map[string]string{"team": "x", "a.b": ""}, List: []string{"p", "q"}, Config: json.RawMessage(`{"b":null, "a":1}`),
		Any: []any{nil, 1.0}, Nested: &nested{-2}, Items: []nested{{1}, {}}, At: time.Date(2001, 1, 31, 8, 0, 0, 0, time.UTC),
		ByName: map[string][]nested{"x": {{4}}}, Status: wire.RunSuccess, Text: level{7}, Embedded: Embedded{"p"},
	}, got)
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ input, want string }{
		{``, `there is no input`},
		{" \n", `there is no input`},
		{`null`, `must not be null (give a JSON object, {} at least; its fields: v, assets, `},
		{`[]`, `must be a JSON object, not a list`},
		{`"x"`, `must be a JSON object, not the string "x"`},
		{`"{\"assets\":\"*\"}"`, `must be a JSON object, not the string "{\"assets\":\"*\"}" (it was encoded twice: send it itself, not as a string)`},
		{`17`, `must be a JSON object, not the number 17`},
		{`{"name":"a",}`, `is not JSON: invalid character '}' looking for beginning of object key string, at line 1, column 13`},
		{"{\n\"name\": x}", `at line 2, column 9`},
		{`{"name":"a"} {}`, `is not JSON: invalid character '{' after top-level value`},
		{strings.Repeat("[", 20_000), `exceeded max depth`},
		{`{"asets":"*"}`, `asets: unknown field "asets" (did you mean "assets"? known: v, assets, priority, name, `},
		{`{"Assets":"*"}`, `Assets: unknown field "Assets" (did you mean "assets"? known: `},
		{`{"Hidden":"*"}`, `Hidden: unknown field "Hidden" (known: `},
		{`{"":1}`, `[""]: unknown field "" (known: `},
		{`{"name":null}`, `name: must not be null (leave it out, or give it a value)`},
		{`{"config":null}`, `config: must not be null`},
		{`{"nested":null}`, `nested: must not be null`},
		{`{"any":null}`, `any: must not be null`},
		{`{"tags":{"team":null}}`, `tags.team: must not be null`},
		{`{"list":["a",null]}`, `list[1]: must not be null`},
		{`{"assets":["a","b",null]}`, `assets[2]: must not be null`},
		{`{"assets":["a",5]}`, `assets[1]: must be a string, not the number 5`},
		{`{"assets":["a",""]}`, `assets[1]: is an empty key (name an asset)`},
		{`{"assets":[]}`, `assets: is an empty list (name at least one asset key)`},
		{`{"assets":" "}`, `assets: is empty (give a selection such as "*" or "route_delays+")`},
		{`{"assets":{"a":1}}`, `assets: must be a selection expression or a list of asset keys, not an object`},
		{`{"priority":7}`, `priority: must be 1 to 5, or "high", "normal", "low" or "backfill", not 7`},
		{`{"text":"seven"}`, `text: must be L and a number, not "seven"`},
		{`{"text":7}`, `text: must be a string, not the number 7`},
		{`{"name":7}`, `name: must be a string, not the number 7`},
		{`{"name":{"a":1}}`, `name: must be a string, not an object`},
		{`{"flag":"true"}`, `flag: must be true or false, not the string "true"`},
		{`{"count":"3"}`, `count: must be a whole number, not the string "3"`},
		{`{"count":3.5}`, `count: must be a whole number, not the number 3.5`},
		{`{"count":true}`, `count: must be a whole number, not true`},
		{`{"count":9223372036854775808}`, `count: is out of range: 9223372036854775808`},
		{`{"count":1e400}`, `count: is out of range: 1e400`},
		{`{"small":300}`, `small: is out of range: 300`},
		{`{"ratio":1e400}`, `ratio: is out of range: 1e400`},
		{`{"ratio":"1"}`, `ratio: must be a number, not the string "1"`},
		{`{"tags":["a"]}`, `tags: must be a JSON object, not a list`},
		{`{"tags":{"team":1}}`, `tags.team: must be a string, not the number 1`},
		{`{"tags":{"a.b":1}}`, `tags["a.b"]: must be a string, not the number 1`},
		{`{"tags":{"a":"x","a":"y"}}`, `tags.a: is given twice (give it once)`},
		{`{"list":"a"}`, `list: must be a list, not the string "a"`},
		{`{"list":"[\"a\"]"}`, `(it was encoded twice: send it itself, not as a string)`},
		{`{"name":"a","name":"b"}`, `name: is given twice (give it once)`},
		{`{"items":[{},{"iner":1}]}`, `items[1].iner: unknown field "iner" (did you mean "inner"? known: inner)`},
		{`{"by_name":{"x":[{"inner":"1"}]}}`, `by_name.x[0].inner: must be a whole number, not the string "1"`},
		{`{"at":"yesterday"}`, `at: is no time: the string "yesterday" (write it with its zone, like "2001-01-31T08:00:00Z")`},
		{`{"at":5}`, `at: must be a time, not the number 5`},
		{`{"v":2}`, `v: is version 2, which is not read here: only 0 and 1 are (upgrade the workers, or leave v out, or send 1 in its form)`},
		{`{"v":-1}`, `v: is version -1, which is not read here: only 0 and 1 are (leave v out, or send 1 in its form)`},
		{`{"v":"1"}`, `v: must be a whole number, not the string "1"`},
	} {
		t.Run(short(test.input), func(t *testing.T) {
			t.Parallel()
			got := sample{Name: "before"}
			problems := wire.Decode([]byte(test.input), &got)
			require.Len(t, problems, 1)
			require.Contains(t, problems.Error(), test.want)
			require.Equal(t, sample{Name: "before"}, got)
		})
	}
}

func short(text string) string { return text[:min(len(text), 40)] }

func TestDecodeListsEveryProblem(t *testing.T) {
	t.Parallel()
	var request wire.RunRequest
	problems := wire.Decode([]byte(`{"asets":"*","job":3,"assets":["a",1,null],"tags":{"team":1,"x":null},"config":null,"v":9,"job":"j"}`), &request)
	var paths, codes []string
	for _, problem := range problems {
		paths = append(paths, problem.Path)
		codes = append(codes, problem.Code)
	}
	require.Equal(t, []string{"asets", "job", "assets[1]", "assets[2]", "tags.team", "tags.x", "config", "job", "v"}, paths)
	require.Equal(t, []string{"unknown_field", "wrong_type", "wrong_type", "wrong_type", "wrong_type", "wrong_type", "wrong_type", "conflict", "invalid"}, codes)
	require.Equal(t, wire.RunRequest{}, request)
	require.Equal(t, problems, wire.ProblemsOf(fmt.Errorf("refused: %w", problems.Err())))
}

func TestDecodeCountsWhatItDoesNotList(t *testing.T) {
	t.Parallel()
	fields := make([]string, 1000)
	for i := range fields {
		fields[i] = fmt.Sprintf(`"x%d":1`, i)
	}
	var request wire.RunRequest
	problems := wire.Decode([]byte("{"+strings.Join(fields, ",")+"}"), &request)
	require.Len(t, problems, 51)
	require.Equal(t, "there are 950 more problems", problems[50].Message)
}

func TestDecodeObject(t *testing.T) {
	t.Parallel()
	object, problems := wire.DecodeObject([]byte(` {"a":[1,2.0,-3e2,0.5,1e300,"x",null,{"b":true}],"b":{}} `))
	require.Empty(t, problems)
	require.Equal(t, map[string]any{
		"a": []any{json.Number("1"), json.Number("2"), json.Number("-300"), json.Number("0.5"), json.Number("1e300"), "x", nil, map[string]any{"b": true}},
		"b": map[string]any{},
	}, object)
	for input, want := range map[string]string{
		``:                         `there is no JSON object`,
		`{`:                        `is not JSON: unexpected end of JSON input`,
		`null`:                     `must be a JSON object, not null`,
		`[]`:                       `must be a JSON object, not a list`,
		`{"a":[{"x":1,"x":{}}]}`:   `a[0].x: is given twice (give it once)`,
		`{"a":{"b.c":1,"b.c":[]}}`: `a["b.c"]: is given twice`,
	} {
		object, problems := wire.DecodeObject([]byte(input))
		require.Nil(t, object)
		require.Len(t, problems, 1)
		require.Contains(t, problems.Error(), want)
	}
}

func TestDecodeValue(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]any{
		` "x" `: "x", `3.0`: json.Number("3"), `null`: nil, `[1,{"a":null}]`: []any{json.Number("1"), map[string]any{"a": nil}}, `true`: true,
	} {
		value, problems := wire.DecodeValue([]byte(input))
		require.Empty(t, problems, input)
		require.Equal(t, want, value, input)
	}
	for input, want := range map[string]string{
		``: `there is no JSON value`, ` `: `there is no JSON value`, `[1`: `is not JSON`, `1 2`: `is not JSON`, `[{"x":1,"x":2}]`: `[0].x: is given twice`,
	} {
		value, problems := wire.DecodeValue([]byte(input))
		require.Nil(t, value)
		require.Len(t, problems, 1)
		require.Contains(t, problems.Error(), want)
	}
}

func FuzzDecodeObject(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.0,{"b":null}],"a":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		object, problems := wire.DecodeObject(data)
		if len(problems) > 0 {
			return
		}
		encoded, err := json.Marshal(object)
		require.NoError(t, err)
		again, problems := wire.DecodeObject(encoded)
		require.Empty(t, problems)
		require.Equal(t, object, again)
	})
}

func drawRequest(t *rapid.T) wire.RunRequest {
	text := rapid.String()
	request := wire.RunRequest{
		V:        rapid.IntRange(0, 1).Draw(t, "v"),
		Job:      text.Draw(t, "job"),
		Tags:     rapid.MapOfN(text, text, 1, 3).Draw(t, "tags"),
		Priority: wire.Priority(rapid.IntRange(0, 5).Draw(t, "priority")),
		Title:    text.Draw(t, "title"),
		DryRun:   rapid.Bool().Draw(t, "dry run"),
	}
	switch key := rapid.StringMatching(`[^ ]+`); rapid.IntRange(0, 2).Draw(t, "assets") {
	case 0:
		request.Assets.Expression = key.Filter(func(s string) bool { return strings.TrimSpace(s) != "" }).Draw(t, "expression")
	case 1:
		request.Assets.Keys = rapid.SliceOfN(key, 1, 3).Draw(t, "keys")
	}
	if rapid.Bool().Draw(t, "with config") {
		request.Config = json.RawMessage(rapid.SampledFrom([]string{`{"assets":{"a":{"n":1,"s":"x"}}}`, `{}`, `[1]`}).Draw(t, "config"))
	}
	return request
}

func TestWhatEncodesDecodesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawRequest(t)
		data, err := json.Marshal(want)
		require.NoError(t, err)
		var got wire.RunRequest
		require.Empty(t, wire.Decode(data, &got), string(data))
		require.Equal(t, want, got)

		// tctl decodes and encodes again: other order, every number a float64.
		var generic map[string]any
		require.NoError(t, json.Unmarshal(data, &generic))
		data, err = json.MarshalIndent(generic, "", "\t")
		require.NoError(t, err)
		got = wire.RunRequest{}
		require.Empty(t, wire.Decode(data, &got), string(data))
		if want.Config != nil {
			require.JSONEq(t, string(want.Config), string(got.Config))
			got.Config = want.Config
		}
		require.Equal(t, want, got)
	})
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `{"v":1,"assets":"*","tags":{"a":"b"}}`, `{"assets":["a",null],"count":1e99,"at":"2001-01-31T08:00:00Z"}`,
		`{"items":[{"inner":1}],"by_name":{"x":[{}]},"config":{"a":[1,2,{"b":null}]}}`, "{\"\xff\":1}", `{"name":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got sample
		if wire.Decode(data, &got) != nil {
			return
		}
		encoded, err := json.Marshal(got)
		require.NoError(t, err)
		var again sample
		require.Empty(t, wire.Decode(encoded, &again), string(encoded))
	})
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"route_delays", "flights", "raw/flights", "Airports"}
	for name, want := range map[string]string{
		"route_dealys": "route_delays", "flihgts": "flights", "airports": "Airports", "x": "", "": "", "weather": "",
		strings.Repeat("flights", 100): "",
	} {
		require.Equal(t, want, wire.Nearest(name, known), name)
	}
	require.Equal(t, "there are none", wire.FixUnknown("x", nil))
	require.Equal(t, "known: a, b", wire.FixUnknown("weather", []string{"a", "b"}))
	many := strings.Split(strings.Repeat("a,", 24)+"a", ",")
	require.True(t, strings.HasSuffix(wire.FixUnknown("weather", many), "a and 5 more"))
}
