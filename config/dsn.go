package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/lib/pq"
)

// redacted stands for a secret.
const redacted = "xxxxx"

// Secret is a text that is never printed: every way of formatting it yields a placeholder.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns a placeholder, or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from printing the secret.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// MarshalText keeps JSON and YAML from printing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps slog from printing the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// DSN is a PostgreSQL address, a URL or a key=value string. Every way of formatting it hides its passwords;
// Config.PostgresDSN returns what to connect with.
type DSN string

// String is Redacted.
func (d DSN) String() string { return d.Redacted() }

// GoString keeps %#v from printing the password.
func (d DSN) GoString() string { return fmt.Sprintf("%q", d.Redacted()) }

// MarshalText keeps JSON and YAML from printing the password.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.Redacted()), nil }

// LogValue keeps slog from printing the password.
func (d DSN) LogValue() slog.Value { return slog.StringValue(d.Redacted()) }

// Redacted shows where the DSN leads, as a URL with a placeholder for the password. It is made of what lib/pq has read,
// and only of parts that hold no secret. What cannot be read, or was read otherwise than its author meant, is hidden as a
// whole: nobody knows where its password lies.
func (d DSN) Redacted() string {
	if d == "" {
		return ""
	}
	settings, err := pq.NewConfig(string(d))
	if err != nil || d.isMisread() {
		return redacted
	}
	query := url.Values{}
	for name, value := range map[string]string{"sslmode": string(settings.SSLMode), "search_path": settings.Runtime["search_path"]} {
		if value != "" {
			query.Set(name, value)
		}
	}
	shown := url.URL{
		Scheme: "postgres", User: url.User(settings.User), Path: "/" + settings.Database,
		Host: net.JoinHostPort(settings.Host, strconv.Itoa(int(settings.Port))),
	}
	if settings.Password != "" {
		shown.User = url.UserPassword(settings.User, redacted)
	}
	if strings.HasPrefix(settings.Host, "/") { // a socket's folder
		shown.Host = ""
		query.Set("host", settings.Host)
	}
	shown.RawQuery = query.Encode()
	return shown.String()
}

// isMisread says that a URL has its @ behind the host: a password with an unescaped / ? or # ends the host early.
func (d DSN) isMisread() bool {
	if !d.isURL() {
		return false
	}
	parsed, err := url.Parse(string(d))
	return err != nil || parsed.Fragment != "" || strings.Contains(parsed.EscapedPath()+parsed.RawQuery, "@")
}

func (d DSN) isURL() bool {
	return strings.HasPrefix(string(d), "postgres://") || strings.HasPrefix(string(d), "postgresql://")
}

// settings parses the DSN with lib/pq. The error never quotes it: a password with an unescaped @ or space ends up in
// the parser's message.
func (d DSN) settings() (pq.Config, error) {
	settings, err := pq.NewConfig(string(d))
	if err != nil || d.isMisread() {
		return pq.Config{}, errors.New("is neither a URL, postgres://user:password@host:5432/database, nor a key=value string " +
			"that the PostgreSQL driver can read (in a URL, write @ : / # ? and % of a password as %40 %3A %2F %23 %3F %25; " +
			"in a key=value string, put a password in single quotes)")
	}
	return settings, nil
}

// with adds settings, in the DSN's own notation, to a DSN that can be read.
func (d DSN) with(added [][2]string) string {
	parsed, err := url.Parse(string(d))
	if !d.isURL() || err != nil {
		parts := []string{string(d)}
		for _, setting := range added {
			parts = append(parts, setting[0]+"="+setting[1]) // the last one of a name counts
		}
		return strings.Join(parts, " ")
	}
	query := parsed.Query()
	for _, setting := range added {
		query.Set(setting[0], setting[1])
	}
	parsed.RawQuery = query.Encode()
	return parsed.String()
}

// connectTimeout, in seconds, bounds a connection attempt when the DSN has no bound of its own: without one, lib/pq waits
// for ever on a server that accepts and does not answer.
const connectTimeout = "10"

// PostgresDSN returns what to connect with: the DSN with its password, in one round trip a statement
// (binary_parameters), with the schema as the only one on the search path, and with a connect_timeout (10 s when the DSN
// has none). It fails when no DSN is configured.
func (c Config) PostgresDSN() (string, error) {
	if c.Postgres.DSN == "" {
		return "", asError([]Problem{{
			Key: "postgres.dsn", Message: "is not set",
			Fix: "set PERDURE_POSTGRES_DSN=postgres://user:password@host:5432/database, or use `perdure dev`, which brings a PostgreSQL",
		}})
	}
	settings, err := c.Postgres.DSN.settings()
	if err != nil {
		return "", asError([]Problem{{Key: "postgres.dsn", Message: err.Error()}})
	}
	added := [][2]string{{"binary_parameters", "yes"}, {"search_path", c.Postgres.Schema}}
	if settings.ConnectTimeout == 0 {
		added = append(added, [2]string{"connect_timeout", connectTimeout})
	}
	return c.Postgres.DSN.with(added), nil
}

// Redacted is a copy that holds no secret: the DSN's passwords and Temporal's API key are placeholders.
func (c Config) Redacted() Config {
	c.Postgres.DSN = DSN(c.Postgres.DSN.Redacted())
	c.Temporal.APIKey = Secret(c.Temporal.APIKey.String())
	return c
}
