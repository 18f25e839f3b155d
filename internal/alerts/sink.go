package alerts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/config"
)

// sink is where alerts go.
type sink struct {
	config.AlertSink
	templates templates
	// send tells it. secrets are what no error may say.
	send    func(ctx context.Context, said Message) error
	secrets []string
}

// newSink makes a sink. What is missing of its environment is the error of each attempt: alerts then say so elsewhere, and all
// else that a daemon does goes on.
func newSink(settings config.AlertSink, lookup func(string) (string, bool)) (*sink, error) {
	parsed, err := newTemplates(settings)
	if err != nil {
		return nil, fmt.Errorf("alerts.sinks: the templates of sink %q fail: %w", settings.Name, err)
	}
	s := &sink{AlertSink: settings, templates: parsed}
	secret := func(variable string) (string, error) {
		value, _ := lookup(variable)
		if value == "" {
			return "", fmt.Errorf("the environment variable %s, which its configuration names, is not set", variable)
		}
		s.secrets = append(s.secrets, value)
		return value, nil
	}
	switch settings.Type {
	case "smtp":
		err = s.mail(secret)
	default:
		err = s.hook(secret)
	}
	if err != nil {
		s.send = func(context.Context, Message) error { return err }
	}
	return s, nil
}

// tell renders and sends an alert. Its error says no secret.
func (s *sink) tell(ctx context.Context, alert Alert) error {
	said, err := s.templates.render(alert)
	if err == nil {
		err = s.send(ctx, said)
	}
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "xxxxx")
	}
	return errors.New(cut(text, maxError))
}

const maxError = 1000

// cut shortens a text to so many bytes at most.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-3], "") + "..."
}

// wants says whether the sink is to be told of an alert.
func (s *sink) wants(alert Alert) bool {
	switch {
	case !slices.Contains(s.On, string(alert.Kind)), alert.Recovered && !s.Recovered:
		return false
	case alert.Kind == SinkFailing:
		return alert.Sink.Name != s.Name
	case alert.Run != nil && alert.Run.Backfill != "" && !s.BackfillRuns:
		return false
	}
	for name, value := range s.Tags {
		if got, has := alert.Tags[name]; !has || got != value {
			return false
		}
	}
	return (len(s.Jobs) == 0 || slices.Contains(s.Jobs, alert.Job)) && (len(s.Locations) == 0 || slices.Contains(s.Locations, alert.Location))
}

// tlsConfig trusts who vouches for the server: those of ca_file, or the system's.
func (s *sink) tlsConfig(server string) (*tls.Config, error) {
	settings := &tls.Config{ServerName: server, MinVersion: tls.VersionTLS12}
	if s.CAFile == "" {
		return settings, nil
	}
	content, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	settings.RootCAs = x509.NewCertPool()
	if !settings.RootCAs.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("ca_file %s holds no certificate in PEM", s.CAFile)
	}
	return settings, nil
}
