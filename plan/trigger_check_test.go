package plan_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// withJobs is the location of partitions with jobs over it.
func withJobs() *plan.Snapshot {
	s := daily()
	for _, job := range [][2]string{{"days", "flights or delays"}, {"all", "flights+"}, {"none", "airports"}, {"two", "bands or flights"}, {"bad", "zebra"}} {
		s.Jobs = append(s.Jobs, plan.Job{Name: job[0], Selection: wire.AssetSelection{Expression: job[1]}})
	}
	return s
}

func TestARequestOfATriggerIsCheckedWithoutFacts(t *testing.T) {
	t.Parallel()
	p := planner(t, withJobs())
	some := wire.AssetSelection{Keys: []string{"delays"}}
	for name, test := range map[string]struct {
		request wire.RunRequest
		want    []string
	}{
		"a partition, whether it exists or not": {wire.RunRequest{Job: "days", Partition: "nonsense"}, nil},
		"what follows from the root":            {wire.RunRequest{Job: "all", Range: &wire.PartitionRange{Start: "a", End: "b"}}, nil},
		"no partitions":                         {wire.RunRequest{Job: "none"}, nil},
		"some of its assets":                    {wire.RunRequest{Job: "days", Assets: some, Partition: "x", Only: wire.OnlyStale}, nil},
		"assets of another job":                 {wire.RunRequest{Job: "none", Assets: some}, []string{"assets"}},
		"no job":                                {wire.RunRequest{Job: "nights"}, []string{"job"}},
		"a job that cannot be planned":          {wire.RunRequest{Job: "bad"}, []string{"job"}},
		"a partition of nothing":                {wire.RunRequest{Job: "none", Partition: "x"}, []string{"partition"}},
		"partitions that are not named":         {wire.RunRequest{Job: "days"}, []string{"partition"}},
		"partitions twice":                      {wire.RunRequest{Job: "days", Partition: "x", AllPartitions: true}, []string{"all_partitions"}},
		"two roots":                             {wire.RunRequest{Job: "two", Partition: "x"}, []string{"partition"}},
		"all at once": {
			wire.RunRequest{Job: "days", Tags: map[string]string{"a b": ""}, Title: strings.Repeat("x", 201), Priority: 6, Config: []byte(`{"assets":{"zebra":{}}}`)},
			[]string{`tags["a b"]`, "title", "priority", "partition", "config.assets.zebra"},
		},
	} {
		var paths []string
		for _, problem := range p.CheckRequest(test.request) {
			require.NotEmpty(t, problem.Message)
			paths = append(paths, problem.Path)
		}
		require.Equal(t, test.want, paths, name)
	}
}

func TestTheAssetsOfAJobThatATriggerAsksForArePlannedAsTheJobIs(t *testing.T) {
	t.Parallel()
	s := withJobs()
	s.Jobs[0].Tags = map[string]string{"team": "a"}
	request := wire.RunRequest{Job: "days", Assets: wire.AssetSelection{Keys: []string{"delays"}}, Partition: "2001-01-05"}
	_, err := planner(t, s).Plan(request, dailyFacts())
	require.ErrorContains(t, err, "both assets and a job are given")
	request.Trigger = &wire.RunTrigger{Kind: wire.TriggerSensor, Name: "arrivals"}
	planned, err := planner(t, s).Plan(request, dailyFacts())
	require.NoError(t, err)
	require.Equal(t, []string{"delays"}, stepKeys(planned))
	require.Equal(t, "days", planned.Walk.Job)
	require.Equal(t, "a", planned.Tags["team"])
}

func TestThePartitionsOfAJobAreThoseOfItsRoots(t *testing.T) {
	t.Parallel()
	s := withJobs()
	p := planner(t, s)
	for name, want := range map[string]partition.Kind{"days": partition.KindTime, "all": partition.KindTime, "none": "", "two": "", "bad": "", "nights": ""} {
		set := p.JobPartitions(name)
		if want == "" {
			require.Nil(t, set, name)
			continue
		}
		require.Equal(t, want, set.Kind(), name)
		require.Equal(t, partition.Daily, set.Time.Every, name)
	}
}

func TestARunOfSomeAssetsOfAJobIsExecutedAgain(t *testing.T) {
	t.Parallel()
	for name, asked := range map[string]wire.RunRequest{
		"of a trigger": {Trigger: &wire.RunTrigger{Kind: wire.TriggerSensor, Name: "arrivals"}}, "of a backfill": {Backfill: "b"},
	} {
		asked.Job, asked.Assets, asked.Partition = "days", wire.AssetSelection{Keys: []string{"delays"}}, "2001-01-05"
		failed := func(request wire.RunRequest) *plan.ParentRun {
			parent := parentOf(request, map[string]string{"delays": "F"})
			parent.Steps[0].Compute, parent.Steps[0].Assets, parent.Steps[0].Partition = "delays", []string{"delays"}, asked.Partition
			return parent
		}
		facts := dailyFacts()
		facts.RunID, facts.Parent = "r2", failed(asked)
		planned, err := planner(t, withJobs()).Plan(retry(wire.RetryAll, ""), facts)
		require.NoError(t, err, name)
		require.Equal(t, []string{"delays"}, stepKeys(planned), name)
		require.Equal(t, "days", planned.Walk.Job, name)

		facts.RunID, facts.Parent = "r3", failed(planned.Request)
		_, err = planner(t, withJobs()).Plan(retry(wire.RetryAll, ""), facts)
		require.NoError(t, err, "and again")
	}
}
