package alerts

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/perdure-io/perdure/config"
)

const defaultTitle = `
{{- if .Test}}Test: {{end}}
{{- if .Run}}Run {{.Run.RunID}} of {{if .Job}}job {{.Job}}{{else}}{{.Run.Selection}}{{end}}{{with .Run.Partition}} [{{.}}]{{end}} failed
{{- else if .Trigger}}{{if eq .Trigger.Kind "schedule"}}Schedule{{else}}Sensor{{end}} {{.Trigger.Name}} {{if .Recovered}}works again{{else}}is failing{{end}}
{{- else if .Backfill}}Backfill {{.Backfill.BackfillID}} {{if eq .Backfill.Status "COMPLETED_SUCCESS"}}is done{{else}}has ended: {{.Backfill.Status}}{{end}}
{{- else if .Sink}}Alerts {{if .Recovered}}reach sink {{.Sink.Name}} again{{else}}do not reach sink {{.Sink.Name}}{{end}}
{{- end}}
{{- if .Location}} ({{.Location}}){{end}}`

const defaultBody = `
{{- with .Run}}
{{- with .Reason}}{{.}}
{{end}}{{if .StepsTotal}}{{.Steps.Failed}} of {{.StepsTotal}} steps failed{{if gt .Attempts 1}}, in the last of {{.Attempts}} runs{{end}}.
{{range .Failures}}
- {{.Step}}: {{.Message}}{{end}}
{{end}}{{with .TriggerName}}
Started by {{$.Run.TriggerKind}} {{.}}.
{{end}}{{with .Backfill}}
It belongs to backfill {{.}}.
{{end}}{{end}}
{{- with .Trigger}}
{{- if $.Recovered}}It was failing since {{.Since.UTC.Format "2006-01-02 15:04:05 UTC"}}.
{{else}}{{.Failures}} ticks in a row have failed since {{.Since.UTC.Format "2006-01-02 15:04:05 UTC"}}.
{{with .Error}}
{{.}}
{{end}}{{end}}{{end}}
{{- with .Backfill}}
{{- with .Reason}}{{.}}
{{end}}{{.Materialized}} of {{.Targeted}} partitions made, {{.Failed}} failed; {{.Runs.Succeeded}} runs succeeded, {{.Runs.Failed}} failed.
{{range .Failures}}
- {{.RunID}}: {{.Message}}{{end}}
{{end}}
{{- with .Sink}}
{{- if $.Recovered}}It was failing since {{.Since.UTC.Format "2006-01-02 15:04:05 UTC"}}.
{{else}}{{.Failures}} attempts in a row have failed since {{.Since.UTC.Format "2006-01-02 15:04:05 UTC"}}.
{{with .Error}}
{{.}}
{{end}}{{end}}{{end}}
{{.Command}}{{with .URL}}
{{.}}{{end}}`

// Message is an alert as a sink says it, and as a webhook is sent it.
type Message struct {
	Alert
	Title string `json:"title"`
	Text  string `json:"text"`
}

// templates are those of a sink.
type templates struct{ title, body *template.Template }

func newTemplates(sink config.AlertSink) (templates, error) {
	title, titleErr := parse("title", sink.Title, defaultTitle)
	body, bodyErr := parse("body", sink.Body, defaultBody)
	t := templates{title, body}
	if err := errors.Join(titleErr, bodyErr); err != nil {
		return templates{}, err
	}
	var problems []error
	for _, kind := range sink.On {
		// A name that no alert has is found by trying.
		if _, err := t.render(Sample(Kind(kind), time.Unix(0, 0))); err != nil {
			problems = append(problems, fmt.Errorf("of a %s: %w", kind, err))
		}
	}
	return t, errors.Join(problems...)
}

func parse(name, text, fallback string) (*template.Template, error) {
	if text == "" {
		text = fallback
	}
	return template.New(name).Option("missingkey=error").Parse(text)
}

func (t templates) render(alert Alert) (Message, error) {
	var title, body bytes.Buffer
	if err := errors.Join(t.title.Execute(&title, alert), t.body.Execute(&body, alert)); err != nil {
		return Message{}, err
	}
	// A title is one line: of a mail it is a header.
	return Message{alert, strings.Join(strings.Fields(title.String()), " "), strings.TrimSpace(body.String())}, nil
}

// Said is what a sink says of an alert.
func Said(sink config.AlertSink, alert Alert) (Message, error) {
	t, err := newTemplates(sink)
	if err != nil {
		return Message{}, err
	}
	return t.render(alert)
}

// Check says of sinks everything that is wrong with their templates.
func Check(settings config.Alerts) error {
	var problems []error
	for _, sink := range settings.Sinks {
		if _, err := newTemplates(sink); err != nil {
			problems = append(problems, fmt.Errorf("alerts.sinks: the templates of sink %q fail: %w", sink.Name, err))
		}
	}
	return errors.Join(problems...)
}
