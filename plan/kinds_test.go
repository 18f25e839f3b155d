package plan_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestExecutorPrecedence(t *testing.T) {
	t.Parallel()
	local, process := plan.Executor{Kind: plan.ExecutorLocalActivity}, plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: 1 << 20}
	activity := plan.Executor{Kind: plan.ExecutorActivity}
	for _, test := range []struct {
		name          string
		instance      plan.Executor
		job, compute  *plan.Executor
		remote        bool
		want          *plan.Executor
		isLocal, isOf bool
	}{
		{name: "none"},
		{name: "the instance's", instance: local, want: &local, isLocal: true},
		{name: "the job's before it", instance: local, job: &process, want: &process, isOf: true},
		{name: "its own first", instance: local, job: &process, compute: &activity},
		{name: "its own is local", instance: process, job: &process, compute: &local, want: &local, isLocal: true},
		{name: "another program's is in no process of ours", instance: process, remote: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := etl()
			s.Jobs[0].Executor = test.job
			s.Computes[5].Executor, s.Computes[5].Remote = test.compute, test.remote
			got, err := planner(t, s).Plan(job("etl"), plan.Facts{Executor: test.instance})
			require.NoError(t, err)
			step, walked := stepOf(t, got, "total")
			require.Equal(t, test.want, step.Executor)
			kind := got.Walk.Kinds[walked.Kind]
			require.Equal(t, []bool{test.isLocal, test.isOf, test.remote}, []bool{kind.Local, kind.Subprocess, kind.Remote})
		})
	}
}

func TestLocalActivitiesAreTinySteps(t *testing.T) {
	t.Parallel()
	local := plan.Executor{Kind: plan.ExecutorLocalActivity}
	for want, change := range map[string]func(*plan.Compute){
		"":                                      func(c *plan.Compute) { c.Timeout = time.Second },
		`it is in the pool "db"`:                func(c *plan.Compute) { c.Pool = "db" },
		`another program computes it`:           func(c *plan.Compute) { c.Remote, c.Queue = true, "ml" },
		`it runs on the queue "gpu"`:            func(c *plan.Compute) { c.Queue = "gpu" },
		`it may take 2s, which is more than 1s`: func(c *plan.Compute) { c.Timeout = 2 * time.Second },
	} {
		s := etl()
		change(&s.Computes[5])
		_, err := planner(t, s).Plan(job("etl"), plan.Facts{Executor: local})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, `job: step "total" cannot run as a local activity: `+want+` (give it the executor activity)`)
		request := job("etl")
		request.Ops = "source"
		_, err = planner(t, s).Plan(request, plan.Facts{Executor: local})
		require.NoError(t, err, "the step is not in the run")
	}
}

func TestKindsSayHowStepsAreScheduled(t *testing.T) {
	t.Parallel()
	s := etl()
	s.Jobs[0].TagLimits = []plan.TagLimit{{Key: "db", Limit: 2}, {Key: "db", Value: "big", Limit: 1}, {Key: "host", PerValue: true, Limit: 3}}
	s.Jobs[0].OnFailure = true
	s.Jobs[0].MaxConcurrentSteps = 7
	s.Computes[0].Tags = map[string]string{"db": "small", "other": "x"}
	s.Computes[1].Tags = map[string]string{"db": "big", "host": "a"}
	s.Computes[5].Order, s.Computes[5].OnSuccess = 4, true
	s.Computes[6].Remote, s.Computes[6].Queue, s.Computes[6].Timeout = true, "ml", time.Hour
	s.Computes[4].Timeout, s.Computes[4].StallTimeout = time.Minute, time.Second
	got, err := planner(t, s).Plan(job("etl"), plan.Facts{Limits: plan.DefaultLimits()})
	require.NoError(t, err)
	require.Equal(t, s.Jobs[0].TagLimits, got.Walk.TagLimits)
	require.Equal(t, 7, got.Walk.Limits.MaxConcurrentSteps)
	for key, want := range map[string]plan.Kind{
		"source":   {Limits: []plan.KindLimit{{Limit: 0}}},
		"rules":    {Limits: []plan.KindLimit{{Limit: 0}, {Limit: 1}, {Limit: 2, Value: "a"}}},
		"total":    {Order: 4, OnSuccess: true},
		"notify":   {Remote: true, Queue: "ml", Timeout: time.Hour},
		"etl.rate": {},
	} {
		_, walked := stepOf(t, got, key)
		want.Priority, want.OnFailure = wire.PriorityNormal, true
		require.Equal(t, want, got.Walk.Kinds[walked.Kind], key)
	}
	require.Len(t, got.Walk.Kinds, 5)
	rate, _ := stepOf(t, got, "etl.rate")
	require.Equal(t, []time.Duration{time.Minute, time.Second}, []time.Duration{rate.Timeout, rate.StallTimeout})
	data, err := plan.EncodeWalk(&got.Walk)
	require.NoError(t, err)
	decoded, err := plan.DecodeWalk(data)
	require.NoError(t, err)
	require.Equal(t, got.Walk, *decoded)
}

