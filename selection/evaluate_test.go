package selection

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flights is the graph of the tests of meaning:
//
//	source (external) → raw/flights → joined → delays → report
//	raw/airports ─────────────────────┘  └→ mirror (external) → export
//	running → running
func flights(t *testing.T) *Index {
	t.Helper()
	index, err := NewIndex([]Node{
		{Key: "report", Group: "reports", Kinds: []string{"image"}, Parents: []string{"delays"}},
		{Key: "delays", Group: "delays", Owners: []string{"team:ops", "ann@example.com"}, Parents: []string{"joined", "joined"}},
		{Key: "joined", Group: "delays", Parents: []string{"raw/flights", "raw/airports"}, Tags: map[string]string{"tier": "gold", "pii": ""}},
		{Key: "raw/flights", Group: "raw", Kinds: []string{"table", "csv"}, Parents: []string{"source"}, Tags: map[string]string{"tier": "bronze"}},
		{Key: "raw/airports", Group: "raw", Kinds: []string{"table"}, CodeLocation: "other"},
		{Key: "source", Group: "outside", Kinds: []string{"table"}, External: true, Tags: map[string]string{"tier": "bronze"}},
		{Key: "mirror", Group: "delays", External: true, Parents: []string{"joined"}},
		{Key: "export", Group: "reports", Parents: []string{"mirror"}},
		{Key: "running", Group: "other", Parents: []string{"running"}},
	})
	require.NoError(t, err)
	return index
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	index := flights(t)
	for text, want := range map[string]string{
		`*`:                                     "delays export joined raw/airports raw/flights report running",
		`delays`:                                "delays",
		`source`:                                "source",
		`key:"source*"`:                         "",
		`raw/*`:                                 "raw/airports raw/flights",
		`key:"r*/*s"`:                           "raw/airports raw/flights",
		`key:"*r*r*"`:                           "raw/airports report",
		`key:"raw/flights*"`:                    "raw/flights",
		`key:"*"`:                               "delays export joined raw/airports raw/flights report running",
		`key:"raw\*"`:                           "?",
		`key_substring:port`:                    "export raw/airports report",
		`key_substring:nothing`:                 "",
		`group:delays`:                          "delays joined",
		`group:outside`:                         "",
		`kind:table`:                            "raw/airports raw/flights",
		`owner:"team:ops"`:                      "delays",
		`tag:tier`:                              "joined raw/flights",
		`tag:tier=bronze`:                       "raw/flights",
		`tag:tier=tin`:                          "",
		`tag:pii=""`:                            "joined",
		`code_location:other`:                   "raw/airports",
		`code_location:""`:                      "delays export joined raw/flights report running",
		`+delays`:                               "delays joined raw/airports raw/flights",
		`1+delays`:                              "delays joined",
		`delays+`:                               "delays report",
		`1+joined+1`:                            "delays joined raw/airports raw/flights",
		`+joined+`:                              "delays export joined raw/airports raw/flights report",
		`joined+2`:                              "delays export joined report",
		`source+`:                               "delays export joined raw/flights report source",
		`source+1`:                              "raw/flights source",
		`+export`:                               "export joined raw/airports raw/flights",
		`1+export`:                              "export",
		`2+export`:                              "export joined",
		`+mirror`:                               "joined mirror raw/airports raw/flights",
		`(raw/flights+1)+1`:                     "delays joined raw/flights",
		`running+`:                              "running",
		`not delays`:                            "export joined raw/airports raw/flights report running",
		`not source`:                            "delays export joined raw/airports raw/flights report running",
		`source and not delays`:                 "source",
		`not delays and source`:                 "source",
		`source+1 and not group:raw`:            "source",
		`not source and not *`:                  "",
		`not not source`:                        "source",
		`not *`:                                 "",
		`delays or raw/flights and group:raw`:   "delays raw/flights",
		`(delays or raw/flights) and group:raw`: "raw/flights",
		`not delays and group:delays`:           "joined",
		`not (delays or joined) and group:delays`: "",
		`joined+ and +report`:                     "delays joined report",
		`roots(*)`:                                "raw/airports raw/flights running",
		`sinks(*)`:                                "export report running",
		`roots(raw/flights or delays)`:            "raw/flights",
		`sinks(raw/flights or delays)`:            "delays",
		`roots(raw/airports or raw/flights)`:      "raw/airports raw/flights",
		`sinks(group:delays)`:                     "delays",
		`sinks(raw/flights+)`:                     "export report",
		`roots(source or raw/flights or export)`:  "source",
		`sinks(running)`:                          "running",
		`sinks(not *)`:                            "",
		`1+sinks(group:raw)+1`:                    "joined raw/airports raw/flights",
	} {
		parsed, err := Parse(text)
		require.NoError(t, err, text)
		keys, err := parsed.Evaluate(index)
		if want == "?" {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, strings.Join(keys, " "), text)
		require.Equal(t, keys, parsed.EvaluateLenient(index), text)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	index := flights(t)
	keys, err := Keys("report", "source", "delays", "report").Evaluate(index)
	require.NoError(t, err)
	require.Equal(t, []string{"delays", "report", "source"}, keys)
	require.Equal(t, `a or key:"x y" or key:"\*" or key:"or"`, Keys("a", "x y", "*", "or").String())

	for _, none := range []*Selection{Keys(), {}, nil} {
		keys, err = none.Evaluate(index)
		require.NoError(t, err)
		require.Empty(t, keys)
		require.Equal(t, "not *", none.String())
	}
	_, err = Keys("raw/*").Evaluate(index)
	require.ErrorContains(t, err, `there is no asset "raw/*"`)
}

func TestUnknownNamesAreAllTold(t *testing.T) {
	t.Parallel()
	index := flights(t)
	parsed, err := Parse(`(delay or airports or reports) and not group:delay and not (joyned+) or kind:tabel ` +
		`or owner:ann or tag:tear=gold or tag:colour or code_location:otter or delay or Report or group:zzzzzz`)
	require.NoError(t, err)

	_, err = parsed.Evaluate(index)
	require.Equal(t, UnknownErrors{
		{What: "asset", Name: "delay", Suggestions: []string{"delays"}},
		{What: "asset", Name: "airports", Suggestions: []string{"raw/airports"}},
		{What: "asset", Name: "reports", Suggestions: []string{"group:reports", "report"}},
		{What: "group", Name: "delay", Suggestions: []string{"delays"}},
		{What: "asset", Name: "joyned", Suggestions: []string{"joined"}},
		{What: "kind", Name: "tabel", Suggestions: []string{"csv", "image", "table"}},
		{What: "owner", Name: "ann", Suggestions: []string{"ann@example.com", "team:ops"}},
		{What: "tag", Name: "tear", Suggestions: []string{"pii", "tier"}},
		{What: "tag", Name: "colour", Suggestions: []string{"pii", "tier"}},
		{What: "code location", Name: "otter", Suggestions: []string{"other"}},
		{What: "asset", Name: "Report", Suggestions: []string{"report", "export"}},
		{What: "group", Name: "zzzzzz", Suggestions: []string{"delays", "other", "outside", "raw", "reports"}},
	}, err)
	var first *UnknownError
	require.ErrorAs(t, err, &first)
	require.Equal(t, "delay", first.Name)
	require.ErrorContains(t, err, `there is no asset "delay": did you mean "delays"?; there is no asset "airports"`)

	lenient, err := Parse(`report or nothing+ or group:nothing or tag:nothing=x`)
	require.NoError(t, err)
	require.Equal(t, []string{"report"}, lenient.EvaluateLenient(index))
}

func TestThousandsOfUnknownNamesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	wrong := make([]string, 5_000)
	for i := range wrong {
		wrong[i] = fmt.Sprintf("reports%d", i)
	}
	_, err := Keys(wrong...).Evaluate(flights(t))
	var unknown UnknownErrors
	require.ErrorAs(t, err, &unknown)
	require.Len(t, unknown, len(wrong))
	require.Equal(t, []string{"report"}, unknown[0].Suggestions)
	for i, one := range unknown[maxSearches:] { // each search would read all keys
		require.Equal(t, &UnknownError{What: "asset", Name: wrong[maxSearches+i]}, one)
	}
}

