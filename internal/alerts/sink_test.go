package alerts_test

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/alerts"
)

// send sends a sample to the one sink.
func send(t *testing.T, sink config.AlertSink, environ map[string]string, kind alerts.Kind) error {
	t.Helper()
	a, err := alerts.New(alerts.Options{
		Settings: config.Alerts{Sinks: []config.AlertSink{sink}}, Deployment: "pr42",
		Lookup: func(name string) (string, bool) { value, set := environ[name]; return value, set },
	})
	require.NoError(t, err)
	return a.Test(t.Context(), sink.Name, kind)
}

func TestAWebhookIsGivenTheWholeAlert(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	sink := webhook("hook", "", "run_failure")
	sink.URLEnv, sink.Headers, sink.HeadersEnv = "HOOK_URL", map[string]string{"X-Team": "ops"}, map[string]string{"Authorization": "HOOK_TOKEN"}
	environ := map[string]string{"HOOK_URL": h.URL + "/secret-path", "HOOK_TOKEN": "Bearer hunter2"}
	require.NoError(t, send(t, sink, environ, alerts.RunFailure))
	got := h.await(t, 1)[0]
	require.Equal(t, "Test: Run nightly-7~1 of job nightly [2001-01-01] failed (flights)", got.Title)
	require.True(t, got.Test)
	require.Equal(t, "pr42", got.Deployment)
	require.Equal(t, "route_delays", got.Run.Failures[0].Step)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.Equal(t, "ops", got.header.Get("X-Team"))
	require.Equal(t, "Bearer hunter2", got.header.Get("Authorization"))

	// No error says a secret.
	h.answers(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no "+r.Header.Get("Authorization")+" for "+r.URL.Path, http.StatusForbidden)
	})
	err := send(t, sink, environ, alerts.RunFailure)
	require.ErrorContains(t, err, "403 Forbidden")
	require.NotContains(t, err.Error(), "hunter2")
	h.Close()
	err = send(t, sink, environ, alerts.RunFailure)
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), "secret-path")

	delete(environ, "HOOK_TOKEN")
	require.ErrorContains(t, send(t, sink, environ, alerts.RunFailure), "the environment variable HOOK_TOKEN, which its configuration names, is not set")
	environ["HOOK_URL"] = "not a url"
	require.ErrorContains(t, send(t, sink, environ, alerts.RunFailure), "the environment variable HOOK_URL holds no URL")
}

// Whoever follows a redirect calls with a GET, and nobody is told.
func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	h.answers(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusFound)
		}
	})
	require.NoError(t, send(t, webhook("hook", h.URL+"/new", "run_failure"), nil, alerts.RunFailure))
	require.ErrorContains(t, send(t, webhook("hook", h.URL+"/old", "run_failure"), nil, alerts.RunFailure),
		"it answers 302 Found, and redirects are not followed: give the address that it leads to")
}

