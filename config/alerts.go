package config

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"text/template"
)

// AlertSink is where alerts go: somebody's chat, mailbox or service. Secrets are named by environment variables, which only
// the process that sends alerts needs to have.
type AlertSink struct {
	// Name is the sink's, in `perdure alert list`: 1 to 100 letters, digits and . _ ~ | -.
	Name string `mapstructure:"name"`
	// Type is webhook (a JSON object by POST), slack (what Slack's incoming webhooks take) or smtp.
	Type string `mapstructure:"type"`
	// On are what it is told of: run_failure, schedule_failing, sensor_failing, backfill_ended, sink_failing.
	On []string `mapstructure:"on"`

	// URL is where a webhook is, or URLEnv the environment variable that holds it: who knows the URL of a Slack webhook may
	// write there.
	URL    string `mapstructure:"url"`
	URLEnv string `mapstructure:"url_env"`
	// Headers are sent along with a webhook; HeadersEnv are those whose values are secret, with the variable that holds each.
	Headers    map[string]string `mapstructure:"headers"`
	HeadersEnv map[string]string `mapstructure:"headers_env"`

	// Host and Port are the mail server's; Port 0 is 587, with tls: implicit 465.
	Host string `mapstructure:"host"`
	Port int    `mapstructure:"port"`
	// From is the sender's address, To are the recipients'.
	From string   `mapstructure:"from"`
	To   []string `mapstructure:"to"`
	// User logs in at the mail server, with the password that the variable PasswordEnv holds; without it nobody does.
	User        string `mapstructure:"user"`
	PasswordEnv string `mapstructure:"password_env"`
	// TLS is starttls (the default), implicit, or none, which takes no password.
	TLS string `mapstructure:"tls"`
	// CAFile is the path of the certificates that vouch for the server (PEM), relative to the file's folder. Empty trusts the
	// system's.
	CAFile string `mapstructure:"ca_file"`

	// Jobs, Locations and Tags keep alerts of these jobs and locations, and with all of these tags; empty keeps all. An alert
	// about a sink has none of them and is always kept.
	Jobs      []string          `mapstructure:"jobs"`
	Locations []string          `mapstructure:"locations"`
	Tags      map[string]string `mapstructure:"tags"`
	// BackfillRuns tells also of failed runs of backfills. Without it their backfill's end says how many there are.
	BackfillRuns bool `mapstructure:"backfill_runs"`
	// Recovered tells also when a schedule, sensor or sink works again.
	Recovered bool `mapstructure:"recovered"`

	// Title and Body are Go templates over the alert; empty is the default. docs/alerts.md says what they are given.
	Title string `mapstructure:"title"`
	Body  string `mapstructure:"body"`
}

// What a sink can be, and be told of.
var (
	alertTypes  = []string{"webhook", "slack", "smtp"}
	alertKinds  = []string{"run_failure", "schedule_failing", "sensor_failing", "backfill_ended", "sink_failing"}
	alertTLS    = []string{"", "starttls", "implicit", "none"}
	headerName  = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`)
	mailAddress = regexp.MustCompile(`^[^\s@<>]+@[^\s@<>]+$`)
)

func (a Alerts) check(k *checker) {
	k.atLeast(a.FailingTicks, 1, "alerts.failing_ticks")
	for i, sink := range a.Sinks {
		at := fmt.Sprintf("alerts.sinks[%d]", i)
		sink.check(k, at)
		k.check(!slices.ContainsFunc(a.Sinks[:i], func(other AlertSink) bool { return other.Name == sink.Name }), at+".name",
			fmt.Sprintf("is %q, as that of another sink", sink.Name), "give each sink a name of its own")
	}
}

func (s AlertSink) check(k *checker, at string) {
	k.check(queueName.MatchString(s.Name), at+".name", fmt.Sprintf("is %q, and a sink's name is 1 to 100 letters, digits and . _ ~ | -", s.Name), "")
	k.oneOf(s.Type, at+".type", alertTypes...)
	k.check(len(s.On) > 0, at+".on", "is empty", "say what the sink is told of")
	for _, kind := range s.On {
		k.oneOf(kind, at+".on", alertKinds...)
	}
	for name, text := range map[string]string{"title": s.Title, "body": s.Body} {
		_, err := template.New(name).Parse(text)
		k.check(err == nil, at+"."+name, fmt.Sprintf("is no Go template: %v", err), "")
	}
	if s.Type == "smtp" {
		s.checkMail(k, at)
		return
	}
	k.check(s.URL == "" || s.URLEnv == "", at+".url_env", "stands beside url", "keep one of them")
	parsed, err := url.Parse(s.URL)
	k.check(s.URLEnv != "" || err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != "", at+".url",
		"is no URL", "write it as https://host/path, or name the variable that holds it with url_env")
	for _, header := range slices.Sorted(maps.Keys(s.Headers)) {
		k.check(headerName.MatchString(header), at+".headers", fmt.Sprintf("has %q, which is no header's name", header), "")
	}
	for _, header := range slices.Sorted(maps.Keys(s.HeadersEnv)) {
		k.check(headerName.MatchString(header), at+".headers_env", fmt.Sprintf("has %q, which is no header's name", header), "")
	}
	k.check(s.Host == "" && s.Port == 0 && s.From == "" && len(s.To) == 0 && s.User == "" && s.PasswordEnv == "" && s.TLS == "", at+".host",
		"or another setting of a mail server stands in a sink of another type", "set type to smtp, or remove it")
}

func (s AlertSink) checkMail(k *checker, at string) {
	k.check(s.Host != "", at+".host", "is empty", "name the mail server")
	k.between(s.Port, 0, 1<<16-1, at+".port")
	k.check(mailAddress.MatchString(s.From), at+".from", fmt.Sprintf("is %q, which is no mail address", s.From), "write it as perdure@example.com")
	k.check(len(s.To) > 0, at+".to", "is empty", "name at least one recipient")
	for _, to := range s.To {
		k.check(mailAddress.MatchString(to), at+".to", fmt.Sprintf("has %q, which is no mail address", to), "write it as team@example.com")
	}
	k.oneOf(s.TLS, at+".tls", alertTLS...)
	k.check((s.User == "") == (s.PasswordEnv == ""), at+".user", "and password_env go together", "set both or none")
	k.check(s.TLS != "none" || s.PasswordEnv == "", at+".tls", "is none, and would send the password in clear", "use starttls or implicit")
	k.check(s.URL == "" && s.URLEnv == "" && len(s.Headers) == 0 && len(s.HeadersEnv) == 0, at+".url",
		"or headers stand in a sink of type smtp", "set type to webhook or slack, or remove them")
}