func TestUnknownErrorText(t *testing.T) {
	t.Parallel()
	for text, err := range map[string]*UnknownError{
		`there is no kind "x": check its spelling`:                     {What: "kind", Name: "x"},
		`there is no group "x": did you mean "y"?`:                     {What: "group", Name: "x", Suggestions: []string{"y"}},
		`there is no code location "x": did you mean "a", "b" or "c"?`: {What: "code location", Name: "x", Suggestions: []string{"a", "b", "c"}},
	} {
		require.EqualError(t, err, text)
	}
}

func TestNewIndexTellsAllProblems(t *testing.T) {
	t.Parallel()
	_, err := NewIndex([]Node{{Key: "a", Parents: []string{"gone", "a"}}, {Key: "b"}, {Key: "b"}, {}})
	require.EqualError(t, err, strings.Join([]string{
		`an asset has an empty key: give it one`,
		`asset "b" is there twice: keys must be unique`,
		`asset "a": its parent "gone" is not in the graph: add it, as external if it is computed elsewhere`,
	}, "\n"))
	index, err := NewIndex(nil)
	require.NoError(t, err)
	keys, err := Keys().Evaluate(index)
	require.NoError(t, err)
	require.Empty(t, keys)
}

// large is a graph of layers of 100 assets with three parents each.
func large(size int) []Node {
	random := rand.New(rand.NewPCG(1, 2))
	nodes := make([]Node, size)
	for i := range nodes {
		nodes[i] = Node{
			Key:   fmt.Sprintf("layer_%03d/asset_%05d", i/100, i),
			Group: fmt.Sprintf("group_%d", i%50),
			Tags:  map[string]string{"tier": fmt.Sprint(i % 3)},
			Kinds: []string{"table"},
		}
		if layer := i / 100; layer > 0 {
			for range 3 {
				nodes[i].Parents = append(nodes[i].Parents, nodes[(layer-1)*100+random.IntN(100)].Key)
			}
		}
	}
	return nodes
}

