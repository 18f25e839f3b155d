package alerts_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/alerts"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func TestAFailedRunIsToldOnceAfterAllRetries(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	w := newWorld(t, webhook("hook", h.URL, "run_failure"))
	w.fail("before", job("nightly"), 0)
	w.run()

	w.fail("r1", job("nightly"), 1) // r1~1 follows
	w.begin("r1~1", job("nightly"))
	_, err := w.EndRun(t.Context(), metadata.RunEnd{RunID: "r1~1", FirstRunID: "r1~1", Status: wire.RunFailure, Reason: "terminated"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return w.count("select count(*) from alert_undecided where run_id = 'r1~1'") == 1 }, longEnough, often)
	require.Empty(t, h.all(), "it is not decided whether it is started again")
	_, err = w.DecideRetry(t.Context(), "r1~1", 0)
	require.NoError(t, err)

	got := h.await(t, 1)
	require.Equal(t, alerts.RunFailure, got[0].Kind)
	require.Equal(t, "r1~1", got[0].Run.RunID)
	require.Equal(t, "Run r1~1 of job nightly failed (flights)", got[0].Title)
	require.Contains(t, got[0].Text, "terminated")
	require.Contains(t, got[0].Text, "perdure run show r1~1")
	require.Equal(t, "http://ui/namespaces/default/workflows/r1~1", got[0].URL)
	require.Equal(t, got[0].Key, got[0].header.Get("Idempotency-Key"))
	w.await("r1~1", map[string]string{"hook": "sent"})
	require.Empty(t, w.about("r1"))
	require.Empty(t, w.about("before"), "what happened before alerts were configured is not told")
	require.Zero(t, w.count("select count(*) from alert_undecided"))
}

// What a schedule has asked for and was refused has no run that could fail.
func TestARefusedRunOfAScheduleIsTold(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	w := newWorld(t, webhook("hook", h.URL, "run_failure"))
	w.run()
	refused := wire.RefuseInput{
		WorkflowID: "nightly-7", FirstRunID: "f1", WorkflowType: wire.RunWorkflow, Input: "{}", Problems: wire.Problems{{Message: "nobody made raw_flights"}},
		Run: &wire.RefusedRun{
			Location: "flights", Job: "nightly", Partition: "2001-01-01", Cause: "tick-7", TriggerKind: wire.TriggerSchedule, TriggerName: "every_night",
			Reason: "it was refused: nobody made raw_flights",
		},
	}
	require.NoError(t, w.Refuse(t.Context(), refused))
	require.NoError(t, w.Refuse(t.Context(), refused))
	got := h.await(t, 1)
	require.Equal(t, alerts.RunFailure, got[0].Kind)
	require.Equal(t, "Run nightly-7 of job nightly [2001-01-01] failed (flights)", got[0].Title)
	require.True(t, strings.HasPrefix(got[0].Text, "it was refused: nobody made raw_flights\n\nStarted by schedule every_night."), got[0].Text)
	require.Equal(t, 1, w.count("select count(*) from event_log where type = 'RUN_REFUSED' and run_id = 'nightly-7' and cause = 'tick-7'"))

	// Whoever asks himself has the answer.
	refused.WorkflowID, refused.Run = "by-hand", nil
	require.NoError(t, w.Refuse(t.Context(), refused))
	w.fail("r1", job("nightly"), 0)
	w.await("r1", map[string]string{"hook": "sent"})
	require.Empty(t, w.about("by-hand"))
}

// A run that was to be started again, and was not, is told after a while; so is one that nobody decides upon.
func TestARunWhoseRetryNeverComesIsTold(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	w := newWorld(t, webhook("hook", h.URL, "run_failure"))
	w.run()
	w.fail("r1", job("nightly"), 1)
	w.fail("r2", job("nightly"), -1)
	require.Eventually(t, func() bool { return w.count("select count(*) from alert_undecided") == 2 }, longEnough, often)
	w.execute("update alert_undecided set at = at - interval '3 minutes'")
	require.Equal(t, "r2", h.await(t, 1)[0].Run.RunID)
	w.execute("update alert_undecided set at = at - interval '13 minutes'")
	require.Equal(t, "r1", h.await(t, 2)[1].Run.RunID)
	require.Eventually(t, func() bool { return w.count("select count(*) from alert_undecided") == 0 }, longEnough, often)
}