func TestSlackIsGivenBlocks(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	sink := webhook("chat", h.URL, "run_failure", "sink_failing")
	sink.Type, sink.Body = "slack", "<!channel> & {{.Kind}}"
	sink.Title = strings.Repeat("ü", 200)
	require.NoError(t, send(t, sink, nil, alerts.RunFailure))
	var got struct {
		Text   string
		Blocks []struct {
			Type string
			Text struct{ Type, Text string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(h.await(t, 1)[0].raw), &got))
	require.Equal(t, strings.Repeat("ü", 200), got.Text)
	require.Len(t, got.Blocks, 2)
	require.Equal(t, "header", got.Blocks[0].Type)
	require.Equal(t, strings.Repeat("ü", 149)+"…", got.Blocks[0].Text.Text)
	require.Equal(t, "&lt;!channel&gt; &amp; run_failure", got.Blocks[1].Text.Text, "nobody is called by a step's message")
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewServer)
	for name, test := range map[string]struct {
		kind        alerts.Kind
		title, body string
		wantTitle   string
		wantText    string
	}{
		"run": {
			alerts.RunFailure, "", "", "Test: Run nightly-7~1 of job nightly [2001-01-01] failed (flights)",
			"1 of 5 steps failed, in the last of 2 runs.\n\n- route_delays: no such column: fare\n\nStarted by schedule every_night.\n\nperdure run show nightly-7~1",
		},
		"schedule": {
			alerts.ScheduleFailing, "", "", "Test: Schedule arrivals is failing (flights)",
			"3 ticks in a row have failed since TIME.\n\nconnection refused\n\nperdure schedule ticks arrivals",
		},
		"sensor": {
			alerts.SensorFailing, "", "", "Test: Sensor arrivals is failing (flights)",
			"3 ticks in a row have failed since TIME.\n\nconnection refused\n\nperdure sensor ticks arrivals",
		},
		"backfill": {
			alerts.BackfillEnded, "", "", "Test: Backfill bf1 has ended: COMPLETED_FAILED (flights)",
			"88 of 90 partitions made, 2 failed; 88 runs succeeded, 2 failed.\n\n- bf1:route_delays:2001-01-01: no such column: fare\n\nperdure backfill show bf1",
		},
		"sink": {
			alerts.SinkFailing, "", "", "Test: Alerts do not reach sink chat",
			"3 attempts in a row have failed since TIME.\n\n503 Service Unavailable\n\nperdure alert list --kind sink_failing",
		},
		"own": {alerts.RunFailure, "{{.Job}}\n broke", "{{range .Run.Failures}}{{.Step}}{{end}} {{index .Tags \"team\"}}", "nightly broke", "route_delays ops"},
	} {
		sink := webhook("hook", h.URL, string(test.kind))
		sink.Title, sink.Body = test.title, test.body
		before := len(h.all())
		require.NoError(t, send(t, sink, nil, test.kind), name)
		got := h.all()[before]
		require.Equal(t, test.wantTitle, got.Title, name)
		if got.Trigger != nil || got.Sink != nil {
			since := got.At.UTC().Format("2006-01-02 15:04:05 UTC")
			test.wantText = strings.ReplaceAll(test.wantText, "TIME", since)
		}
		require.Equal(t, test.wantText, got.Text, name)
	}
}

func TestATemplateThatFailsIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	sinks := []config.AlertSink{
		{Name: "a", Type: "webhook", URL: "https://x", On: []string{"run_failure"}, Title: "{{.Titel}}"},
		{Name: "b", Type: "webhook", URL: "https://x", On: []string{"run_failure", "backfill_ended"}, Body: "{{.Run.RunID}}"},
		{Name: "c", Type: "webhook", URL: "https://x", On: []string{"run_failure"}, Body: "{{.Run.RunID}}"},
	}
	_, err := alerts.New(alerts.Options{Settings: config.Alerts{Sinks: sinks}})
	require.ErrorContains(t, err, `the templates of sink "a" fail: of a run_failure`)
	require.ErrorContains(t, err, "Titel")
	require.ErrorContains(t, err, `the templates of sink "b" fail: of a backfill_ended`)
	require.NotContains(t, err.Error(), `sink "c"`)
}

// mailServer is a mail server that keeps what it gets.
type mailServer struct {
	mutex   sync.Mutex
	letters []string
	to      []string
	logins  []string
	refuse  bool
	port    int
	caFile  string
}

func newMailServer(t *testing.T, implicit bool) *mailServer {
	t.Helper()
	// The certificate of net/http/httptest is one for 127.0.0.1.
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(certified.Close)
	m := &mailServer{caFile: filepath.Join(t.TempDir(), "ca.pem")}
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw})
	require.NoError(t, os.WriteFile(m.caFile, content, 0o600))
	server := smtp.NewServer(m)
	server.TLSConfig = &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12}
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	var listening net.ListenConfig
	listener, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m.port = listener.Addr().(*net.TCPAddr).Port
	if implicit {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return m
}

// kept are the letters, recipients and logins.
func (m *mailServer) kept() (letters, to, logins []string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.letters), slices.Clone(m.to), slices.Clone(m.logins)
}

func (m *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) { return &mailSession{m}, nil }

type mailSession struct{ *mailServer }

func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