const largeExpression = `sinks(+(group:group_1 or tag:tier="2" or layer_05*)+) or roots(*) or 3+key:"*_09999"+ and not kind:table`

func TestTenThousandAssetsTakeLittleTime(t *testing.T) {
	t.Parallel()
	nodes := large(10_000)
	everyKey := make([]string, len(nodes))
	for i, node := range nodes {
		everyKey[i] = node.Key
	}
	index, err := NewIndex(nodes)
	require.NoError(t, err)
	expression, err := Parse(largeExpression)
	require.NoError(t, err)
	for name, one := range map[string]*Selection{"expression": expression, "keys": Keys(everyKey...)} {
		best := time.Hour // of several, for the machine may be busy
		for range 5 {
			start := time.Now()
			keys, err := one.Evaluate(index)
			best = min(best, time.Since(start))
			require.NoError(t, err)
			require.NotEmpty(t, keys)
		}
		require.Less(t, best, 50*time.Millisecond, name)
	}
	again, err := Parse(Keys(everyKey...).String())
	require.NoError(t, err)
	keys, err := again.Evaluate(index)
	require.NoError(t, err)
	require.Equal(t, everyKey, keys)
}

func BenchmarkParseKeys(b *testing.B) {
	keys := make([]string, 10_000)
	for i, node := range large(len(keys)) {
		keys[i] = node.Key
	}
	text := Keys(keys...).String()
	for b.Loop() {
		_, err := Parse(text)
		require.NoError(b, err)
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		_, err := Parse(largeExpression)
		require.NoError(b, err)
	}
}

func BenchmarkNewIndex(b *testing.B) {
	for _, size := range []int{1_000, 10_000, 100_000} {
		nodes := large(size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				_, err := NewIndex(nodes)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkEvaluate(b *testing.B) {
	expression, err := Parse(largeExpression)
	require.NoError(b, err)
	for _, size := range []int{10_000, 100_000} {
		index, err := NewIndex(large(size))
		require.NoError(b, err)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				_, err := expression.Evaluate(index)
				require.NoError(b, err)
			}
		})
	}
}
