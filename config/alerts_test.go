package config_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/config"
)

func TestAlertSinksAreRead(t *testing.T) {
	t.Parallel()
	folder := write(t, `
alerts:
  failing_ticks: 3
  sinks:
    - name: chat
      type: slack
      url_env: SLACK_URL
      on: [run_failure, schedule_failing]
      jobs: [nightly]
      tags: {Team: Ops, a.b: "1"}
    - name: mail
      type: smtp
      on: [backfill_ended]
      host: mail.example.com
      from: perdure@example.com
      to: [team@example.com]
      user: perdure
      password_env: MAIL_PASSWORD
      title: "{{.Kind}}"
`)
	want := config.Alerts{FailingTicks: 3, Sinks: []config.AlertSink{
		{
			Name: "chat", Type: "slack", URLEnv: "SLACK_URL", On: []string{"run_failure", "schedule_failing"},
			Jobs: []string{"nightly"}, Tags: map[string]string{"Team": "Ops", "a.b": "1"},
		},
		{
			Name: "mail", Type: "smtp", On: []string{"backfill_ended"}, Host: "mail.example.com", From: "perdure@example.com",
			To: []string{"team@example.com"}, User: "perdure", PasswordEnv: "MAIL_PASSWORD", Title: "{{.Kind}}",
		},
	}}
	// The secrets are not asked for: workers read the same file.
	loaded, err := config.Load(config.LoadOptions{Folder: folder, Environ: []string{}})
	require.NoError(t, err)
	require.Equal(t, want, loaded.Alerts)

	loaded, err = config.Load(config.LoadOptions{Folder: folder, Environ: []string{
		`PERDURE_ALERTS_SINKS=[{"name":"hook","type":"webhook","url":"https://example.com/x","headers":{"X-Team":"ops"},"on":["sink_failing"]}]`,
	}})
	require.NoError(t, err)
	require.Equal(t, []config.AlertSink{{
		Name: "hook", Type: "webhook", URL: "https://example.com/x", Headers: map[string]string{"X-Team": "ops"}, On: []string{"sink_failing"},
	}}, loaded.Alerts.Sinks)
}

func TestEveryProblemOfAlertSinksIsListed(t *testing.T) {
	t.Parallel()
	folder := write(t, `
alerts:
  sinks:
    - {name: a, type: webhok, url: "https://x", on: [run_failure]}
    - {name: a, type: webhook, url: here, on: [run_failed]}
    - {name: b, type: slack, url: "https://x", url_env: X, on: [run_failure], headers: {"a b": "1"}}
    - {name: c/d, type: webhook, url: "https://x", on: [], host: mail}
    - {name: e, type: smtp, on: [run_failure], from: me, to: [you], tls: none, user: u, password_env: P, url: "https://x"}
    - {name: f, type: webhook, url: "https://x", on: [run_failure], title: "{{.Kind"}
    - {name: g, type: webhook, url: "https://x", on: [run_failure], hedaers: {A: b}, jobs: nightly, tags: {a: 1}}
    - webhook
`)
	found := problems(t, config.LoadOptions{Folder: folder})
	require.Equal(t, []string{
		"alerts.sinks[0].type", "alerts.sinks[1].name", "alerts.sinks[1].on", "alerts.sinks[1].url", "alerts.sinks[2].headers", "alerts.sinks[2].url_env",
		"alerts.sinks[3].host", "alerts.sinks[3].name", "alerts.sinks[3].on", "alerts.sinks[4].from", "alerts.sinks[4].host", "alerts.sinks[4].tls",
		"alerts.sinks[4].to", "alerts.sinks[4].url", "alerts.sinks[5].title", "alerts.sinks[6].hedaers", "alerts.sinks[6].jobs", "alerts.sinks[6].tags",
		"alerts.sinks[7]",
	}, slices.Sorted(maps.Keys(found)))
	require.Equal(t, `did you mean "webhook"?`, found["alerts.sinks[0].type"].Fix)
	require.Equal(t, "did you mean headers?", found["alerts.sinks[6].hedaers"].Fix)
	require.Contains(t, found["alerts.sinks[6].hedaers"].Source, "perdure.yaml:10")

	found = problems(t, config.LoadOptions{Folder: t.TempDir(), Environ: []string{`PERDURE_ALERTS_SINKS=[{"nmae":"secret"}]`}})
	require.Contains(t, found["alerts.sinks"].Message, "[0].nmae is no configuration key (did you mean name?)")
	require.NotContains(t, found["alerts.sinks"].Message, "secret")
}
