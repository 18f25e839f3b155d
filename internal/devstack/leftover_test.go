package devstack

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// holderVariable makes this test binary a program that starts a stack in the folder it names and waits to be killed.
const holderVariable = "PERDURE_DEVSTACK_TEST_HOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holderVariable); dir != "" {
		hold(dir)
		return
	}
	os.Exit(m.Run())
}

// held is what the holder tells about its stack.
type held struct{ Temporal, Postgres int }

func hold(dir string) {
	stack, err := Start(context.Background(), Options{Dir: dir, WithoutUI: true, LookupEnv: withoutServer})
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(held{Temporal: stack.temporal.process.pid(), Postgres: stack.postgres.process.pid()})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

func TestKilledOwnerLeavesNothingAndTheNextStartGoesOn(t *testing.T) {
	t.Parallel()
	dir := stackFolder(t)
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), holderVariable+"="+dir)
	owner.Stderr = os.Stderr
	output, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	t.Cleanup(func() { _ = owner.Process.Kill() })
	line, err := bufio.NewReader(output).ReadBytes('\n')
	require.NoError(t, err)
	var children held
	require.NoError(t, json.Unmarshal(line, &children))
	require.NotEmpty(t, commandLine(children.Temporal))
	require.NotEmpty(t, commandLine(children.Postgres))

	_, err = Start(t.Context(), Options{Dir: dir})
	require.ErrorIs(t, err, ErrRunning)
	require.ErrorContains(t, err, "process "+strconv.Itoa(owner.Process.Pid))

	require.NoError(t, owner.Process.Kill())
	require.Error(t, owner.Wait())
	stack := start(t, Options{Dir: dir, WithoutUI: true})
	require.Empty(t, commandLine(children.Temporal))
	require.Empty(t, commandLine(children.Postgres))
	require.NoError(t, execute(t, stack.PostgresDSN, "SELECT 1"))
}

// runLoose runs a server as a killed owner leaves it where nothing ties children to their parent's life.
func runLoose(t *testing.T, name string, cmd *exec.Cmd, logFile string, ready func(context.Context) error) *process {
	t.Helper()
	loose, err := startProcess(name, cmd, logFile, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = loose.kill() })
	require.NoError(t, loose.awaitReady(t.Context(), time.Minute, ready))
	return loose
}

func TestServersLeftBehindAreStopped(t *testing.T) {
	t.Parallel()
	dir := stackFolder(t)
	first := start(t, anyPorts(t, Options{Dir: dir, WithoutUI: true}))
	beginWorkflow(t, first, "kept")
	require.NoError(t, first.Stop())

	temporal := runLoose(t, "Temporal", exec.Command(first.temporal.binary, first.temporal.arguments()...),
		first.temporal.logFile, first.temporal.answers)
	remembered, err := readState(dir)
	require.NoError(t, err)
	require.Zero(t, remembered.TemporalProcess, "an orderly stop leaves nothing to look for")
	remembered.TemporalProcess = temporal.pid()
	require.NoError(t, remembered.write())
	server := exec.Command(first.postgres.binaries.path("postgres"), "-D", first.postgres.data(),
		"-c", "listen_addresses="+host, "-c", "port="+strconv.Itoa(first.postgres.port), "-c", "unix_socket_directories=")
	first.postgres.prepare(server)
	postgres := runLoose(t, "PostgreSQL", server, first.postgres.logFile, first.postgres.ensureDatabase)

	second := start(t, Options{Dir: dir, WithoutUI: true})
	<-temporal.ended
	<-postgres.ended
	require.Equal(t, first.TemporalAddress, second.TemporalAddress)
	require.Equal(t, first.PostgresDSN, second.PostgresDSN)
	requireOpenWorkflow(t, second, "kept")
}

func TestAnotherProgramOfTheSameProcessIDIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := stackFolder(t)
	options := anyPorts(t, Options{Dir: dir, WithoutTemporal: true})
	first := start(t, options)
	require.NoError(t, first.Stop())
	// After a power cut the number in the file may be anybody's: here, ours.
	ours := strconv.Itoa(os.Getpid())
	pidFile := filepath.Join(first.postgres.data(), "postmaster.pid")
	require.NoError(t, os.WriteFile(pidFile, []byte(ours+"\n"+first.postgres.data()+"\n"), 0o600))
	second := start(t, options)
	require.NoError(t, execute(t, second.PostgresDSN, "SELECT 1"))
}
