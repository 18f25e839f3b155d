package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

const (
	repository = "../.."
	// httpAddress is the local stack's in the documentation.
	httpAddress = "127.0.0.1:7243"
)

// documented are the pages whose commands and JSON are run.
func documented(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	require.NoError(t, err)
	// In the order in which they are read: the first makes what the others begin from.
	return append([]string{filepath.Join(repository, "README.md"), filepath.Join(repository, "examples", "flights", "README.md")}, pages...)
}

// block is a fenced block of a page.
type block struct {
	language, text string
	// under is the heading that it stands under.
	under string
}

func blocksOf(t *testing.T, page string) []block {
	t.Helper()
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	var found []block
	var under string
	var open *block
	for line := range strings.Lines(string(data)) {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case open == nil && isFence:
			open = &block{language: fence, under: under}
		case open == nil && strings.HasPrefix(line, "#"):
			under = strings.TrimSpace(strings.TrimLeft(line, "#"))
		case isFence:
			found, open = append(found, *open), nil
		case open != nil:
			open.text += line
		}
	}
	require.Nil(t, open, "a block of %s does not end", page)
	return found
}

// commandsOf are the commands of a block that speak with Temporal or are ours, continued lines joined.
func commandsOf(b block) []string {
	var found []string
	for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "$ "))
		line = strings.TrimPrefix(line, "bin/")
		isOurs := b.language == "sh" && strings.HasPrefix(line, "perdure ") && !stackCommand.MatchString(line)
		if isOurs || strings.HasPrefix(line, "temporal ") || strings.HasPrefix(line, "curl ") {
			found = append(found, line)
		}
	}
	return found
}

var (
	workflowID = regexp.MustCompile(`--workflow-id (\S+)|/workflows/([^/\s?]+)`)
	// stackCommand has a stack of its own; tests of the CLI run it.
	stackCommand = regexp.MustCompile(`^perdure (dev|demo|daemon|migrate)\b`)
	// scheduleCommand is for a schedule, which starts what it starts by itself.
	scheduleCommand = regexp.MustCompile(`^temporal schedule\b`)
	signalledEvent  = regexp.MustCompile(`"id":"([^"]+)"`)
	// stopCommand is for a run that goes on.
	stopCommand = regexp.MustCompile(`^(perdure run|temporal workflow) cancel\b`)
)

// endsFailure marks the command of a run that fails.
const endsFailure = "# ends FAILURE"

// serveExample runs the example's own program on the instance until the test ends.
func (b *bundle) serveExample(t *testing.T, dsn string) {
	t.Helper()
	b.config.Storage.URL = "file://" + filepath.ToSlash(t.TempDir())
	command := exec.CommandContext(t.Context(), buildProgram(t, repository+"/examples/flights"), "serve")
	var written bytes.Buffer
	command.Stdout, command.Stderr = &written, &written
	command.Env = append(os.Environ(), b.exampleEnvironment(dsn)...)
	command.Dir = filepath.Join(repository, "examples", "flights")
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
		if t.Failed() {
			t.Log(written.String())
		}
	})
	b.awaitRegistered(t, "flights")
}

func (b *bundle) exampleEnvironment(dsn string) []string {
	return []string{
		"PERDURE_POSTGRES_DSN=" + dsn, "PERDURE_TEMPORAL_ADDRESS=" + b.config.Temporal.Address, "PERDURE_STORAGE_URL=" + b.config.Storage.URL,
		"PERDURE_DEPLOYMENT=" + b.config.Deployment,
	}
}

// The commands of the documentation are run as they stand, on the example as it stands.
func TestTheCommandsOfTheDocumentation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dsn, err := b.config.PostgresDSN()
	require.NoError(t, err)
	b.serveExample(t, dsn)
	server := testenv.Temporal(t)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(server.Binary, filepath.Join(bin, "temporal")))
	require.NoError(t, os.Symlink(buildProgram(t, repository+"/cmd/perdure"), filepath.Join(bin, "perdure")))
	environment := append(b.exampleEnvironment(dsn), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "TEMPORAL_ADDRESS="+server.Address)
	commands, runs, ours := 0, 0, 0
	for _, page := range documented(t) {
		if slices.Contains(slices.Concat(partitionPages, sensorPages, []string{schedulePage}), filepath.Base(page)) {
			continue // they are run on a location that has partitions, schedules, or sensors
		}
		for _, one := range blocksOf(t, page) {
			for _, line := range commandsOf(one) {
				if stopCommand.MatchString(line) {
					continue
				}
				commands++
				result := run(t, environment, "sh", "-c", strings.ReplaceAll(line, httpAddress, server.HTTPAddress))
				if strings.HasPrefix(line, "perdure ") {
					ours++
					want := 0
					if strings.HasSuffix(line, endsFailure) {
						want = 1
						require.Contains(t, result.out, "FAILURE", "%s: %s", page, line)
					}
					require.Equal(t, want, result.code, "%s: %s\n%s%s", page, line, result.out, result.err)
					continue
				}
				require.Zero(t, result.code, "%s: %s\n%s%s", page, line, result.out, result.err)
				require.NotContains(t, result.out, `"code":`, "%s: %s: the HTTP API has refused it", page, line)
				if scheduleCommand.MatchString(line) {
					continue
				}
				id := workflowID.FindStringSubmatch(line)
				require.NotNil(t, id, "%s: %s speaks with no run", page, line)
				if strings.Contains(line, "query") {
					continue
				}
				if strings.Contains(line, "signal") {
					b.awaitEvents(t, line)
					continue
				}
				runs++
				started := strings.Trim(id[1]+id[2], `"'`)
				if strings.Contains(line, wire.BackfillWorkflow) {
					_, err = b.starter.AwaitBackfill(t.Context(), started)
				} else {
					_, err = b.starter.Await(t.Context(), started)
				}
				require.NoError(t, err, "%s: %s", page, line)
			}
		}
	}
	require.GreaterOrEqual(t, runs, 2, "the documentation starts runs by the CLI and by curl")
	require.Greater(t, commands, runs)
	require.GreaterOrEqual(t, ours, 20, "the documentation shows our own command line")

	requests := 0
	for i, one := range jsonOf(t, "RunRequest") {
		requests++
		id := fmt.Sprintf("documented-%d", i)
		call(t, "/workflows/"+id, startBody(t, "flights", one)).ok(t)
		_, err := b.starter.Await(t.Context(), id)
		require.NoError(t, err, one)
	}
	require.GreaterOrEqual(t, requests, 3)
}

