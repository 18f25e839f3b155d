package definitions_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

type score struct {
	Route string `json:"route"`
	Score int    `json:"score"`
}

type scoreConfig struct {
	Top int `json:"top"`
}

var (
	remoteModel  = d.External[d.Nothing]("model")
	remoteConfig = d.Config(scoreConfig{Top: 3})
	remoteScores = d.Asset("scores", d.Remote[[]score](remoteModel, remoteConfig), d.Queue("ml"))
	remoteTouch  = d.Asset("touched", d.Remote[d.Nothing](), d.Queue("ml"))
	remoteLeft   = d.Output[[]score]("left")
	remoteRight  = d.Output[d.Nothing]("right")
	remoteBoth   = d.MultiAsset("both", d.Outs{remoteLeft, remoteRight}, d.Remote[d.Outputs](d.All[[]score](remoteScores)), d.Queue("ml"))
)

func remoteRuntime(t *testing.T) (*d.Runtime, *store) {
	t.Helper()
	values := newStore()
	runtime, err := d.NewRuntime(d.New("test", remoteModel, remoteScores, remoteTouch, remoteBoth), d.Environment{Storage: keepsAll{values}})
	require.NoError(t, err)
	return runtime, values
}

func TestARemoteComputeInTheSnapshot(t *testing.T) {
	t.Parallel()
	runtime, _ := remoteRuntime(t)
	for _, compute := range runtime.Snapshot().Computes {
		require.True(t, compute.Remote, compute.Name)
		require.Equal(t, "ml", compute.Queue)
		if compute.Name == "scores" {
			require.Equal(t, []plan.Input{{Kind: plan.InputValue, Assets: []string{"model"}}}, compute.Inputs)
			require.JSONEq(t, `{"top": 3}`, string(compute.Config.Defaults))
		}
	}
}

// endRemote records what a program returned.
func endRemote(t *testing.T, runtime *d.Runtime, name, result string, failure error) (*ledger, error) {
	t.Helper()
	code, ok := runtime.RemoteCode(name, json.RawMessage(result), failure)
	require.True(t, ok)
	planned := plan.Step{Outputs: []plan.Output{{Asset: name}}}
	if name == "both" {
		planned.Outputs = []plan.Output{{Asset: "left"}, {Asset: "right"}}
	}
	return runStep(t.Context(), t, code, planned)
}

func TestAValueOfARemoteStepIsStored(t *testing.T) {
	t.Parallel()
	runtime, values := remoteRuntime(t)
	l, err := endRemote(t, runtime, "scores", `{"outputs": {"scores": {"value": [{"route": "a", "score": 1}], "data_version": "v9",
		"metadata": [{"label": "share", "type": "float", "value": 0.5}]}}}`, nil)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"scores@7": []score{{"a", 1}}}, values.values)
	require.Len(t, l.commit.Outputs, 1)
	output := l.commit.Outputs[0]
	require.Equal(t, "store:scores@7", output.Location)
	require.Equal(t, "v9", output.DataVersion)
	require.Equal(t, []wire.Metadatum{
		{Label: "share", Type: wire.MetadataFloat, Value: json.RawMessage("0.5")},
		{Label: wire.LabelRowCount, Type: wire.MetadataInt, Value: json.RawMessage("1")},
	}, output.Metadata)
}

func TestWhatARemoteStepStoredItselfIsRecorded(t *testing.T) {
	t.Parallel()
	runtime, values := remoteRuntime(t)
	l, err := endRemote(t, runtime, "both", `{"outputs": {"left": {"location": "s3://b/left"}}}`, nil)
	require.NoError(t, err)
	require.Empty(t, values.values)
	require.Equal(t, []string{"left", "right"}, l.commit.Result.Materialized)
	require.Equal(t, "s3://b/left", l.commit.Outputs[0].Location)
	l, err = endRemote(t, runtime, "touched", ` null`, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"touched"}, l.commit.Result.Materialized)
}

func TestRemoteResultsThatAreWrong(t *testing.T) {
	t.Parallel()
	runtime, values := remoteRuntime(t)
	for _, one := range []struct{ name, result, problem string }{
		{"scores", `[]`, `the result of remote asset "scores" is no RemoteResult`},
		{"scores", `{"out": {}}`, `the result of remote asset "scores" is no RemoteResult`},
		{"scores", `{}`, `did not return the required output "scores"`},
		{"scores", `{"outputs": {"scores": {}}}`, `output "scores": it has neither a "value", the JSON of a []definitions_test.score, nor the "location" of one`},
		{"scores", `{"outputs": {"scores": {"value": 1, "location": "x"}}}`, `output "scores": it has both "value" and "location"`},
		{"scores", `{"outputs": {"scores": {"value": [{"rout": "a"}]}}}`, `output "scores": its value is not the JSON of a []definitions_test.score: json: unknown field "rout"`},
		{"scores", `{"outputs": {"scores": {"value": []}, "model": {}}}`, `it gives output "model", which was not requested (requested: "scores")`},
		{"touched", `{"outputs": {"touched": {"value": 1}}}`, `output "touched": it has a "value", and its type is Nothing`},
	} {
		l, err := endRemote(t, runtime, one.name, one.result, nil)
		require.ErrorContains(t, err, one.problem)
		require.NotEmpty(t, l.failure.Error.Message, "it is the user's failure")
	}
	require.Empty(t, values.values)
}

