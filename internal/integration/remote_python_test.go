//go:build unix

package integration

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/internal/testpython"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// pythonWorker serves the remote asset score with the stock Python SDK: its first attempt fails.
const pythonWorker = `
import asyncio, sys
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

@activity.defn(name="score")
async def score(given: dict) -> dict:
    activity.heartbeat()
    if given["attempt"] == 1:
        raise ValueError("no model yet")
    if given["assets"] != ["score"] or given["inputs"] != {}:
        raise ApplicationError(f"wrong input: {given}", non_retryable=True)
    return {"outputs": {"score": {"value": 42, "data_version": "py1", "metadata": [{"label": "accuracy", "type": "float", "value": 0.9}]}}}

async def main(address, queue):
    await Worker(await Client.connect(address), task_queue=queue, activities=[score]).run()

asyncio.run(main(*sys.argv[1:]))
`

func TestAPythonProgramComputesAStep(t *testing.T) {
	t.Parallel()
	interpreter := testpython.Interpreter(t)
	f := newRemote(t)
	var printed bytes.Buffer
	program := exec.CommandContext(t.Context(), interpreter, "-c", pythonWorker, testenv.Temporal(t).Address, wire.NamedQueue(f.spec.Location, "ml"))
	program.Stdout, program.Stderr = &printed, &printed
	require.NoError(t, program.Start())
	t.Cleanup(func() {
		// The test's context has ended it.
		_ = program.Wait()
		if t.Failed() {
			t.Log(printed.String())
		}
	})
	run := f.start(t, "1", "score")
	result, err := f.await(t, run)
	require.NoError(t, err)
	require.Equal(t, []string{"score"}, result.Materialized)
	retried := f.events(t, run, metadata.EventStepUpForRetry)
	require.Len(t, retried, 1)
	require.Contains(t, string(retried[0].Body), "no model yet")
	made := f.materialization(t, run, "score")
	require.Equal(t, "py1", made.DataVersion)
	require.Len(t, made.Metadata, 1)
	require.Equal(t, "accuracy", made.Metadata[0].Label)
	step := f.steps(t, run)["score"]
	require.Equal(t, 2, step.Attempt)
	require.Zero(t, step.Lost)
}