// awaitEvents waits until the event that a command signals has started its run.
func (b *bundle) awaitEvents(t *testing.T, line string) {
	t.Helper()
	event := signalledEvent.FindStringSubmatch(line)
	require.NotNil(t, event, "%s: the event has no id", line)
	tick := b.awaitTick(t, metadata.SensorID{Location: "flights", Sensor: "arrivals"}, func(tick metadata.Tick) bool {
		return slices.ContainsFunc(tick.Runs, func(asked wire.TickRun) bool { return asked.RunKey == event[1] })
	})
	for _, asked := range tick.Runs {
		_, err := b.starter.Await(t.Context(), asked.RunID)
		require.NoError(t, err, line)
	}
}

// jsonOf are the JSON blocks of docs/wire.md under a heading.
func jsonOf(t *testing.T, under string) []string {
	t.Helper()
	var found []string
	for _, one := range blocksOf(t, filepath.Join(repository, "docs", "wire.md")) {
		if one.language == "json" && one.under == under {
			require.True(t, json.Valid([]byte(one.text)), one.text)
			found = append(found, one.text)
		}
	}
	require.NotEmpty(t, found, "docs/wire.md has no example of %s", under)
	return found
}

// Of what a run takes while it goes on, the run must be held: the example's never is.
func TestTheQueriesAndUpdatesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const id = "documented-controls"
	called := make(chan struct{}, 1)
	held := definitions.Asset("route_delays", definitions.Bind0(func(ctx definitions.Context) (int, error) {
		called <- struct{}{}
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	b.serve(t, definitions.New(id, held))
	temporalCLI(t, startArguments("start", id, id, `{"assets":"*"}`)...).ok(t)
	<-called
	for _, one := range jsonOf(t, "StepsQueryInput") {
		out := temporalCLI(t, "workflow", "query", "--workflow-id", id, "--type", wire.StepsQuery, "--output", "json", "--input", one).ok(t)
		require.Equal(t, []wire.StepState{{Step: "route_delays", Status: wire.StepRunning}}, queried(t, out).Steps)
	}
	for _, one := range jsonOf(t, "CancelStepInput") {
		temporalCLI(t, "workflow", "update", "execute", "--workflow-id", id, "--name", wire.CancelStepUpdate, "--input", one).ok(t)
	}
	require.Contains(t, closing(t, id), wire.FailureRunFailed)
}

// No example stands in a place where no test runs it.
func TestEveryExampleOfTheDocumentationIsRun(t *testing.T) {
	t.Parallel()
	// Those of remote steps are said by their programs, those of backfills, reports, schedules and sensors are for moments of their own:
	// they are decoded and validated where the page is generated.
	run := []string{
		"RunRequest", "StepsQueryInput", "CancelStepInput", "RemoteInput", "RemoteResult", "BackfillRequest", "SetConcurrencyInput", "ReportRequest",
		"ScheduleTickRequest", "PreviewRequest", "SensorRequest", "SensorEvent", "TickRequest", "SetCursorInput",
	}
	for _, page := range documented(t) {
		for _, one := range blocksOf(t, page) {
			if one.language == "json" && filepath.Base(page) != "alerts.md" { // that of alerts is made by their package's test
				require.Equal(t, "wire.md", filepath.Base(page), "%s: a test must run this: %s", page, one.text)
				require.True(t, slices.Contains(run, one.under), "%s, %s: a test must run this: %s", page, one.under, one.text)
			}
			if strings.Contains(one.text, "/api/v1/") || strings.Contains(one.text, "temporal workflow") {
				require.NotEmpty(t, commandsOf(one), "%s: a test must run this: %s", page, one.text)
			}
		}
	}
}