func TestSinksAreToldOfWhatTheyWant(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	sink := func(name string, change func(*config.AlertSink)) config.AlertSink {
		s := webhook(name, h.URL, "run_failure")
		change(&s)
		return s
	}
	w := newWorld(t,
		sink("all", func(*config.AlertSink) {}),
		sink("job", func(s *config.AlertSink) { s.Jobs = []string{"hourly", "nightly"} }),
		sink("tags", func(s *config.AlertSink) { s.Tags = map[string]string{"team": "ops", "tier": "1"} }),
		sink("location", func(s *config.AlertSink) { s.Locations = []string{"trains"} }),
		sink("backfills", func(s *config.AlertSink) { s.BackfillRuns = true }),
		sink("other", func(s *config.AlertSink) { s.On = []string{"sink_failing"} }),
	)
	w.run()
	w.fail("r1", job("nightly"), 0)
	w.fail("r2", tagged(map[string]string{"team": "ops", "tier": "1", "x": "y"}), 0)
	w.fail("r3", tagged(map[string]string{"team": "ops"}), 0)
	w.fail("r4", wire.RunRequest{Job: "daily", Backfill: "bf1"}, 0)
	w.await("r1", map[string]string{"all": "sent", "job": "sent", "backfills": "sent"})
	w.await("r2", map[string]string{"all": "sent", "tags": "sent", "backfills": "sent"})
	w.await("r3", map[string]string{"all": "sent", "backfills": "sent"})
	w.await("r4", map[string]string{"backfills": "sent"})
}

func TestAScheduleThatFailsIsToldOncePerEpisode(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	sink := webhook("hook", h.URL, "schedule_failing", "sensor_failing")
	sink.Recovered = true
	w := newWorld(t, sink)
	w.settings.FailingTicks = 2
	w.defineTriggers()
	w.run()
	w.tick(wire.TriggerSchedule, "nightly", "1", "no route to host")
	w.tick(wire.TriggerSensor, "arrivals", "1", "no such bucket")
	w.tick(wire.TriggerSensor, "arrivals", "2", "no such bucket, again")
	got := h.await(t, 1)
	require.Equal(t, alerts.SensorFailing, got[0].Kind, "one failed tick is none yet")
	require.Equal(t, "Sensor arrivals is failing (flights)", got[0].Title)
	require.Equal(t, "no such bucket, again", got[0].Trigger.Error)
	require.Equal(t, "http://ui/namespaces/default/workflows/sensor:flights:arrivals", got[0].URL)
	w.tick(wire.TriggerSchedule, "nightly", "2", "no route to host")
	got = h.await(t, 2)
	require.Equal(t, "Schedule nightly is failing (flights)", got[1].Title)
	require.Equal(t, "http://ui/namespaces/default/schedules/schedule:flights:nightly", got[1].URL)

	w.tick(wire.TriggerSensor, "arrivals", "3", "no such bucket")
	w.tick(wire.TriggerSensor, "arrivals", "4", "")
	got = h.await(t, 3)
	require.Equal(t, "Sensor arrivals works again (flights)", got[2].Title)
	require.True(t, got[2].Recovered)
	w.tick(wire.TriggerSensor, "arrivals", "5", "no such bucket")
	w.tick(wire.TriggerSensor, "arrivals", "6", "no such bucket")
	got = h.await(t, 4)
	require.NotEqual(t, got[0].Key, got[3].Key, "another episode")

	// One that somebody stops does not work again.
	_, _, err := w.SwitchTrigger(t.Context(), metadata.TriggerSwitch{
		TriggerID: metadata.TriggerID{Location: "flights", Kind: wire.TriggerSchedule, Name: "nightly"}, Status: wire.TriggerStopped, Who: "ann",
	})
	require.NoError(t, err)
	_, _, err = w.SwitchTrigger(t.Context(), metadata.TriggerSwitch{
		TriggerID: metadata.TriggerID{Location: "flights", Kind: wire.TriggerSchedule, Name: "nightly"}, Status: wire.TriggerRunning, Who: "ann",
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return w.count("select count(*) from alerts where kind = 'schedule_failing' and recovered_at is not null") == 1
	}, longEnough, often)
	h.await(t, 4)
}

func TestTheEndOfABackfillIsTold(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	w := newWorld(t, webhook("hook", h.URL, "backfill_ended"))
	w.backfill("before", wire.BackfillSucceeded)
	w.run()
	w.backfill("bf1", wire.BackfillFailed)
	w.backfill("bf2", wire.BackfillSucceeded)
	got := h.await(t, 2)
	require.Equal(t, "Backfill bf1 has ended: COMPLETED_FAILED (flights)", got[0].Title)
	require.Contains(t, got[0].Text, "3 of 5 partitions made, 2 failed; 3 runs succeeded, 2 failed.")
	require.Equal(t, "Backfill bf2 is done (flights)", got[1].Title)
	require.Equal(t, 5, got[1].Backfill.Targeted)
}

