package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// queued plans a run as its workflow does: one step in the pool "warehouse".
func queued(t *testing.T, store *metadata.Store, id string, tags map[string]string) {
	t.Helper()
	planned, err := store.PlanRun(t.Context(), metadata.NewRun{
		ID: id, FirstRunID: "first-" + id, Location: "cli_queue", Queue: "cli_queue", Walk: []byte("{}"),
		Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: "load"}},
		Plan: &plan.Plan{
			Steps: []plan.Step{{Key: "load", Type: "load"}}, Tags: tags, Priority: wire.PriorityNormal,
			Walk: plan.Walk{Steps: []plan.WalkStep{{Key: "load"}}, Kinds: []plan.Kind{{Pool: "warehouse"}}},
		},
	})
	require.NoError(t, err)
	require.Equal(t, metadata.Planned, planned.Outcome)
	_, err = store.ClaimSlots(t.Context(), metadata.SlotClaim{RunID: id, Scheduled: time.Unix(0, 1), Steps: []wire.PoolStep{{Step: "load", Pool: "warehouse"}}})
	require.NoError(t, err)
}

func TestTheQueueAndItsPoolsAreShownAndSet(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	load := definitions.Asset("load", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }), definitions.Pool("warehouse"))
	s.register(t, definitions.New("cli_queue", load))
	store, err := metadata.Open(t.Context(), s.environ[0][len("PERDURE_POSTGRES_DSN="):], metadata.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()

	require.Equal(t, "any number of runs may be in progress\n\n0 runs in progress\n\n0 runs waiting\n", s.ok(t, "queue", "show"))
	require.Equal(t, "POOL       LIMIT           COUNTS\nwarehouse  none (default)  step\n", s.ok(t, "pool", "list"))
	require.Equal(t, "the limits of the queue are set\n", s.ok(t, "queue", "set", "--max-concurrent-runs", "2", "--tag-limit", "team=*:1", "--why", "a slow day"))
	require.Equal(t, "the limits of the queue are as they were\n", s.ok(t, "queue", "set", "--max-concurrent-runs", "2"))
	require.Equal(t, "the limits of pool warehouse are set\n", s.ok(t, "pool", "set", "warehouse", "1"))
	queued(t, store, "r1", nil)
	queued(t, store, "r2", map[string]string{"team": "a"})
	queued(t, store, "r3", nil)

	shown := s.ok(t, "queue", "show")
	require.Contains(t, shown, "at most 2 runs may be in progress\nat most 1 of each value of tag team\nset by tester, ")
	require.Contains(t, shown, ": a slow day\n")
	require.Contains(t, shown, "2 runs in progress\nRUN")
	require.Contains(t, shown, "1 run waiting\nRUN")
	require.Contains(t, shown, "waits for a place: 2 of 2 runs are in progress (r1, r2)")
	require.Contains(t, shown, "waits for a slot of the pool warehouse: 1 of 1 are taken (load of run r1)")
	require.Contains(t, s.ok(t, "queue", "show", "--limit", "1"), "and 1 more: --limit shows them\n")
	queue := parsed[metadata.Queue](t, s.ok(t, "queue", "show", "-o", "json"))
	require.Equal(t, []int{2, 1, 2}, []int{queue.InProgressTotal, queue.WaitingTotal, queue.WaitingStepsTotal})
	require.Contains(t, s.ok(t, "run", "list"), "waits for a place: 2 of 2 runs are in progress (r1, r2)")
	require.Contains(t, s.ok(t, "run", "show", "r3"), "waits for a place: 2 of 2 runs are in progress (r1, r2)")
	require.Contains(t, s.ok(t, "run", "show", "r2"), "waits for a slot of the pool warehouse: 1 of 1 are taken (load of run r1)")

	pool := s.ok(t, "pool", "show", "warehouse")
	require.Contains(t, pool, "pool warehouse: limit 1, counts steps\nset by tester, ")
	require.Contains(t, pool, "1 slot taken\nPOOL")
	require.Contains(t, pool, "2 steps waiting\nPOOL")
	use := parsed[metadata.PoolUse](t, s.ok(t, "pool", "show", "warehouse", "-o", "json"))
	require.Equal(t, "r1", use.Steps[0].RunID)
	require.Equal(t, "pool warehouse: 1 slot freed: 1 step may start\n", s.ok(t, "pool", "free", "warehouse", "--run", "r1", "--why", "it is gone"))
	require.Equal(t, "the limits of pool warehouse are set: 1 step may start\n", s.ok(t, "pool", "set", "warehouse", "none"))
	require.Equal(t, "the limits of the queue are set: 1 run may begin\n", s.ok(t, "queue", "set", "--max-concurrent-runs", "-1", "--no-tag-limits"))
	events, err := store.Events(t.Context(), 0, metadata.EventFilter{Types: []metadata.EventType{
		metadata.EventQueueLimitsSet, metadata.EventPoolSet, metadata.EventPoolSlotsFreed,
	}}, 10)
	require.NoError(t, err)
	require.Len(t, events, 5)
	for _, event := range events {
		require.Contains(t, string(event.Body), `"tester"`)
	}
}

