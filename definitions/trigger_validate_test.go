package definitions_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

func noRuns(d.Context) ([]d.RunRequest, error) { return nil, nil }

// noTick binds any one source to the function of a sensor, noRunsOf to that of a schedule.
func noTick[A any](source d.Source[A]) d.Compute[d.Tick[string]] {
	return d.Bind1(func(d.Context, A) (d.Tick[string], error) { return d.Tick[string]{}, nil }, source)
}

func noRunsOf[A any](source d.Source[A]) d.Compute[[]d.RunRequest] {
	return d.Bind1(func(d.Context, A) ([]d.RunRequest, error) { return nil, nil }, source)
}

func hears[A any](source d.Source[A]) d.Compute[d.Nothing] {
	return d.Do1(func(d.Context, A) error { return nil }, source)
}

func TestWhatIsWrongWithSchedules(t *testing.T) {
	t.Parallel()
	asset := constant("a")
	days, weeks, regions := d.Daily("2001-01-01").InZone("Europe/Berlin"), d.Weekly("2001-01-07"), d.Static("east", "west")
	sliced := func(name string, by d.Partitions) (*d.AssetOf[int], *d.Job) {
		a := constant(name, d.PartitionedBy(by))
		return a, d.AssetJob("of_"+name, d.Assets(a))
	}
	daily, ofDaily := sliced("daily", days)
	hourly, ofHourly := sliced("hourly", d.Hourly("2001-01-01"))
	weekly, ofWeekly := sliced("weekly", weeks)
	cron, ofCron := sliced("cron", d.CronPartitions("0 0 * * *", "2001-01-01"))
	static, ofStatic := sliced("static", regions)
	times, ofTimes := sliced("times", d.GridOf("a", days, "b", weeks))
	type limited struct {
		Size int `config:"required"`
	}
	limits := d.Config(limited{})
	demanding := d.Asset("demanding", d.Bind1(func(_ d.Context, c limited) (int, error) { return c.Size, nil }, limits))
	demandingDays := d.Asset("demanding_days", d.Bind1(func(_ d.Context, c limited) (int, error) { return c.Size, nil }, limits), d.PartitionedBy(days))
	ofDemandingDays := d.AssetJob("of_demanding_days", d.Assets(demandingDays))
	job, other, ofDemanding := d.AssetJob("job", d.Assets(asset)), d.AssetJob("other", d.Assets(asset)), d.AssetJob("of_demanding", d.Assets(demanding))
	config := d.Config(struct{ N int }{})
	resource := d.Resource("store", d.Bind1(func(_ d.Context, c limited) (int, error) { return c.Size, nil }, limits), d.NoClose)
	unlisted := d.Resource("unlisted", d.Bind0(one), d.NoClose)
	everyday := d.Cron{Expr: "0 6 * * *"}
	op := d.OpJob("ops", []d.AnyValue{d.Op("op", d.Bind0(one))})

	for name, test := range map[string]struct {
		schedule *d.ScheduleOf
		want     []string
	}{
		"a good one": {d.Schedule("s", job, everyday, d.AlsoAt("@hourly", "0 18 * * MON-FRI"), d.Evaluate(d.Bind0(noRuns)), d.Description("d"), d.Tags{"a": "b"},
			d.Owners{"team:x"}, d.Metadata{d.Int("n", 1)}, d.Timeout(time.Second), d.CatchUp(3), d.TickJitter(time.Minute), d.BufferOne, d.PauseOnFailure{}, d.DefaultRunning{}), nil},
		"a name":        {d.Schedule("s s", job, everyday), []string{`schedule "s s", name: "s s" is no name of a schedule; use letters`}},
		"a nil job":     {d.Schedule("s", nil, everyday), []string{`schedule "s", job: it names a job that was never declared; declare it with AssetJob or OpJob`}},
		"a job of none": {d.Schedule("s", &d.Job{}, everyday), []string{`schedule "s", job: it names a job that was never declared`}},
		"a job that is not listed": {
			d.Schedule("s", d.AssetJob("unlisted", d.Assets(asset)), everyday),
			[]string{`schedule "s", job: it needs job "unlisted" (definitions/trigger_validate_test.go:N), which is not among the definitions; add it to New("x", …)`},
		},
		"no cron":           {d.Schedule("s", job, d.Cron{}), []string{`schedule "s", cron: `}},
		"seconds":           {d.Schedule("s", job, d.Cron{Expr: "0 0 6 * * *"}), []string{`schedule "s", cron: `}},
		"an hour":           {d.Schedule("s", job, d.Cron{Expr: "0 24 * * *"}), []string{`schedule "s", cron: cron "0 24 * * *": hour is "24": it may be 0 to 23`}},
		"another cron":      {d.Schedule("s", job, everyday, d.AlsoAt("x * * * *")), []string{`schedule "s", cron: cron "x * * * *": minute is "x"`}},
		"what never is":     {d.Schedule("s", job, d.Cron{Expr: "0 0 30 2 *"}), []string{`schedule "s", cron: cron "0 0 30 2 *" never fires`}},
		"a zone":            {d.Schedule("s", job, d.Cron{Expr: "@daily", Zone: "Europe/Berlni"}), []string{`schedule "s", zone: there is no zone "Europe/Berlni"; use an IANA name`}},
		"the zone of where": {d.Schedule("s", job, d.Cron{Expr: "@daily", Zone: "Local"}), []string{`schedule "s", zone: there is no zone "Local"`}},
		"cron and zone":     {d.Schedule("s", job, d.Cron{Expr: "x", Zone: "y"}), []string{`schedule "s", cron: `, `schedule "s", zone: `}},
		"options": {
			d.Schedule("s", job, everyday, nil, d.Description("a"), d.Description("b"), d.CatchUp(0), d.Timeout(0), d.TickJitter(-1), d.Overlap("never"), d.Owners{"ann"}, d.Tags{"a b": ""}, d.Metadata{{}}),
			[]string{
				`schedule "s", catch_up: 0 of the missed ticks are to be evaluated; use at least 1, or AllMissed`,
				`schedule "s", description: the option Description is given twice`, `schedule "s", jitter: the jitter is -1ns`, `schedule "s", metadata: `, `schedule "s", options: an option is nil; leave it out`, `schedule "s", overlap: "never" is no overlap policy`,
				`schedule "s", owners: "ann" is neither`, `schedule "s", tags`, `schedule "s", timeout: the timeout is 0s`,
			},
		},
		"a jitter over the interval": {
			d.Schedule("s", job, d.Cron{Expr: "*/15 * * * *"}, d.TickJitter(15*time.Minute)),
			[]string{`schedule "s", jitter: the jitter of 15m0s is not shorter than the 15m0s from one tick to the next`},
		},
		"a jitter over the interval of two crons": {
			d.Schedule("s", job, everyday, d.AlsoAt("30 6 * * *"), d.TickJitter(time.Hour)),
			[]string{`schedule "s", jitter: the jitter of 1h0m0s is not shorter than the 30m0s from one tick to the next`},
		},
		"a function and requests": {d.Schedule("s", job, everyday, d.Evaluate(d.Bind0(noRuns)), d.Requesting(job.Request())), []string{`schedule "s", requests: it has Requesting and Evaluate`}},
		"two functions":           {d.Schedule("s", job, everyday, d.Evaluate(d.Bind0(noRuns)), d.Evaluate(d.Bind0(noRuns))), []string{`schedule "s", evaluate: the option Evaluate is given twice`}},
		"a nil function": {
			d.Schedule("s", job, everyday, d.Evaluate(d.Bind0((func(d.Context) ([]d.RunRequest, error))(nil)))),
			[]string{`schedule "s", evaluate: the bound function is nil`},
		},
		"no function": {d.Schedule("s", job, everyday, d.Evaluate(d.Compute[[]d.RunRequest]{})), []string{`schedule "s", evaluate: it has no function; make one with Bind0`}},
		"no requests": {d.Schedule("s", job, everyday, d.Requesting()), []string{`schedule "s", requests: it requests no runs`}},
		"a request of another job": {
			d.Schedule("s", job, everyday, d.Requesting(other.Request())),
			[]string{`schedule "s", runs[0] (job "other").job: job "other" is no target of schedule "s"; request a run of "job"`},
		},
		"wrong requests, all of them": {
			d.Schedule("s", job, everyday, d.Requesting(d.RunRequest{}, job.Request(d.Priority(6), d.Title(strings.Repeat("x", 201)), d.Tags{"a b": "c"}, d.RunConfig(`{"asets":{}}`)),
				job.Request(d.ForPartition("a"), d.OnlyAssets(d.Assets(daily)), d.RunKey(""), nil, d.ForPartitions()), job.Request(d.OnlyAssets(d.Select("((")), d.Configure(config, struct{ N int }{1}), d.Tags{}, d.Tags{}))),
			[]string{
				`schedule "s", runs[0] (no job).job: it asks for a run of no job; make it with the Request of a job`,
				`schedule "s", runs[1] (job "job").config.asets: unknown field "asets"`, `schedule "s", runs[1] (job "job").priority: priority 6`,
				`schedule "s", runs[1] (job "job").tags["a b"]: `, `schedule "s", runs[1] (job "job").title: has 201 characters`,
				`schedule "s", runs[2] (job "job", partition "a"): it is given a nil option`, `schedule "s", runs[2] (job "job", partition "a").assets: asset "daily" is not one of job "job"`,
				`schedule "s", runs[2] (job "job", partition "a").partitions: ForPartitions is given no keys`,
				`schedule "s", runs[2] (job "job", partition "a").run_key: the run key is empty`,
				`schedule "s", runs[3] (job "job").assets: `, `schedule "s", runs[3] (job "job").config: nothing here binds the config`, `schedule "s", runs[3] (job "job").tags: the option Tags is given twice`,
			},
		},
		"narrowed ops": {d.Schedule("s", op, everyday, d.Requesting(op.Request(d.OnlyAssets(d.Assets(asset)), d.StaleOnly{}))), []string{
			`schedule "s", runs[0] (job "ops").assets: OnlyAssets narrows a job of ops`, `schedule "s", runs[0] (job "ops").only: job "ops" makes no assets`,
		}},
		"a partitioned job":        {d.Schedule("s", ofDaily, everyday), []string{`schedule "s", job: job "of_daily" is partitioned, and nothing says which partitions a tick is for; use PartitionedSchedule, or Evaluate`}},
		"a request of a partition": {d.Schedule("s", job, everyday, d.Requesting(job.Request(d.ForPartition("x")))), []string{`schedule "s", runs[0] (job "job", partition "x").partition: asset "a" is not partitioned`}},
		"two kinds of partitions":  {d.Schedule("s", ofDaily, everyday, d.Requesting(ofDaily.Request(d.ForPartition("x"), d.ForAllPartitions{}))), []string{`schedule "s", runs[0] (job "of_daily", partition "x").all_partitions: "partition" and "all_partitions" are given`}},
		"config that is missing":   {d.Schedule("s", ofDemanding, everyday), []string{`schedule "s", runs[0] (job "of_demanding").config.assets.demanding.size: "size" is required and has no default`}},
		"an asset":                 {d.Schedule("s", job, everyday, d.Evaluate(noRunsOf(asset))), []string{`schedule "s", evaluate: it binds asset "a" (definitions/validate_test.go:N), and only a step loads values; bind ScheduledTime, TheTick and resources`}},
		"config":                   {d.Schedule("s", job, everyday, d.Evaluate(noRunsOf(config))), []string{`schedule "s", evaluate: it binds config "struct { N int }" (definitions/trigger_validate_test.go:N), and only a run has config`}},
		"a partition":              {d.Schedule("s", job, everyday, d.Evaluate(noRunsOf(days.Key()))), []string{`schedule "s", evaluate: it binds the Key of the partitions "daily from 2001-01-01 in Europe/Berlin", which only a step's function can`}},
		"a hook's source":          {d.Schedule("s", job, everyday, d.Evaluate(noRunsOf(d.TheFailure))), []string{`schedule "s", evaluate: it binds TheFailure, which only a step's function can`}},
		"a sensor's source":        {d.Schedule("s", job, everyday, d.Evaluate(noRunsOf(d.Events[string]()))), []string{`schedule "s", evaluate: it binds Events[string], which it does not know`}},
		"a view of an asset":       {d.Schedule("s", job, everyday, d.Evaluate(noRunsOf(d.View(d.All(asset), func(n []int) int { return len(n) })))), []string{`schedule "s", evaluate: it binds asset "a"`}},
		"a nil source":             {d.Schedule("s", job, everyday, d.Evaluate(noRunsOf[int](nil))), []string{`schedule "s", evaluate: a parameter is bound to nil`}},
		"a resource that wants config": {
			d.Schedule("s", job, everyday, d.Evaluate(noRunsOf(resource))),
			[]string{`schedule "s", evaluate: it binds resource "store" (definitions/trigger_validate_test.go:N), whose config has required fields`},
		},
		"a resource that is given config": {d.Schedule("s", job, everyday, d.Evaluate(noRunsOf(resource)), d.Configure(limits, limited{Size: 3})), nil},
		"config, all wrong": {
			d.Schedule("s", job, everyday, d.Evaluate(noRunsOf(resource)), d.Configure(limits, limited{3}), d.Configure(limits, limited{4}), d.Configure(config, struct{ N int }{1}), d.Configure[int](nil, 1)),
			[]string{
				`schedule "s", config: Configure names a config handle that was never declared`, `schedule "s", config: no resource that its function binds takes the config struct { N int }`,
				`schedule "s", config: resource "store" is configured twice`,
			},
		},
		"config without a function":     {d.Schedule("s", job, everyday, d.Configure(limits, limited{3})), []string{`schedule "s", config: it has Configure, and no function that binds a resource`}},
		"a resource that is not listed": {d.Schedule("s", job, everyday, d.Evaluate(noRunsOf(unlisted))), []string{`schedule "s", resources: it needs resource "unlisted"`}},

		"over days":                 {d.PartitionedSchedule("s", ofDaily, d.AtHour(3), d.AtMinute(15), d.AllMissed, d.BufferAll, d.TickJitter(time.Hour), d.Description("x"), d.DefaultRunning{}), nil},
		"over hours":                {d.PartitionedSchedule("s", ofHourly, d.AtMinute(15)), nil},
		"over weeks":                {d.PartitionedSchedule("s", ofWeekly, d.OnWeekday(time.Monday)), nil},
		"over keys":                 {d.PartitionedSchedule("s", ofStatic, everyday), nil},
		"over nothing":              {d.PartitionedSchedule("s", job), []string{`schedule "s", job: its job is not partitioned; use Schedule`}},
		"over keys, never":          {d.PartitionedSchedule("s", ofStatic), []string{`schedule "s", cron: its job's partitions are no windows of time, and it is not said when it is due; give a Cron`}},
		"over keys, at an hour":     {d.PartitionedSchedule("s", ofStatic, everyday, d.AtHour(3)), []string{`schedule "s", cron: AtMinute, AtHour, OnWeekday and OnDay are for windows of time`}},
		"over keys, a bad cron":     {d.PartitionedSchedule("s", ofStatic, d.Cron{Expr: "x", Zone: "y"}), []string{`schedule "s", cron: `, `schedule "s", zone: there is no zone "y"`}},
		"over days, with a cron":    {d.PartitionedSchedule("s", ofDaily, everyday), []string{`schedule "s", cron: it has a Cron, and its job's partitions say when it is due`}},
		"over days, an hour":        {d.PartitionedSchedule("s", ofDaily, d.AtHour(24)), []string{`schedule "s", hour: hour 24 is out of range`}},
		"over days, twice":          {d.PartitionedSchedule("s", ofDaily, d.AtHour(2), d.AtHour(3), nil), []string{`schedule "s", hour: the option AtHour is given twice`, `schedule "s", options: an option is nil`}},
		"over days, on a day":       {d.PartitionedSchedule("s", ofDaily, d.OnWeekday(0), d.OnDay(1)), []string{`schedule "s", day: it has OnDay, and its job's windows are daily`, `schedule "s", day: it has OnWeekday and OnDay`, `schedule "s", weekday: it has OnWeekday, and its job's windows are daily`}},
		"over hours, an hour":       {d.PartitionedSchedule("s", ofHourly, d.AtHour(0)), []string{`schedule "s", hour: it has AtHour, and a window begins in every hour`}},
		"over a cron, an hour":      {d.PartitionedSchedule("s", ofCron, d.AtHour(0)), []string{`schedule "s", cron: AtMinute, AtHour, OnWeekday and OnDay are for hourly, daily, weekly and monthly windows`}},
		"over two times":            {d.PartitionedSchedule("s", ofTimes), []string{`schedule "s", job: its job has two dimensions of time, and no one last partition; use Schedule with Evaluate`}},
		"over days, without config": {d.PartitionedSchedule("s", ofDemandingDays), []string{`schedule "s", config.assets.demanding_days.size: "size" is required and has no default`}},
		"over hours, a jitter":      {d.PartitionedSchedule("s", ofHourly, d.TickJitter(time.Hour)), []string{`schedule "s", jitter: the jitter of 1h0m0s`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, d.New("x", asset, daily, hourly, weekly, cron, static, times, demanding, demandingDays, ofDemandingDays, resource, job, other, ofDaily, ofHourly, ofWeekly, ofCron, ofStatic, ofTimes, ofDemanding, op, test.schedule))
			requireProblems(t, test.want, got)
		})
	}
}

