package alerts_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/alerts"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// processVariable makes a process of this program an alerter: it holds a processSpec.
const processVariable = "PERDURE_TEST_ALERTER"

type processSpec struct {
	DSN      string
	Settings config.Alerts
}

func TestMain(m *testing.M) {
	if text := os.Getenv(processVariable); text != "" {
		if err := serve(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	testenv.Main(m)
}

// serve is an alerter until it is killed.
func serve(text string) error {
	var spec processSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	store, err := metadata.Open(context.Background(), spec.DSN, metadata.Options{MaxOpenConnections: 4})
	if err != nil {
		return err
	}
	a, err := alerts.New(alerts.Options{Store: store, Settings: spec.Settings, Lookup: os.LookupEnv, Log: slog.Default()})
	if err != nil {
		return err
	}
	return a.Run(context.Background())
}

const (
	longEnough = time.Minute
	often      = 20 * time.Millisecond
)

// world is an instance with sinks.
type world struct {
	*testing.T
	*metadata.Store
	dsn      string
	settings config.Alerts
	environ  map[string]string
	logged   *lockedText
}

func newWorld(t *testing.T, sinks ...config.AlertSink) *world {
	t.Helper()
	dsn := testenv.Prepared(t, metadata.Migrate)
	store, err := metadata.Open(t.Context(), dsn, metadata.Options{MaxOpenConnections: 4})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return &world{
		T: t, Store: store, dsn: dsn, settings: config.Alerts{FailingTicks: 1, Sinks: sinks}, environ: map[string]string{}, logged: &lockedText{},
	}
}

func (w *world) alerter() *alerts.Alerter {
	w.Helper()
	a, err := alerts.New(alerts.Options{
		Store: w.Store, Settings: w.settings, Deployment: "default",
		Temporal: config.Temporal{UIAddress: "http://ui", Namespace: "default"},
		Lookup:   func(name string) (string, bool) { value, set := w.environ[name]; return value, set },
		Log:      slog.New(slog.NewTextHandler(w.logged, nil)),
	})
	require.NoError(w, err)
	return a
}

// run lets an alerter work; the returned function stops it, as the end of the test does. It has begun: what happens from now on
// is told.
func (w *world) run() (stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	a := w.alerter()
	go func() { ended <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w, <-ended)
	})
	w.Cleanup(stop)
	if len(w.settings.Sinks) > 0 {
		require.Eventually(w, func() bool { return w.count("select count(*) from alert_head") == 1 }, longEnough, often)
	}
	return stop
}

// process is an alerter in a process of its own, which has begun.
func (w *world) process() *os.Process {
	w.Helper()
	spec, err := json.Marshal(processSpec{w.dsn, w.settings})
	require.NoError(w, err)
	command := exec.CommandContext(w.Context(), os.Args[0])
	command.Env = append(os.Environ(), processVariable+"="+string(spec))
	command.Stderr = w.logged
	require.NoError(w, command.Start())
	w.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	require.Eventually(w, func() bool { return w.count("select count(*) from alert_head") == 1 }, longEnough, often)
	return command.Process
}

func (w *world) execute(statement string, arguments ...any) {
	w.Helper()
	db, err := sql.Open("postgres", w.dsn)
	require.NoError(w, err)
	defer func() { require.NoError(w, db.Close()) }()
	_, err = db.ExecContext(w.Context(), statement, arguments...)
	require.NoError(w, err)
}

func (w *world) count(query string, arguments ...any) (n int) {
	w.Helper()
	db, err := sql.Open("postgres", w.dsn)
	require.NoError(w, err)
	defer func() { require.NoError(w, db.Close()) }()
	require.NoError(w, db.QueryRowContext(w.Context(), query, arguments...).Scan(&n))
	return n
}

// later moves Postgres' clock.
func (w *world) later(by string) {
	w.Helper()
	w.execute(`create or replace function clock_v1() returns timestamptz language sql volatile as $$ select clock_timestamp() + interval '` + by + `' $$`)
}

// begin is a run that has begun.
func (w *world) begin(id string, request wire.RunRequest) {
	w.Helper()
	_, err := w.NoteRun(w.Context(), metadata.NotedRun{ID: id, FirstRunID: id, Location: "flights", Queue: "flights", Request: &request, Reason: "it waits"})
	require.NoError(w, err)
}

// fail is a run that has failed; maxRetries are those that it is given, -1 leaves that open.
func (w *world) fail(id string, request wire.RunRequest, maxRetries int) {
	w.Helper()
	w.begin(id, request)
	_, err := w.EndRun(w.Context(), metadata.RunEnd{RunID: id, FirstRunID: id, Status: wire.RunFailure, Reason: "no such column: fare"})
	require.NoError(w, err)
	if maxRetries >= 0 {
		_, err = w.DecideRetry(w.Context(), id, maxRetries)
		require.NoError(w, err)
	}
}

