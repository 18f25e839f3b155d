package cli_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/cmd/perdure/internal/cli"
	"github.com/perdure-io/perdure/internal/alerts"
	"github.com/perdure-io/perdure/metadata"
)

// chat is a server that keeps what it is told.
type chat struct {
	*httptest.Server
	mutex sync.Mutex
	told  []alerts.Message
}

func newChat(t *testing.T) *chat {
	t.Helper()
	c := &chat{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message alerts.Message
		content, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(content, &message)
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.told = append(c.told, message)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *chat) all() []alerts.Message {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return append([]alerts.Message(nil), c.told...)
}

// daemon runs `perdure daemon` until the test ends.
func (s *shell) daemon(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	var output bytes.Buffer
	go func() { ended <- cli.Main(ctx, s.environment([]string{"daemon"}, &output, &output)) }()
	t.Cleanup(func() {
		stop()
		require.Contains(t, []int{0, 130}, <-ended, "%s", &output)
	})
}

func sinkVariable(t *testing.T, sinks ...map[string]any) string {
	t.Helper()
	data, err := json.Marshal(sinks)
	require.NoError(t, err)
	return "PERDURE_ALERTS_SINKS=" + string(data)
}

// From the failing step to the sink: once, after the run was started again by itself.
func TestTheDaemonTellsOfAFailedRun(t *testing.T) {
	t.Parallel()
	told := newChat(t)
	s := migrated(t)
	require.Equal(t, "there are no alerts: perdure.yaml has no alerts.sinks (docs/alerts.md)\n", s.ok(t, "alert", "list"))
	s.environ = append(s.environ, sinkVariable(t, map[string]any{"name": "chat", "type": "webhook", "url_env": "CHAT_URL", "on": []string{"run_failure"}}))
	s.environ = append(s.environ, "CHAT_URL="+told.URL+"/hunter2")
	s.serve(t, "cli_alert")
	require.Equal(t, "sink chat has taken a run_failure\n", s.ok(t, "alert", "test", "chat"))
	require.True(t, told.all()[0].Test)

	s.daemon(t)
	db, err := sql.Open("postgres", s.environ[0][len("PERDURE_POSTGRES_DSN="):])
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.Eventually(t, func() bool {
		var heads int
		return db.QueryRowContext(t.Context(), "select count(*) from alert_head").Scan(&heads) == nil && heads == 1
	}, time.Minute, 20*time.Millisecond)

	require.Equal(t, 1, s.run(t.Context(), "asset", "materialize", "fails", "numbers", "--id", "cli-alert", "--tag", "perdure/max_retries=1").code)
	require.Eventually(t, func() bool { return len(told.all()) == 2 }, time.Minute, 20*time.Millisecond)
	alert := told.all()[1]
	require.Equal(t, "cli-alert~1", alert.Run.RunID)
	require.Equal(t, 2, alert.Run.Attempts)
	require.Equal(t, "fails", alert.Run.Failures[0].Step)
	require.Contains(t, alert.Run.Failures[0].Message, "no such number")
	require.Equal(t, "Run cli-alert~1 of fails, numbers failed (cli_alert)", alert.Title)
	require.Equal(t, "http://127.0.0.1:8233/namespaces/default/workflows/cli-alert~1", alert.URL)

	var listed string
	require.Eventually(t, func() bool {
		listed = s.ok(t, "alert", "list", "--status", "sent")
		return listed != "no alert matches\n"
	}, time.Minute, 20*time.Millisecond)
	require.Regexp(t, `(?m)^ +1  \S+ \S+ \([^)]+\)  run_failure  cli-alert~1  cli_alert  chat: sent$`, listed)
	page := parsed[metadata.Page[metadata.Alert]](t, s.ok(t, "alert", "list", "-o", "json"))
	require.Len(t, page.Rows, 1)
	require.Len(t, told.all(), 2)
}

func TestMutes(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	require.Equal(t, "nothing is muted\n", s.ok(t, "alert", "mutes"))
	require.Contains(t, s.ok(t, "alert", "mute", "--job", "nightly", "--until", "2h", "--why", "they know"), "mute 1: job nightly, until ")
	require.Contains(t, s.ok(t, "alert", "mute", "--sensor", "arrivals", "--until", "2099-01-01T00:00:00Z", "--why", "maintenance"),
		"mute 2: kind sensor_failing, about arrivals, until 2099-01-01")
	listed := s.ok(t, "alert", "mutes")
	require.Regexp(t, `(?m)^ +1  job nightly +\S+ \S+ \(in \d+ (min|h)\) +tester  they know$`, listed)
	require.Equal(t, "mute 1 is over\n", s.ok(t, "alert", "unmute", "1"))
	require.Equal(t, "mute 1 was over already\n", s.ok(t, "alert", "unmute", "1"))
	require.NotContains(t, s.ok(t, "alert", "mutes"), "nightly")
	require.Contains(t, s.ok(t, "alert", "mutes", "--all"), "ended by tester")
	require.Contains(t, s.fails(t, 1, "alert", "unmute", "7"), "end mute 7: ")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--until", "2h", "--why", "x"}, "say which alerts, by --job"},
		{[]string{"--all", "--job", "a", "--until", "2h", "--why", "x"}, "or --all alone"},
		{[]string{"--all", "--until", "2h"}, "--why is required"},
		{[]string{"--all", "--why", "x"}, `--until is "": write for how long`},
		{[]string{"--all", "--why", "x", "--until", "-2h"}, "--until -2h is over"},
		{[]string{"--kind", "run_failed", "--why", "x", "--until", "2h"}, `there is no kind "run_failed" (did you mean "run_failure"?`},
		{[]string{"--schedule", "a", "--about", "b", "--why", "x", "--until", "2h"}, "neither --kind nor --about"},
	} {
		require.Contains(t, s.fails(t, 2, append([]string{"alert", "mute"}, test.args...)...), test.want)
	}
}

func TestASinkThatCannotBeTriedSaysWhy(t *testing.T) {
	t.Parallel()
	told := newChat(t)
	s := newShell(t, sinkVariable(t,
		map[string]any{"name": "chat", "type": "slack", "url_env": "CHAT_URL", "on": []string{"run_failure"}},
		map[string]any{"name": "broken", "type": "webhook", "url": told.URL, "on": []string{"backfill_ended"}}))
	require.Equal(t, "Error: sink \"chat\": the environment variable CHAT_URL, which its configuration names, is not set\n", s.fails(t, 1, "alert", "test", "chat"))
	require.Contains(t, s.fails(t, 1, "alert", "test", "cht"), `no sink is called "cht" (did you mean "chat"?`)
	require.Equal(t, "sink broken has taken a backfill_ended\n", s.ok(t, "alert", "test", "broken"))
	s.environ = []string{sinkVariable(t, map[string]any{"name": "a", "type": "webhook", "url": told.URL, "on": []string{"run_failure"}, "title": "{{.Titel}}"})}
	require.Contains(t, s.fails(t, 1, "alert", "test", "a"), `the templates of sink "a" fail`)
}