// A sink that fails holds up no other; it is tried again, and what it could not be told comes later; the others hear of it.
func TestASinkThatFailsIsReportedByTheOthers(t *testing.T) {
	t.Parallel()
	good, bad := newHook(t, httptest.NewServer), newHook(t, httptest.NewServer)
	w := newWorld(t, webhook("good", good.URL, "run_failure", "sink_failing"), webhook("bad", bad.URL, "run_failure", "sink_failing"))
	w.settings.Sinks[0].Recovered = true
	bad.answers(status(http.StatusServiceUnavailable))
	w.run()
	w.fail("r1", job("nightly"), 0)
	w.await("r1", map[string]string{"good": "sent", "bad": "pending"})
	for _, later := range []string{"1 minute", "10 minutes", "1 hour"} {
		before := len(bad.all())
		w.later(later)
		require.Eventually(t, func() bool { return len(bad.all()) > before }, longEnough, often)
	}
	w.await("bad", map[string]string{"good": "sent"})
	told := good.await(t, 2)[1]
	require.Equal(t, "Alerts do not reach sink bad", told.Title)
	require.GreaterOrEqual(t, told.Sink.Failures, 3)
	require.Equal(t, "it answers 503 Service Unavailable: not now", told.Sink.Error)
	require.Contains(t, w.logged.String(), `msg="a sink cannot be told of an alert" sink=bad`)
	require.NotContains(t, w.logged.String(), bad.URL)

	bad.answers(nil)
	w.later("3 hours")
	w.await("r1", map[string]string{"good": "sent", "bad": "sent"})
	require.Equal(t, "Alerts reach sink bad again", good.await(t, 3)[2].Title)
	require.Eventually(t, func() bool { return w.count("select count(*) from alert_deliveries where status = 'pending'") == 0 }, longEnough, often)

	// After a day it is given up.
	bad.answers(status(http.StatusNotFound))
	w.fail("r2", job("nightly"), 0)
	w.await("r2", map[string]string{"good": "sent", "bad": "pending"})
	w.later("30 hours")
	w.await("r2", map[string]string{"good": "sent", "bad": "failed"})
}