func TestTheTypeOfARemoteValueIsChecked(t *testing.T) {
	t.Parallel()
	positive := d.OfType(d.Type[int]{Name: "positive", Check: func(n int) error {
		if n <= 0 {
			return errors.New("it is not positive")
		}
		return nil
	}})
	total := d.Asset("total", d.Remote[int](), d.Queue("ml"), positive)
	runtime, err := d.NewRuntime(d.New("test", total), d.Environment{Storage: keepsAll{newStore()}})
	require.NoError(t, err)
	_, err = endRemote(t, runtime, "total", `{"outputs": {"total": {"value": -1}}}`, nil)
	require.ErrorContains(t, err, `output "total" is no positive: it is not positive; the value is -1`)
	_, err = endRemote(t, runtime, "total", `{"outputs": {"total": {"location": "s3://b/total"}}}`, nil)
	require.NoError(t, err, "what it has stored itself is not seen")
}

func TestTheFailureOfARemoteStepIsRecorded(t *testing.T) {
	t.Parallel()
	runtime, _ := remoteRuntime(t)
	l, err := endRemote(t, runtime, "scores", "", step.RemoteFailure(&wire.RemoteError{Message: "no model", Stack: "line 7"}))
	require.ErrorContains(t, err, "no model")
	require.Equal(t, wire.ErrorInfo{Message: "no model", Stack: "line 7"}, l.failure.Error)
	_, ok := runtime.RemoteCode("model", nil, nil)
	require.False(t, ok)
}

func TestInProcessARemoteAssetIsGiven(t *testing.T) {
	t.Parallel()
	definitions := d.New("test", remoteModel, remoteScores)
	err := d.Materialize(t.Context(), definitions, d.Given(remoteModel, d.Nothing{})).Err()
	require.ErrorContains(t, err, `asset "scores" is remote: another program computes it, on queue "ml"; in process, give it with Given`)
	best := d.Asset("best", d.Bind1(func(_ d.Context, scores []score) (string, error) { return scores[0].Route, nil }, remoteScores))
	result := d.Materialize(t.Context(), d.New("test", remoteModel, remoteScores, best), d.Given(remoteScores, []score{{"a", 1}}))
	require.NoError(t, result.Err())
	route, err := best.In(result)
	require.NoError(t, err)
	require.Equal(t, "a", route)
}

func TestWrongRemotesAreFoundByValidation(t *testing.T) {
	t.Parallel()
	database := d.Resource("database", d.Bind0(func(d.Context) (int, error) { return 1, nil }), d.NoClose[int])
	err := d.New("test", database,
		d.Asset("queueless", d.Remote[int]()),
		d.Asset("resourceful", d.Remote[int](database, nil), d.Queue("ml")),
		d.Asset("executed", d.Remote[int](), d.Queue("ml"), d.ExecuteAs(d.Subprocess{})),
		d.Asset("stalling", d.Remote[int](), d.Queue("ml"), d.StallTimeout(time.Minute)),
		d.RangeAsset("ranged", d.Remote[map[string]int](), d.Queue("ml"), d.PartitionedBy(d.Daily("2001-01-01"))),
		d.GraphAsset("graph", d.Op("part", d.Remote[int](), d.Queue("ml")), d.ExecuteAs(d.Subprocess{}), d.StallTimeout(time.Minute)),
	).Validate()
	var problems d.ProblemList
	require.ErrorAs(t, err, &problems)
	var found []string
	for _, p := range problems {
		found = append(found, p.Object+" "+p.Field+": "+p.Message)
	}
	require.Equal(t, []string{
		`asset "executed" executor: it is remote, and runs in the program that computes it`,
		`asset "queueless" queue: it is remote, and has no queue for the program that computes it`,
		`asset "ranged" : it is remote, and makes many partitions in one call`,
		`asset "resourceful" inputs: Remote is given nil`,
		`asset "resourceful" inputs: Remote is given resource "database", which only this program can load`,
		`asset "stalling" stall_timeout: it is remote, and another program does not report progress to this one`,
	}, found)
}