// requireProblems compares problems without the places of their objects, by how they begin.
func requireProblems(t *testing.T, want, got []string) {
	t.Helper()
	require.Len(t, got, len(want), "%s", strings.Join(got, "\n"))
	for i := range want {
		object, rest, _ := strings.Cut(got[i], " (definitions/")
		_, rest, _ = strings.Cut(rest, ")")
		require.Truef(t, strings.HasPrefix(object+rest, want[i]), "got  %s\nwant %s", object+rest, want[i])
	}
}

func TestWhatIsWrongWithSensors(t *testing.T) {
	t.Parallel()
	asset, outside := constant("a"), constant("outside")
	job := d.AssetJob("job", d.Assets(asset))
	unlisted := d.AssetJob("unlisted", d.Assets(asset))
	jobs := []*d.Job{job}
	watched := []d.AnyAsset{asset}
	var undeclared *d.AssetOf[int]
	config := d.Config(struct{ N int }{})
	type secret struct{ Key d.Secret }
	type endless struct{ Next []endless }
	type hidden struct{ n int }
	_ = hidden{}.n
	type events struct {
		Raw   json.RawMessage
		Any   any
		Times []time.Time
		Names map[string]*string
	}

	for name, test := range map[string]struct {
		sensor d.Definition
		want   []string
	}{
		"a good one": {d.Sensor("s", jobs, noTick(d.Events[events]()), d.Every(time.Second), d.MinInterval(time.Second), d.Timeout(time.Second), d.Description("d"),
			d.Tags{"a": "b"}, d.Owners{"team:x"}, d.Metadata{d.Int("n", 1)}, d.DefaultRunning{}), nil},
		"a good one of assets": {d.AssetSensor("s", watched, jobs, noTick(d.NewMaterializations), d.MinInterval(time.Second), d.Timeout(time.Second), d.Description("d"),
			d.Tags{"a": "b"}, d.Owners{"team:x"}, d.Metadata{d.Int("n", 1)}, d.DefaultRunning{}), nil},
		"a good one of runs": {d.RunStatusSensor("s", []d.RunStatus{d.RunStarted, d.RunCanceled}, hears(d.TheRun), d.Monitor(job), d.MonitorLocations("other"), d.Targets(job), d.MinInterval(time.Second), d.Timeout(time.Second), d.Description("d"),
			d.Tags{"a": "b"}, d.Owners{"team:x"}, d.Metadata{d.Int("n", 1)}, d.DefaultRunning{}), nil},
		"one that only acts": {d.Sensor("s", nil, noTick(d.CursorOf[string]()), d.OnlyActs{}), nil},
		"a name":             {d.Sensor("", jobs, noTick(d.TheTick)), []string{`sensor "", name: "" is no name of a sensor`}},
		"no target":          {d.Sensor("s", nil, noTick(d.TheTick)), []string{`sensor "s", targets: it has no targets, and may request no runs; list the jobs that it may request runs of, or say OnlyActs`}},
		"no target, assets":  {d.AssetSensor("s", watched, nil, noTick(d.TheTick)), []string{`sensor "s", targets: it has no targets`}},
		"targets for nothing": {
			d.Sensor("s", jobs, noTick(d.TheTick), d.OnlyActs{}), []string{`sensor "s", targets: it has targets, and OnlyActs`},
		},
		"targets": {
			d.Sensor("s", []*d.Job{job, nil, unlisted}, noTick(d.TheTick)),
			[]string{`sensor "s", targets: it names a job that was never declared`, `sensor "s", targets: it needs job "unlisted"`},
		},
		"intervals": {
			d.Sensor("s", jobs, noTick(d.TheTick), d.Every(0), d.MinInterval(-time.Second), d.Timeout(-1), nil),
			[]string{`sensor "s", every: the interval is 0s`, `sensor "s", min_interval: the interval is -1s`, `sensor "s", options: an option is nil`, `sensor "s", timeout: the timeout is -1ns`},
		},
		"options twice": {
			d.Sensor("s", jobs, noTick(d.TheTick), d.Every(1), d.Every(2), d.MinInterval(1), d.MinInterval(1), d.Timeout(1), d.Timeout(1)),
			[]string{`sensor "s", every: the option Every is given twice`, `sensor "s", min_interval: the option MinInterval`, `sensor "s", timeout: the option Timeout`},
		},
		"a nil function":           {d.Sensor("s", jobs, d.Compute[d.Tick[int]]{}), []string{`sensor "s", function: it has no function`}},
		"an asset":                 {d.Sensor("s", jobs, noTick(asset)), []string{`sensor "s", function: it binds asset "a" (definitions/validate_test.go:N), and only a step loads values; bind Events, CursorOf, TheTick and resources`}},
		"config":                   {d.Sensor("s", jobs, noTick(config)), []string{`sensor "s", function: it binds config "struct { N int }"`}},
		"a time":                   {d.Sensor("s", jobs, noTick(d.ScheduledTime)), []string{`sensor "s", function: it binds ScheduledTime, which it does not know`}},
		"what is requested":        {d.Sensor("s", jobs, noTick(d.Requested)), []string{`sensor "s", function: it binds Requested, which only a step's function can`}},
		"materializations":         {d.Sensor("s", jobs, noTick(d.NewMaterializations)), []string{`sensor "s", function: it binds NewMaterializations, which it does not know`}},
		"a run":                    {d.AssetSensor("s", watched, jobs, noTick(d.TheRun)), []string{`sensor "s", function: it binds TheRun, which it does not know; bind NewMaterializations, CursorOf, TheTick and resources`}},
		"events of runs":           {d.RunFailureSensor("s", hears(d.Events[string]())), []string{`sensor "s", function: it binds Events[string], which it does not know; bind TheRun, TheTick and resources`}},
		"a cursor of another type": {d.Sensor("s", jobs, noTick(d.CursorOf[int]())), []string{`sensor "s", cursor: it binds CursorOf[int], and its Tick has a cursor of string; give both the same type`}},
		"a cursor of runs":         {d.RunFailureSensor("s", hears(d.CursorOf[int]())), []string{`sensor "s", cursor: it binds CursorOf[int], and its Tick has a cursor of Nothing`, `sensor "s", function: it binds CursorOf[int], which it does not know`}},
		"a cursor that is no JSON": {
			d.Sensor("s", jobs, d.Bind0(func(d.Context) (d.Tick[map[string]chan int], error) { return d.Tick[map[string]chan int]{}, nil })),
			[]string{`sensor "s", cursor: its cursor is a map[string]chan int, and JSON has no chan int`},
		},
		"a cursor that JSON leaves out": {
			d.Sensor("s", jobs, d.Bind0(func(d.Context) (d.Tick[[]hidden], error) { return d.Tick[[]hidden]{}, nil })),
			[]string{`sensor "s", cursor: its cursor is a []definitions_test.hidden, and definitions_test.hidden has no exported field`},
		},
		"a cursor with keys": {
			d.Sensor("s", jobs, d.Bind0(func(d.Context) (d.Tick[map[bool]int], error) { return d.Tick[map[bool]int]{}, nil })),
			[]string{`sensor "s", cursor: its cursor is a map[bool]int, and JSON has no keys of type bool`},
		},
		"a cursor that holds itself":  {d.Sensor("s", jobs, d.Bind0(func(d.Context) (d.Tick[*endless], error) { return d.Tick[*endless]{}, nil })), nil},
		"a cursor that is a time":     {d.Sensor("s", jobs, d.Bind0(func(d.Context) (d.Tick[time.Time], error) { return d.Tick[time.Time]{}, nil })), nil},
		"events with a secret":        {d.Sensor("s", jobs, noTick(d.Events[secret]())), []string{`sensor "s", events.key: an event holds a secret, and events are recorded`}},
		"events that hold themselves": {d.Sensor("s", jobs, noTick(d.Events[endless]())), []string{`sensor "s", events.next[]: definitions_test.endless contains itself`}},
		"events that are no JSON":     {d.Sensor("s", jobs, noTick(d.Events[chan int]())), []string{`sensor "s", events: an event cannot hold a chan int; use bool`}},
		"events of two types": {
			d.Sensor("s", jobs, d.Bind2(func(d.Context, []d.Event[int], []d.Event[string]) (d.Tick[int], error) { return d.Tick[int]{}, nil }, d.Events[int](), d.Events[string]())),
			[]string{`sensor "s", events: it binds events of int and of string`},
		},
		"no assets":   {d.AssetSensor("s", nil, jobs, noTick(d.TheTick)), []string{`sensor "s", assets: it watches no assets`}},
		"assets":      {d.AssetSensor("s", []d.AnyAsset{undeclared, outside, nil}, jobs, noTick(d.TheTick), nil), []string{`sensor "s", assets: it needs asset "outside"`, `sensor "s", assets: it watches an asset handle that was never declared`, `sensor "s", options: an option is nil`}},
		"all of one":  {d.AssetSensor("s", []d.AnyAsset{asset, asset}, jobs, noTick(d.TheTick), d.WhenAll{}), []string{`sensor "s", all: it has WhenAll, and watches one asset`}},
		"no statuses": {d.RunStatusSensor("s", nil, hears(d.TheRun), nil), []string{`sensor "s", options: an option is nil`, `sensor "s", statuses: it watches no statuses`}},
		"statuses":    {d.RunStatusSensor("s", []d.RunStatus{"NOT_STARTED", "DONE"}, hears(d.TheRun)), []string{`sensor "s", statuses: "DONE" is no status`, `sensor "s", statuses: "NOT_STARTED" is no status`}},
		"monitored": {d.RunFailureSensor("s", hears(d.TheRun), d.Monitor(), d.Monitor(unlisted, nil), d.MonitorLocations(), d.MonitorLocations("a b")), []string{
			`sensor "s", monitored_jobs: Monitor is given no jobs`, `sensor "s", monitored_jobs: it names a job`, `sensor "s", monitored_jobs: it needs job "unlisted"`,
			`sensor "s", monitored_locations: "a b" is no name of a location`, `sensor "s", monitored_locations: MonitorLocations is given no names`,
		}},
		"all and some":       {d.RunFailureSensor("s", hears(d.TheRun), d.Monitor(job), d.MonitorAll{}), []string{`sensor "s", all_locations: it has MonitorAll beside jobs or locations`}},
		"targets of runs":    {d.RunFailureSensor("s", hears(d.TheRun), d.Targets(unlisted)), []string{`sensor "s", targets: it needs job "unlisted"`}},
		"a name of another":  {d.Schedule("t", job, d.Cron{Expr: "@daily"}), []string{`sensor "t", name: schedule "t" (definitions/trigger_validate_test.go:N) has the same name; rename one of the two: schedules and sensors share one space of names`}},
		"one declared twice": {d.Sensor("t", jobs, noTick(d.TheTick)), []string{`sensor "t", name: it is declared twice, at definitions/trigger_validate_test.go:N and at definitions/trigger_validate_test.go:N`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireProblems(t, test.want, problemsOf(t, d.New("x", asset, job, d.Sensor("t", jobs, noTick(d.TheTick)), test.sensor)))
		})
	}
}