func TestWhatIsMutedIsListedAndNotTold(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	w := newWorld(t, webhook("hook", h.URL, "run_failure"), webhook("second", h.URL, "run_failure"))
	w.run()
	mute, err := w.MuteAlerts(t.Context(), metadata.AlertMute{Job: "nightly", Who: "ann", Why: "they know", Until: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.Equal(t, "ann", mute.Who)
	_, err = w.MuteAlerts(t.Context(), metadata.AlertMute{Job: "hourly", Sink: "second", Who: "ann", Why: "noise", Until: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	_, err = w.MuteAlerts(t.Context(), metadata.AlertMute{Job: "daily", Who: "ann", Why: "over", Until: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	mutes, err := w.AlertMutes(t.Context(), false, 10)
	require.NoError(t, err)
	require.Len(t, mutes, 2)

	for _, name := range []string{"nightly", "hourly", "daily"} {
		w.fail(name, job(name), 0)
	}
	w.await("nightly", map[string]string{"hook": "muted", "second": "muted"})
	w.await("hourly", map[string]string{"hook": "sent", "second": "muted"})
	w.await("daily", map[string]string{"hook": "sent", "second": "sent"})
	for _, alert := range w.list() {
		if alert.Subject == "nightly" {
			require.Equal(t, mute.ID, alert.Deliveries[0].Mute)
		}
	}

	ended, err := w.UnmuteAlerts(t.Context(), mute.ID, "bob")
	require.NoError(t, err)
	require.True(t, ended)
	ended, err = w.UnmuteAlerts(t.Context(), mute.ID, "bob")
	require.NoError(t, err)
	require.False(t, ended)
	_, err = w.UnmuteAlerts(t.Context(), 99, "bob")
	require.ErrorIs(t, err, metadata.ErrNotFound)
	w.fail("nightly-2", job("nightly"), 0)
	w.await("nightly-2", map[string]string{"hook": "sent", "second": "sent"})
	h.await(t, 5)
}

// Whoever takes over sends what was written down and not sent, under the same key; nothing twice that was recorded.
func TestAnotherOneGoesOnWhereOneWasKilled(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	w := newWorld(t, webhook("hook", h.URL, "run_failure"))
	stop := w.run()
	w.fail("r1", job("nightly"), 0)
	w.await("r1", map[string]string{"hook": "sent"})
	stop()

	// Killed between the writing of the rows and the sending.
	w.fail("r2", job("nightly"), 0)
	head, err := w.BeginAlerts(t.Context(), []string{"hook"})
	require.NoError(t, err)
	position, err := w.Head(t.Context())
	require.NoError(t, err)
	raised := metadata.RaisedAlerts{From: head.Position, Position: position, Alerts: []metadata.NewAlert{{
		Key: "run_failure:r2:1", Kind: "run_failure", Subject: "r2", At: time.Now(), Body: []byte(`{"kind":"run_failure","key":"run_failure:r2:1","run":{"run_id":"r2"}}`), Sinks: []string{"hook"},
	}}}
	n, err := w.RaiseAlerts(t.Context(), raised)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = w.RaiseAlerts(t.Context(), raised)
	require.ErrorIs(t, err, metadata.ErrConflict, "somebody else has read on")

	// What happens while nobody is there is told later.
	w.fail("r3", job("nightly"), 0)
	w.run()
	w.await("r2", map[string]string{"hook": "sent"})
	w.await("r3", map[string]string{"hook": "sent"})
	got := h.await(t, 3)
	require.Equal(t, "run_failure:r2:1", got[1].header.Get("Idempotency-Key"))
	keys := map[string]bool{}
	for _, one := range got {
		keys[one.Key] = true
	}
	require.Len(t, keys, 3)
}

// A process that is killed while a sink is being told tells it again when it is back: the same alert, under the same key.
func TestAProcessKilledWhileItSendsSendsAgain(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	hang := make(chan struct{})
	h.answers(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	w := newWorld(t, webhook("hook", h.URL, "run_failure"))
	process := w.process()
	w.fail("r1", job("nightly"), 0)
	h.await(t, 1)
	require.NoError(t, process.Kill())
	close(hang)
	require.Equal(t, map[string]string{"hook": "pending"}, w.about("r1"))
	w.execute("delete from leases") // as if its time were over
	w.run()
	w.await("r1", map[string]string{"hook": "sent"})
	got := h.await(t, 2)
	require.Equal(t, got[0].header.Get("Idempotency-Key"), got[1].header.Get("Idempotency-Key"))
	require.Equal(t, got[0].raw, got[1].raw)
}

func TestTwoAlertersTellOnce(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	w := newWorld(t, webhook("hook", h.URL, "run_failure"))
	stop := w.run()
	w.run()
	for _, id := range []string{"r1", "r2", "r3"} {
		w.fail(id, job("nightly"), 0)
	}
	h.await(t, 3)
	stop() // the other one takes over
	w.fail("r4", job("nightly"), 0)
	h.await(t, 4)
	w.await("r4", map[string]string{"hook": "sent"})
	require.Len(t, w.list(), 4)
}

// Alerts that were switched off for a while do not come all at once; what waits for a sink that is gone has failed.
func TestASinkThatIsGoneAndAlertsThatBeginAnew(t *testing.T) {
	t.Parallel()
	h, bad := newHook(t, httptest.NewServer), newHook(t, httptest.NewServer)
	bad.answers(status(http.StatusBadGateway))
	w := newWorld(t, webhook("bad", bad.URL, "run_failure"), webhook("hook", h.URL, "run_failure"))
	stop := w.run()
	w.fail("r1", job("nightly"), 0)
	w.await("r1", map[string]string{"hook": "sent", "bad": "pending"})
	stop()
	sinks := w.settings.Sinks
	w.settings.Sinks = nil
	stop = w.run()
	require.Eventually(t, func() bool { return w.count("select count(*) from alert_head") == 0 }, longEnough, often)
	stop()
	require.Equal(t, map[string]string{"hook": "sent", "bad": "failed"}, w.about("r1"))
	w.fail("r2", job("nightly"), 0)
	w.settings.Sinks = sinks[1:]
	w.run()
	w.fail("r3", job("nightly"), 0)
	w.await("r3", map[string]string{"hook": "sent"})
	require.Empty(t, w.about("r2"))
}

func TestOldAlertsAreForgotten(t *testing.T) {
	t.Parallel()
	h, bad := newHook(t, httptest.NewServer), newHook(t, httptest.NewServer)
	bad.answers(status(http.StatusBadGateway))
	w := newWorld(t, webhook("hook", h.URL, "run_failure", "schedule_failing"), webhook("bad", bad.URL, "run_failure"))
	w.settings.Sinks[1].Jobs = []string{"waits"}
	w.defineTriggers()
	w.run()
	w.fail("r1", job("nightly"), 0)
	w.fail("r2", job("waits"), 0)
	w.tick(wire.TriggerSchedule, "nightly", "1", "no route to host")
	w.await("r1", map[string]string{"hook": "sent"})
	w.await("r2", map[string]string{"hook": "sent", "bad": "pending"})
	w.await("nightly", map[string]string{"hook": "sent"})
	deleted, err := w.PurgeAlerts(t.Context(), time.Now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, 1, deleted, "what waits, and what still fails, stays")
	subjects := []string{}
	for _, alert := range w.list() {
		subjects = append(subjects, alert.Subject)
	}
	slices.Sort(subjects)
	require.Equal(t, []string{"nightly", "r2"}, subjects)
	require.Len(t, slices.Collect(maps.Keys(w.list())), 2)
}
