package definitions_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func hashOf(t *testing.T, definitions *d.Definitions) string {
	t.Helper()
	snapshot, err := definitions.Snapshot()
	require.NoError(t, err)
	hash, err := snapshot.Hash()
	require.NoError(t, err)
	return hash
}

func TestSnapshotDoesNotDependOnTheOrderOfDeclarations(t *testing.T) {
	t.Parallel()
	list := []d.Definition{Warehouse, Tables, Flights, Airports, RouteDelays, Split, Report, DelayJob}
	want := hashOf(t, Location)
	for range 20 {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		require.Equal(t, want, hashOf(t, d.New("flights", list...)))
	}
	require.Equal(t, want, hashOf(t, d.Merge("flights", d.New("a", list[:5]...), d.New("b", list[3:]...))), "what two parts share is there once")

	unordered := func(kinds d.Kinds, owners d.Owners, tags d.Tags, after ...d.Orderable) string {
		return hashOf(t, d.New("x", a1, a2, d.Asset("b", d.Bind0(one), kinds, owners, tags, d.After(after...))))
	}
	require.Equal(t,
		unordered(d.Kinds{"x", "y"}, d.Owners{"team:a", "team:b"}, d.Tags{"k": "v", "l": "w"}, a1, a2),
		unordered(d.Kinds{"y", "x"}, d.Owners{"team:b", "team:a"}, d.Tags{"l": "w", "k": "v"}, a2, a1, a2))
}

var a1, a2 = constant("a1"), constant("a2")

func TestSnapshotCarriesEveryOption(t *testing.T) {
	t.Parallel()
	a := d.External[float64]("raw/a")
	b := d.Asset("b", d.Bind1(func(d.Context, float64) (int, error) { return 0, nil }, a),
		d.Group("g"), d.Description("text"), d.Owners{"team:z", "ann@example.com"}, d.Tags{"k": "v"}, d.Kinds{"x"}, d.CodeVersion("3"),
		d.Metadata{d.AssetRef("from", a)}, d.Queue("gpu"), d.Pool("api"), d.Timeout(time.Minute),
		d.Retries{Max: 2, Delay: time.Second, Backoff: d.Linear, Jitter: d.PlusMinusJitter})
	job := d.AssetJob("j", d.Select(" b  or raw/a "), d.Description("all"), d.Tags{"x": "y"}, d.Priority(2), d.Retries{Max: 1}, d.RunConfig(` {} `))
	snapshot, err := d.New("x", a, b, job).Snapshot()
	require.NoError(t, err)
	for i := range snapshot.Assets {
		require.Regexp(t, `^definitions/snapshot_test\.go:\d+$`, snapshot.Assets[i].At)
		snapshot.Assets[i].At = ""
	}
	snapshot.Computes[0].At, snapshot.Jobs[0].At = "", ""
	shape, err := plan.ShapeOf(&plan.Compute{Inputs: []plan.Input{{Kind: plan.InputValue, Assets: []string{"raw/a"}}}, Outputs: []string{"b"}}, nil, nil)
	require.NoError(t, err)
	require.Equal(t, &plan.Snapshot{
		V: plan.SnapshotVersion, Location: "x",
		Assets: []plan.Asset{
			{
				Key: "b", Group: "g", Description: "text", Owners: []string{"ann@example.com", "team:z"}, Tags: map[string]string{"k": "v"}, Kinds: []string{"x"},
				CodeVersion: "3", Metadata: []wire.Metadatum{{Label: "from", Type: wire.MetadataAsset, Value: json.RawMessage(`"raw/a"`)}}, Compute: "b", Type: "int",
			},
			{Key: "raw/a", Group: "default", Type: "float64"},
		},
		Computes: []plan.Compute{{
			Name: "b", Outputs: []string{"b"}, Inputs: []plan.Input{{Kind: plan.InputValue, Assets: []string{"raw/a"}}}, Queue: "gpu", Pool: "api",
			Retries: &plan.Retries{Max: 2, Delay: time.Second, Backoff: plan.BackoffLinear, Jitter: plan.JitterPlusMinus}, Timeout: time.Minute, Shape: shape, Tags: map[string]string{"k": "v"},
		}},
		Jobs: []plan.Job{{
			Name: "j", Description: "all", Selection: wire.AssetSelection{Expression: "b or raw/a"}, Config: json.RawMessage(`{}`), Tags: map[string]string{"x": "y"},
			Retries: &plan.Retries{Max: 1}, Priority: 2,
		}},
	}, snapshot)
}

func TestSelections(t *testing.T) {
	t.Parallel()
	a, b, c := constant("a"), constant("or"), constant("raw/c")
	for want, selection := range map[string]d.Selection{
		`a or key:"or"`:      d.Assets(a, b, a),
		`(a or raw/c)+`:      d.Assets(a, c).Downstream(),
		`+a`:                 d.Assets(a).Upstream(),
		`+(group:x or a)`:    d.Select("group:x").Or(d.Assets(a)).Upstream(),
		`(a or b) and not c`: d.Select("a or b").Except(d.Select("c")),
		`a and (b or c)`:     d.Select("a").And(d.Select("b or c")),
		`a and`:              d.Select("a and"),
	} {
		require.Equal(t, want, selection.String())
	}
}

// TestTwoBuildsInDifferentDirectoriesAgree builds one program in two modules and compares what they print.
func TestTwoBuildsInDifferentDirectoriesAgree(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	const program = `package main

import (
	"fmt"

	"github.com/perdure-io/perdure/definitions"
)

var A = definitions.Asset("a", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }))

func main() {
	snapshot, err := definitions.New("x", A).Snapshot()
	if err != nil {
		panic(err)
	}
	hash, _ := snapshot.Hash()
	fmt.Println(snapshot.Assets[0].At, hash)
}
`
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	gosum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	printed := map[string]bool{}
	for _, folder := range []string{"here", "somewhere/else"} {
		module := filepath.Join(t.TempDir(), folder)
		require.NoError(t, os.MkdirAll(filepath.Join(module, "cmd/worker"), 0o750))
		header := fmt.Sprintf("module example.com/flights\n\nrequire github.com/perdure-io/perdure v0.0.0\n\nreplace github.com/perdure-io/perdure => %s\n", root)
		_, rest, _ := strings.Cut(string(gomod), "\n")
		require.NoError(t, os.WriteFile(filepath.Join(module, "go.mod"), []byte(header+rest), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(module, "go.sum"), gosum, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(module, "cmd/worker/main.go"), []byte(program), 0o600))
		run := exec.CommandContext(t.Context(), "go", "run", "-mod=mod", "./cmd/worker")
		run.Dir = module
		out, err := run.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Regexp(t, `^worker/main\.go:9 [0-9a-f]{64}\n$`, string(out))
		printed[string(out)] = true
	}
	require.Len(t, printed, 1)
}
