//go:build unix

package integration

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/devstack"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// ownStack starts servers for one test alone, which may kill them.
func ownStack(t *testing.T, options devstack.Options) *devstack.Stack {
	t.Helper()
	// As root, PostgreSQL runs under another account, which cannot pass through the test's own folder.
	folder, err := os.MkdirTemp("", "perdure-integration-") //nolint:usetesting // see above
	require.NoError(t, err)
	require.NoError(t, os.Chmod(folder, 0o711))
	options.Dir, options.WithoutUI = folder, true
	options.LookupEnv = func(name string) (string, bool) {
		if name == "PERDURE_POSTGRES_DSN" {
			return "", false
		}
		return os.LookupEnv(name)
	}
	stack, err := devstack.Start(context.WithoutCancel(t.Context()), options)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, stack.Stop())
		require.NoError(t, os.RemoveAll(folder))
	})
	return stack
}

// schema is a DSN that names a schema of its own on the stack's PostgreSQL.
func schema(t *testing.T, stack *devstack.Stack, name string) string {
	t.Helper()
	dsn, err := url.Parse(stack.PostgresDSN)
	require.NoError(t, err)
	query := dsn.Query()
	query.Set("search_path", name)
	dsn.RawQuery = query.Encode()
	return dsn.String()
}

func TestTemporalIsKilledUnderARun(t *testing.T) {
	t.Parallel()
	// Not ephemeral: it begins again on its database file. With its own PostgreSQL only because devstack has one for each.
	stack := ownStack(t, devstack.Options{})
	f := newFixtureOn(t, schema(t, stack, "perdure"), stack.TemporalAddress, []testlocation.Asset{
		asset("source"), asset("middle", "source"), asset("sink", "middle"), asset("last", "sink"),
	})
	f.worker(t, "b1")
	f.hold(t, "middle", "sink")
	run := f.start(t, "1", "*")

	// Under a step that goes on.
	f.awaitNotes(t, testlocation.Called, "middle", 1)
	require.NoError(t, stack.KillTemporal())
	require.NoError(t, stack.StartTemporal(t.Context()))
	f.release(t, "middle")

	// Away when a step ends: it is committed, and Temporal hears of it later.
	f.awaitNotes(t, testlocation.Called, "sink", 1)
	require.NoError(t, stack.KillTemporal())
	f.release(t, "sink")
	f.awaitStep(t, run, "sink", func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	require.NoError(t, stack.StartTemporal(t.Context()))

	f.requireGood(t, run)
	f.requireCalls(t, run, nil)
}

func TestPostgresIsAwayForAMinuteAtTheMomentOfCommit(t *testing.T) {
	t.Parallel()
	const away = 60 * time.Second
	stack := ownStack(t, devstack.Options{Ephemeral: true})
	patient := newFixtureOn(t, schema(t, stack, "perdure"), stack.TemporalAddress,
		[]testlocation.Asset{asset("source"), asset("patient", "source"), asset("sink", "patient")})
	handed := patient.with(t, []testlocation.Asset{asset("handed_source"), asset("handed", "handed_source"), asset("handed_sink", "handed")})
	patient.worker(t, "b1")
	dying := handed.worker(t, "b1")
	for _, key := range []string{"patient", "handed"} {
		patient.instruct(t, key, testlocation.Instruction{HoldPublish: true})
	}
	patientRun, handedRun := patient.start(t, "1", "*"), handed.start(t, "1", "*")
	patient.awaitNotes(t, testlocation.Publishing, "patient", 1)
	handed.awaitNotes(t, testlocation.Publishing, "handed", 1)
	heir := handed.worker(t, "b1")

	require.NoError(t, stack.StopPostgres())
	stopped := time.NewTimer(away)
	defer stopped.Stop()
	patient.release(t, "patient", "handed")
	handed.awaitNotes(t, testlocation.Published, "handed", 1)
	// The commit of one is waited for in place; the other's worker dies while it waits.
	handed.awaitStagedInHeartbeat(t, handedRun, "handed")
	require.NoError(t, dying.Kill())
	<-stopped.C
	require.NoError(t, stack.StartPostgres(t.Context()))

	patient.requireGood(t, patientRun)
	patient.requireCalls(t, patientRun, nil)
	require.Zero(t, patient.steps(t, patientRun)["patient"].Lost)
	handed.requireGood(t, handedRun)
	handed.requireCalls(t, handedRun, nil)
	step := handed.steps(t, handedRun)["handed"]
	require.Equal(t, 1, step.Lost)
	require.Contains(t, heir.Log(), "publishing what an earlier attempt had staged")
}

// A claim is on the disk only with what is recorded next. Here Postgres crashes before that, so that nobody has claimed the
// step whose function is running.
func TestPostgresCrashesAndLosesAClaim(t *testing.T) {
	t.Parallel()
	stack := ownStack(t, devstack.Options{Ephemeral: true})
	dsn := schema(t, stack, "perdure")
	f := newFixtureOn(t, dsn, stack.TemporalAddress, []testlocation.Asset{asset("source"), asset("middle", "source"), asset("sink", "middle")})
	f.worker(t, "b1")
	lost := 0
	// Something else that is recorded may bring a claim to the disk, such as that the worker lives: it does so rarely.
	for try := 1; lost == 0; try++ {
		require.LessOrEqual(t, try, 5, "no claim was lost")
		f.hold(t, "middle")
		// The process that would bring the claim to the disk within a second does nothing.
		writer := walWriter(t, dsn)
		require.NoError(t, syscall.Kill(writer, syscall.SIGSTOP))
		run := f.start(t, strconv.Itoa(try), "*")
		f.awaitNotes(t, testlocation.Called, "middle", try)
		require.NoError(t, stack.KillPostgres())
		require.NoError(t, syscall.Kill(writer, syscall.SIGKILL))
		require.NoError(t, stack.StartPostgres(t.Context()))
		var middle metadata.Step
		require.Eventually(t, func() bool {
			page, err := f.Store.Steps(t.Context(), run, "", 10)
			for _, found := range page.Rows {
				if found.Step == "middle" {
					middle = found
				}
			}
			return err == nil
		}, longEnough, often)
		if middle.Status == wire.StepWaiting {
			lost++
		}
		f.release(t, "middle")
		f.requireGood(t, run)
		f.requireCalls(t, run, nil)
		require.Zero(t, f.steps(t, run)["middle"].Lost)
	}
}

// walWriter is the process of a PostgreSQL that brings to the disk what was committed without waiting for it.
func walWriter(t *testing.T, dsn string) (process int) {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.QueryRowContext(t.Context(), "select pid from pg_stat_activity where backend_type = 'walwriter'").Scan(&process))
	return process
}