func TestLimitsOfAJobAreChecked(t *testing.T) {
	t.Parallel()
	s := etl()
	s.Jobs[0].MaxConcurrentSteps, s.Jobs[0].Timeout = 501, -1
	s.Jobs[0].TagLimits = []plan.TagLimit{{Key: "", Limit: 1}, {Key: "db"}, {Key: "db", Value: "a b", Limit: 1}, {Key: "db", Value: "a", PerValue: true, Limit: 1}}
	_, err := planner(t, s).Plan(job("etl"), plan.Facts{})
	var told []string
	for _, problem := range wire.ProblemsOf(err) {
		require.Equal(t, "job", problem.Path)
		told = append(told, problem.Message)
	}
	require.Equal(t, []string{
		`job "etl": its max_concurrent_steps is 501 and must be 1 to 500`,
		`job "etl": its timeout is -1ns and must not be negative`,
		`job "etl": tag_limits[0].key: it is not said which tag is limited`,
		`job "etl": tag_limits[1].limit: the limit is 0`,
		`job "etl": tag_limits[2].value: the tag value "a b" is not allowed`,
		`job "etl": tag_limits[3].per_value: it is for the value "a" and for each value`,
	}, told)
}

func TestRunTimeout(t *testing.T) {
	t.Parallel()
	const instance, ofJob = time.Hour, time.Minute
	for _, test := range []struct {
		name    string
		job     time.Duration
		jobTag  string
		tag     string
		want    time.Duration
		problem string
	}{
		{name: "the instance's", want: instance},
		{name: "the job's before it", job: ofJob, want: ofJob},
		{name: "the tag before both, in seconds", job: ofJob, tag: "90", want: 90 * time.Second},
		{name: "or as a duration", job: ofJob, tag: "1h30m", want: 90 * time.Minute},
		{name: "or of the job", job: ofJob, jobTag: "5s", want: 5 * time.Second},
		{name: "the run's tag before the job's", jobTag: "5s", tag: "6s", want: 6 * time.Second},
		{name: "none", job: ofJob, tag: "0", want: 0},
		{name: "not a time", tag: "soon", problem: `tags.perdure/max_runtime: "soon" is no time that a run may take (give seconds, such as 5400, or a duration, such as 90m; 0 is no bound)`},
		{name: "negative", tag: "-5", problem: `tags.perdure/max_runtime: "-5" is no time that a run may take`},
		{name: "not a time of the job", jobTag: "soon", problem: `job: the tag perdure/max_runtime: "soon" is no time`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, request := etl(), job("etl")
			s.Jobs[0].Timeout = test.job
			if test.jobTag != "" {
				s.Jobs[0].Tags = map[string]string{plan.TagMaxRuntime: test.jobTag}
			}
			if test.tag != "" {
				request.Tags = map[string]string{plan.TagMaxRuntime: test.tag}
			}
			got, err := planner(t, s).Plan(request, plan.Facts{MaxRuntime: instance})
			if test.problem != "" {
				require.ErrorContains(t, err, test.problem)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got.Walk.Timeout)
		})
	}
}

func TestRunTagsThatPerdureReads(t *testing.T) {
	t.Parallel()
	require.Empty(t, plan.RunTagProblems("tags", map[string]string{
		plan.TagMaxRuntime: "60", plan.TagMaxRetries: "3", plan.TagRetryStrategy: "all", plan.TagRetryOnStepFailure: "false", "own": "x",
	}))
	problems := plan.RunTagProblems("tags", map[string]string{
		plan.TagMaxRetries: "-1", plan.TagRetryStrategy: "some", plan.TagRetryOnStepFailure: "yes", "perdure/other": "x",
	})
	require.EqualError(t, problems, `tags.perdure/other: tag key "perdure/other" is reserved: only Perdure sets tags that begin with perdure/ (choose another key); `+
		`tags.perdure/max_retries: tag perdure/max_retries has the value "-1" (give a number, 0 for no retries); `+
		`tags.perdure/retry_on_asset_or_op_failure: tag perdure/retry_on_asset_or_op_failure has the value "yes" (give true or false); `+
		`tags.perdure/retry_strategy: tag perdure/retry_strategy has the value "some" (give failure or all)`)
	require.NotEmpty(t, plan.TagProblems("tags", map[string]string{plan.TagMaxRetries: "3"}), "an asset has no such tags")
}