func (s *mailSession) Mail(string, *smtp.MailOptions) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.refuse {
		return &smtp.SMTPError{Code: 451, Message: "greylisted"}
	}
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.to = append(s.to, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.letters = append(s.letters, string(content))
	return err
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.logins = append(s.logins, user+" "+password)
		if password != "hunter2" {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (m *mailServer) sink() config.AlertSink {
	return config.AlertSink{
		Name: "mail", Type: "smtp", Host: "127.0.0.1", Port: m.port, From: "perdure@example.com", To: []string{"ann@example.com", "bob@example.com"},
		User: "perdure", PasswordEnv: "MAIL_PASSWORD", CAFile: m.caFile, On: []string{"run_failure"},
	}
}

func TestMailIsSentByTLSWithALogin(t *testing.T) {
	t.Parallel()
	environ := map[string]string{"MAIL_PASSWORD": "hunter2"}
	for _, mode := range []string{"", "implicit"} {
		m := newMailServer(t, mode == "implicit")
		sink := m.sink()
		sink.TLS, sink.Title = mode, "Größe: {{.Run.RunID}}"
		require.NoError(t, send(t, sink, environ, alerts.RunFailure), mode)
		letters, to, logins := m.kept()
		require.Equal(t, []string{"ann@example.com", "bob@example.com"}, to)
		require.Equal(t, []string{"perdure hunter2"}, logins)
		require.Len(t, letters, 1)
		letter, err := mail.ReadMessage(strings.NewReader(letters[0]))
		require.NoError(t, err)
		subject, err := new(mime.WordDecoder).DecodeHeader(letter.Header.Get("Subject"))
		require.NoError(t, err)
		require.Equal(t, "Größe: nightly-7~1", subject)
		require.Regexp(t, `^<[0-9a-f]{32}@example.com>$`, letter.Header.Get("Message-ID"))
		require.Equal(t, "auto-generated", letter.Header.Get("Auto-Submitted"))
		require.Contains(t, letters[0], "no such column: fare")
	}
}

func TestMailThatCannotBeSentSaysWhy(t *testing.T) {
	t.Parallel()
	m := newMailServer(t, false)
	environ := map[string]string{"MAIL_PASSWORD": "wrong-secret"}
	err := send(t, m.sink(), environ, alerts.RunFailure)
	require.ErrorContains(t, err, "Authentication failed")
	require.NotContains(t, err.Error(), "wrong-secret")

	environ["MAIL_PASSWORD"] = "hunter2"
	m.mutex.Lock()
	m.refuse = true
	m.mutex.Unlock()
	require.ErrorContains(t, send(t, m.sink(), environ, alerts.RunFailure), "greylisted")

	// Who does not know the certificate sends nothing, and no password.
	_, _, before := m.kept()
	stranger := m.sink()
	stranger.CAFile = ""
	require.ErrorContains(t, send(t, stranger, environ, alerts.RunFailure), "certificate")
	_, _, logins := m.kept()
	require.Equal(t, before, logins)

	missing := m.sink()
	missing.CAFile = filepath.Join(t.TempDir(), "none.pem")
	require.ErrorContains(t, send(t, missing, environ, alerts.RunFailure), "read ca_file")
}

func TestAWebhookTrustsItsCertificates(t *testing.T) {
	t.Parallel()
	h := newHook(t, httptest.NewTLSServer)
	sink := webhook("hook", h.URL, "run_failure")
	require.ErrorContains(t, send(t, sink, nil, alerts.RunFailure), "certificate")
	sink.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(sink.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}), 0o600))
	require.NoError(t, send(t, sink, nil, alerts.RunFailure))
}

// Mail goes the same way from the rows as a sample does.
func TestAFailedRunIsToldByMail(t *testing.T) {
	t.Parallel()
	m := newMailServer(t, false)
	w := newWorld(t, m.sink())
	w.environ["MAIL_PASSWORD"] = "hunter2"
	w.run()
	w.fail("r1", job("nightly"), 0)
	w.await("r1", map[string]string{"mail": "sent"})
	letters, _, _ := m.kept()
	require.Len(t, letters, 1)
	require.Contains(t, letters[0], "Subject: Run r1 of job nightly failed (flights)")
	require.NotContains(t, w.logged.String(), "hunter2")
	require.Zero(t, w.count("select count(*) from alerts where body::text like '%hunter2%'"))
}
