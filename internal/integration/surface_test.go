package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/devstack"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/wire"
)

// commandBound is how long a command of the CLI may take: it polls, and the machine does other things.
const commandBound = 2 * time.Minute

// said is what a command printed, and with which code it ended.
type said struct {
	out, err string
	code     int
}

// temporalCLI runs Temporal's own command line.
func temporalCLI(t *testing.T, arguments ...string) said {
	t.Helper()
	server := testenv.Temporal(t)
	return run(t, nil, server.Binary, append(arguments, "--address", server.Address)...)
}

// run runs a program; environment is added to our own.
func run(t *testing.T, environment []string, program string, arguments ...string) said {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandBound)
	defer cancel()
	command := exec.CommandContext(ctx, program, arguments...)
	command.Env = append(os.Environ(), environment...)
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	err := command.Run()
	var ended *exec.ExitError
	if err != nil {
		require.ErrorAs(t, err, &ended, "%s", command)
	}
	// The CLI logs its own errors with the quotes escaped.
	return said{out: out.String(), err: strings.ReplaceAll(problems.String(), `\"`, `"`), code: command.ProcessState.ExitCode()}
}

// ok is what a command printed that must go well.
func (s said) ok(t *testing.T) string {
	t.Helper()
	require.Zero(t, s.code, "%s%s", s.out, s.err)
	return s.out
}

// answer is one of Temporal's HTTP API.
type answer struct {
	code int
	body string
}

// call speaks with Temporal's HTTP API as curl does; body "" is a GET.
func call(t *testing.T, path, body string) answer {
	t.Helper()
	method, content := http.MethodPost, io.Reader(strings.NewReader(body))
	if body == "" {
		method, content = http.MethodGet, nil
	}
	address := "http://" + testenv.Temporal(t).HTTPAddress + "/api/v1/namespaces/" + devstack.Namespace + path
	ctx, cancel := context.WithTimeout(t.Context(), commandBound)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, content)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	data, err := io.ReadAll(response.Body)
	require.NoError(t, errors.Join(err, response.Body.Close()))
	return answer{code: response.StatusCode, body: string(data)}
}

func (a answer) ok(t *testing.T) string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.code, a.body)
	return a.body
}

// closing waits for a run's last event over HTTP.
func closing(t *testing.T, id string) string {
	t.Helper()
	return call(t, "/workflows/"+id+"/history?historyEventFilterType=HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT&waitNewEvent=true", "").ok(t)
}

// startBody is the body that starts a run over HTTP.
func startBody(t *testing.T, queue string, inputs ...string) string {
	t.Helper()
	raw := make([]json.RawMessage, len(inputs))
	for i, input := range inputs {
		raw[i] = json.RawMessage(input)
	}
	body, err := json.Marshal(map[string]any{
		"workflowType": map[string]string{"name": wire.RunWorkflow}, "taskQueue": map[string]string{"name": queue}, "input": raw,
	})
	require.NoError(t, err)
	return string(body)
}

// startArguments are those of `temporal workflow`, before the inputs.
func startArguments(verb, queue, id string, inputs ...string) []string {
	arguments := []string{"workflow", verb, "--type", wire.RunWorkflow, "--task-queue", queue, "--workflow-id", id}
	for _, input := range inputs {
		arguments = append(arguments, "--input", input)
	}
	return arguments
}

// buildProgram compiles a program of this repository.
func buildProgram(t *testing.T, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	run(t, nil, "go", "build", "-o", path, pkg).ok(t)
	return path
}