func TestWhatATickKnowsIsForItsFunction(t *testing.T) {
	t.Parallel()
	last := d.Asset("a", d.Bind1(func(_ d.Context, at time.Time) (int, error) { return at.Day(), nil }, d.ScheduledTime),
		d.OnFailure(hears(d.TheRun)))
	resource := d.Resource("r", d.Bind1(func(d.Context, d.TickInfo) (int, error) { return 1, nil }, d.TheTick), d.NoClose)
	op := d.Op("op", d.Bind1(func(_ d.Context, events []d.Event[string]) (int, error) { return len(events), nil }, d.Events[string]()))
	requireProblems(t, []string{
		`asset "a", inputs: it binds ScheduledTime, which is for schedules and sensors; bind it in the function of a schedule or sensor`,
		`asset "a", on_failure: the hook (definitions/trigger_validate_test.go:N) binds TheRun, which is for schedules and sensors`,
		`op "op", inputs: it binds Events[string], which is for schedules and sensors`,
		`resource "r", inputs: it binds TheTick, which is for schedules and sensors`,
	}, problemsOf(t, d.New("x", last, resource, d.OpJob("job", []d.AnyValue{op}))))
	var nothing *d.SensorOf[int]
	var never *d.ScheduleOf
	require.Empty(t, nothing.Name()+never.Name()+(&d.ScheduleOf{}).Name())
	require.Len(t, problemsOf(t, d.New("x", nothing, never, &d.SensorOf[string]{})), 1)
}
