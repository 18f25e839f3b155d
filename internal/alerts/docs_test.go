package alerts_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/alerts"
)

var update = flag.Bool("update", false, "write the JSON of docs/alerts.md anew")

const page = "../../docs/alerts.md"

// blocks are the fenced blocks of docs/alerts.md in a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	var found []string
	for i, part := range strings.Split(string(content), "```") {
		if text, ok := strings.CutPrefix(part, language+"\n"); ok && i%2 == 1 {
			found = append(found, text)
		}
	}
	require.NotEmpty(t, found, language)
	return found
}

func TestTheSinksOfTheDocumentationAreRight(t *testing.T) {
	t.Parallel()
	for _, text := range blocks(t, "yaml") {
		folder := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(folder, config.FileName), []byte(text), 0o600))
		loaded, err := config.Load(config.LoadOptions{Folder: folder, Environ: []string{}})
		require.NoError(t, err)
		require.NotEmpty(t, loaded.Alerts.Sinks)
		require.NoError(t, alerts.Check(loaded.Alerts))
	}
}

// The JSON of the documentation is what a webhook gets.
func TestTheJSONOfTheDocumentationIsTheSample(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	sample := alerts.Sample(alerts.RunFailure, time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC))
	sample.Test, sample.Key, sample.URL = false, "run_failure:nightly-7~1:48211", "http://127.0.0.1:8233/namespaces/default/workflows/nightly-7~1"
	said, err := alerts.Said(config.AlertSink{On: []string{"run_failure"}}, sample)
	require.NoError(t, err)
	require.NoError(t, encoder.Encode(said))
	written := blocks(t, "json")[0]
	if *update {
		content, err := os.ReadFile(page)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(page, []byte(strings.Replace(string(content), written, want.String(), 1)), 0o600))
		written = blocks(t, "json")[0]
	}
	require.Equal(t, want.String(), written, "run: go test ./internal/alerts -run Documentation -update")
}