// tick is a tick of a schedule or sensor that ends so.
func (w *world) tick(kind wire.TriggerKind, name, key string, failure string) {
	w.Helper()
	id := metadata.TriggerID{Location: "flights", Kind: kind, Name: name}
	tick, err := w.BeginTick(w.Context(), metadata.NewTick{TriggerID: id, Key: key, Cause: key})
	require.NoError(w, err)
	end := metadata.TickEnd{ID: tick.ID, Status: wire.TickSkipped}
	if failure != "" {
		end.Status, end.Error = wire.TickFailure, &wire.TickError{Message: failure}
	}
	_, err = w.EndTick(w.Context(), end)
	require.NoError(w, err)
}

func (w *world) defineTriggers() {
	w.Helper()
	_, err := w.SyncTriggers(w.Context(), "flights", []metadata.DefinedTrigger{
		{Kind: wire.TriggerSchedule, Name: "nightly", Definition: json.RawMessage(`{}`), Declared: wire.TriggerRunning},
		{Kind: wire.TriggerSensor, Name: "arrivals", Definition: json.RawMessage(`{}`), Declared: wire.TriggerRunning},
	})
	require.NoError(w, err)
}

func (w *world) backfill(id string, status wire.BackfillStatus) {
	w.Helper()
	_, err := w.BeginBackfill(w.Context(), metadata.NewBackfill{
		ID: id, FirstRunID: id, Location: "flights", Queue: "flights", MaxConcurrentRuns: 1, AsOf: time.Now(),
		Request: wire.BackfillRequest{Assets: wire.AssetSelection{Expression: "*"}}, Target: map[string]json.RawMessage{},
		Progress: metadata.BackfillCounts{Assets: []wire.BackfillAsset{{Asset: "a", Targeted: 5, Materialized: 3, Failed: 2}}, Runs: wire.BackfillRuns{Succeeded: 3, Failed: 2}},
	})
	require.NoError(w, err)
	require.NoError(w, w.EndBackfill(w.Context(), wire.EndBackfillInput{BackfillID: id, FirstRunID: id, Status: status}))
}

// list are the alerts by key.
func (w *world) list() map[string]metadata.Alert {
	w.Helper()
	page, err := w.Alerts(w.Context(), metadata.AlertFilter{}, "", 1000)
	require.NoError(w, err)
	found := map[string]metadata.Alert{}
	for _, alert := range page.Rows {
		found[alert.Key] = alert
	}
	return found
}

// about are the statuses of the deliveries of the one alert about something, by sink.
func (w *world) about(subject string) map[string]string {
	w.Helper()
	page, err := w.Alerts(w.Context(), metadata.AlertFilter{Subject: subject}, "", 1000)
	require.NoError(w, err)
	found := map[string]string{}
	for _, alert := range page.Rows {
		for _, one := range alert.Deliveries {
			found[one.Sink] = one.Status
		}
	}
	return found
}

func (w *world) await(subject string, statuses map[string]string) {
	w.Helper()
	require.Eventually(w, func() bool { return maps.Equal(statuses, w.about(subject)) }, longEnough, often, "alerts about %s are not %v", subject, statuses)
}

// received is a request that a hook got.
type received struct {
	alerts.Alert
	Title, Text string
	header      http.Header
	raw         string
}

// hook is a server that webhooks are sent to.
type hook struct {
	*httptest.Server
	mutex   sync.Mutex
	got     []received
	answer  func(http.ResponseWriter, *http.Request)
	started chan struct{}
}

func newHook(t *testing.T, start func(http.Handler) *httptest.Server) *hook {
	t.Helper()
	h := &hook{started: make(chan struct{}, 1000)}
	h.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		one := received{header: r.Header, raw: string(body)}
		_ = json.Unmarshal(body, &one)
		h.mutex.Lock()
		h.got = append(h.got, one)
		answer := h.answer
		h.mutex.Unlock()
		h.started <- struct{}{}
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) answers(answer func(http.ResponseWriter, *http.Request)) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.answer = answer
}

func (h *hook) all() []received {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return append([]received(nil), h.got...)
}

func (h *hook) await(t *testing.T, n int) []received {
	t.Helper()
	require.Eventually(t, func() bool { return len(h.all()) >= n }, longEnough, often)
	require.Len(t, h.all(), n)
	return h.all()
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not now", code) }
}

func webhook(name, url string, on ...string) config.AlertSink {
	return config.AlertSink{Name: name, Type: "webhook", URL: url, On: on}
}

type lockedText struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

func job(name string) wire.RunRequest { return wire.RunRequest{Job: name} }

func tagged(tags map[string]string) wire.RunRequest {
	return wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}, Tags: tags}
}