// What the configuration says holds once a daemon has started, for runs that wait already, too.
func TestADaemonAppliesTheLimitsOfItsConfiguration(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	store, err := metadata.Open(t.Context(), s.environ[0][len("PERDURE_POSTGRES_DSN="):], metadata.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	s.ok(t, "queue", "set", "--max-concurrent-runs", "0")
	queued(t, store, "r1", nil)
	queued(t, store, "r2", map[string]string{"team": "a"})
	queued(t, store, "r3", map[string]string{"team": "a"})
	s.environ = append(s.environ, "PERDURE_QUEUE_MAX_CONCURRENT_RUNS=5", "PERDURE_QUEUE_TAG_LIMITS=team=*:1", "PERDURE_QUEUE_DEFAULT_POOL_LIMIT=2")
	s.daemon(t)
	var queue metadata.Queue
	require.Eventually(t, func() bool {
		queue, err = store.Queue(t.Context(), 10)
		return err == nil && queue.Limits.SetBy == "configuration"
	}, time.Minute, 20*time.Millisecond)
	require.Equal(t, 5, queue.Limits.MaxConcurrentRuns)
	require.Equal(t, []wire.TagLimit{{Key: "team", PerValue: true, Limit: 1}}, queue.Limits.TagLimits)
	require.Equal(t, 2, queue.Limits.DefaultPoolLimit)
	require.Equal(t, 2, queue.InProgressTotal)
	require.Len(t, queue.Waiting, 1)
	require.Equal(t, "r3", queue.Waiting[0].RunID)
}

func TestLimitsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"queue", "set"}, "say what to change"},
		{[]string{"queue", "set", "--tag-limit", "heavy"}, `"heavy" is no limit of a tag: write it as heavy:1`},
		{[]string{"queue", "set", "--tag-limit", "heavy:1", "--no-tag-limits"}, "not both"},
		{[]string{"queue", "show", "--limit", "0"}, "--limit is 0"},
		{[]string{"pool", "set", "warehouse", "-1"}, "LIMIT is -1 and must be a number from 0 on, none or default"},
		{[]string{"pool", "set", "warehouse", "-12"}, "LIMIT is -12 and must be a number from 0 on, none or default"},
		{[]string{"pool", "set", "warehouse", "--", "-1"}, "LIMIT is -1 and must be a number from 0 on, none or default"},
		{[]string{"pool", "set", "warehouse", "1", "-x"}, "unknown shorthand flag: 'x' in -x"},
		{[]string{"pool", "set", "warehouse", "few"}, "LIMIT is few and must be a number from 0 on, none or default"},
		{[]string{"pool", "free", "warehouse"}, "give --run or --all"},
		{[]string{"pool", "free", "warehouse", "--all", "--step", "load"}, "--step needs --run"},
	} {
		require.Contains(t, s.fails(t, 2, test.args...), test.want, fmt.Sprint(test.args))
	}
	refused := s.fails(t, 1, "queue", "set", "--max-concurrent-runs", "-2", "--tag-limit", "a:-1", "--tag-limit", "a:2", "--pool-granularity", "op", "--default-pool-limit", "-1")
	for _, want := range []string{
		"max_concurrent_runs: -2 is no number of runs", "tag_limits[0].limit: -1 is no number of runs", "tag_limits[1].key: the tag a has two limits",
		`pool_granularity: "op" is nothing that a pool counts`, "default_pool_limit: -1 is no number of slots",
	} {
		require.Contains(t, refused, want)
	}
	require.Contains(t, s.fails(t, 1, "pool", "show", "warehuse"), `there is no pool "warehuse"`)
}

// The page about the queue says what works: its commands run, its configuration loads.
func TestThePageAboutTheQueue(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	load := definitions.Asset("load", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }), definitions.Pool("warehouse"))
	s.register(t, definitions.New("cli_queue_page", load))
	page, err := os.ReadFile("../../../../docs/queue.md")
	require.NoError(t, err)
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		switch block[1] {
		case "yaml":
			folder := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(folder, config.FileName), []byte(block[2]), 0o600))
			loaded, err := config.Load(config.LoadOptions{Folder: folder, Environ: []string{}})
			require.NoError(t, err)
			require.Equal(t, config.Queue{
				MaxConcurrentRuns: 10, TagLimits: []string{"heavy:1", "team=a:2", "team=*:3"}, PoolGranularity: "step",
			}, loaded.Queue)
		case "sh":
			for line := range strings.Lines(block[2]) {
				var args []string
				for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
					args = append(args, strings.Trim(word, "'"))
				}
				require.Equal(t, "perdure", args[0])
				s.ok(t, args[1:]...)
				commands++
			}
		default:
			require.Fail(t, "nobody tests this block", block[0])
		}
	}
	require.Equal(t, 8, commands)
}
