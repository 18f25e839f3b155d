package devstack

import (
	"context"
	"database/sql"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// stackFolder is a folder that PostgreSQL's account can pass through when the tests run as root; t.TempDir is not.
func stackFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "perdure-devstack-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	return dir
}

// withoutServer hides a PostgreSQL that the person who runs the tests has named.
func withoutServer(name string) (string, bool) {
	if name == "PERDURE_POSTGRES_DSN" {
		return "", false
	}
	return os.LookupEnv(name)
}

func start(t *testing.T, options Options) *Stack {
	t.Helper()
	if options.LookupEnv == nil {
		options.LookupEnv = withoutServer
	}
	stack, err := Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stack.Stop()) })
	return stack
}

// anyPorts keeps tests off the usual ports: a person's stack may start at this moment.
func anyPorts(t *testing.T, options Options) Options {
	t.Helper()
	for _, number := range []*int{&options.TemporalPort, &options.HTTPPort, &options.UIPort, &options.PostgresPort} {
		free, err := anyFree()
		require.NoError(t, err)
		*number = free
	}
	return options
}

func execute(t *testing.T, dsn, statement string) error {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), statement)
	return err
}

func query(t *testing.T, dsn, statement string) string {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var value string
	require.NoError(t, db.QueryRowContext(t.Context(), statement).Scan(&value))
	return value
}

func dial(t *testing.T, stack *Stack) client.Client {
	t.Helper()
	connected, err := client.DialContext(t.Context(), client.Options{HostPort: stack.TemporalAddress})
	require.NoError(t, err)
	t.Cleanup(connected.Close)
	return connected
}

// beginWorkflow leaves an open workflow that nobody serves.
func beginWorkflow(t *testing.T, stack *Stack, id string) {
	t.Helper()
	_, err := dial(t, stack).ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: "nobody"}, "Waits")
	require.NoError(t, err)
}

func requireOpenWorkflow(t *testing.T, stack *Stack, id string) {
	t.Helper()
	described, err := dial(t, stack).DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, described.GetWorkflowExecutionInfo().GetStatus())
}

// requireNothingListens proves that nothing of a stack runs any more.
func requireNothingListens(t *testing.T, stack *Stack) {
	t.Helper()
	for _, number := range []int{stack.state.TemporalPort, stack.state.HTTPPort, stack.state.UIPort, stack.state.PostgresPort} {
		connection, err := net.DialTimeout("tcp", address(number), time.Second)
		if err == nil {
			_ = connection.Close()
		}
		require.Error(t, err, "port %d still answers", number)
	}
}

func TestStackServesAndASecondStartFindsItsData(t *testing.T) {
	t.Parallel()
	dir := stackFolder(t)
	first := start(t, anyPorts(t, Options{Dir: dir}))

	described, err := dial(t, first).WorkflowService().DescribeNamespace(t.Context(),
		&workflowservice.DescribeNamespaceRequest{Namespace: Namespace})
	require.NoError(t, err)
	require.Equal(t, 7*24*time.Hour, described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
	require.Equal(t, map[string]enumspb.IndexedValueType{
		"PerdureJob": enumspb.INDEXED_VALUE_TYPE_KEYWORD, "PerdurePartition": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		"PerdureBackfill": enumspb.INDEXED_VALUE_TYPE_KEYWORD, "PerdureStatus": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		"PerdureCause": enumspb.INDEXED_VALUE_TYPE_KEYWORD, "PerdureAssets": enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST,
	}, registered(t, first))
	page, err := http.Get("http://" + first.UIAddress + "/")
	require.NoError(t, err)
	content, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	require.NoError(t, page.Body.Close())
	require.Contains(t, string(content), "<html")
	require.Equal(t, "on", query(t, first.PostgresDSN, "SHOW fsync"))
	require.Equal(t, "127.0.0.1", query(t, first.PostgresDSN, "SHOW listen_addresses"))

	_, err = Start(t.Context(), Options{Dir: dir})
	require.ErrorIs(t, err, ErrRunning)
	require.ErrorContains(t, err, "process "+strconv.Itoa(os.Getpid()))

	beginWorkflow(t, first, "kept")
	require.NoError(t, execute(t, first.PostgresDSN, "CREATE TABLE kept AS SELECT 'yes' AS answer"))
	require.NoError(t, first.Stop())
	requireNothingListens(t, first)

	// No ports asked for: those of the first start are taken again.
	second := start(t, Options{Dir: dir})
	require.Equal(t, first.TemporalAddress, second.TemporalAddress)
	require.Equal(t, first.HTTPAddress, second.HTTPAddress)
	require.Equal(t, first.UIAddress, second.UIAddress)
	require.Equal(t, first.PostgresDSN, second.PostgresDSN)
	requireOpenWorkflow(t, second, "kept")
	require.Equal(t, "yes", query(t, second.PostgresDSN, "SELECT answer FROM kept"))
	require.Empty(t, second.Failures())
}

// registered are the namespace's search attributes that are not Temporal's own and not the dev server's examples.
func registered(t *testing.T, stack *Stack) map[string]enumspb.IndexedValueType {
	t.Helper()
	listed, err := dial(t, stack).OperatorService().ListSearchAttributes(t.Context(),
		&operatorservice.ListSearchAttributesRequest{Namespace: Namespace})
	require.NoError(t, err)
	return listed.GetCustomAttributes()
}

func TestPartsAreKilledAndStartedAgainWithTheirData(t *testing.T) {
	t.Parallel()
	stack := start(t, anyPorts(t, Options{Dir: stackFolder(t), WithoutUI: true, WithoutSearchAttributes: true}))
	require.Empty(t, registered(t, stack))
	beginWorkflow(t, stack, "survives")
	require.NoError(t, execute(t, stack.PostgresDSN, "CREATE TABLE survives AS SELECT 'yes' AS answer"))

	require.NoError(t, stack.KillTemporal())
	_, err := client.DialContext(t.Context(), client.Options{HostPort: stack.TemporalAddress})
	require.Error(t, err)
	require.NoError(t, stack.StartTemporal(t.Context()))
	require.NoError(t, stack.StartTemporal(t.Context()), "a second start does nothing")
	requireOpenWorkflow(t, stack, "survives")

	require.NoError(t, stack.KillPostgres())
	require.Error(t, execute(t, stack.PostgresDSN, "SELECT 1"))
	require.NoError(t, stack.StartPostgres(t.Context()))
	require.Equal(t, "yes", query(t, stack.PostgresDSN, "SELECT answer FROM survives"))

	require.NoError(t, stack.StopPostgres())
	require.NoError(t, stack.StopPostgres(), "a second stop does nothing")
	require.Error(t, execute(t, stack.PostgresDSN, "SELECT 1"))
	require.NoError(t, stack.StartPostgres(t.Context()))
	require.Equal(t, "yes", query(t, stack.PostgresDSN, "SELECT answer FROM survives"))

	require.Empty(t, stack.Failures(), "what was asked for is no failure")
	require.NoError(t, stack.postgres.process.cmd.Process.Kill())
	require.ErrorContains(t, <-stack.Failures(), "PostgreSQL: ended unexpectedly")
	require.NoError(t, stack.Stop())
	require.ErrorContains(t, stack.StartTemporal(t.Context()), "has been stopped")
	require.ErrorContains(t, stack.StartPostgres(t.Context()), "has been stopped")
}

func TestStackEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	stack, err := Start(ctx, Options{Dir: stackFolder(t), Ephemeral: true, LookupEnv: withoutServer})
	require.NoError(t, err)
	temporal, postgres := stack.temporal.process, stack.postgres.process
	cancel()
	<-temporal.ended
	<-postgres.ended
	require.NoError(t, stack.Stop())
}

func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestStartThatIsCancelledLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := stackFolder(t)
	_, err := Start(cancelled(t), Options{Dir: dir, Ephemeral: true, LookupEnv: withoutServer})
	require.ErrorIs(t, err, context.Canceled)

	// Called off once a server runs: the one that never answers.
	ctx, cancel := context.WithCancel(t.Context())
	marker := filepath.Join(t.TempDir(), "begun")
	silent := script(t, t.TempDir(), "temporal", "touch "+marker+"; exec sleep 600")
	result := make(chan error, 1)
	go func() {
		_, err := Start(ctx, Options{Dir: dir, Ephemeral: true, TemporalBinary: silent, LookupEnv: withoutServer})
		result <- err
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(marker); return err == nil }, time.Minute, pollInterval)
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	held, err := takeLock(dir)
	require.NoError(t, err, "the lock is free again")
	require.NoError(t, held.release())
}

func TestServerOfTheEnvironmentIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	owner := start(t, Options{Dir: stackFolder(t), Ephemeral: true, WithoutTemporal: true})
	named := func(dsn string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			if name == "PERDURE_POSTGRES_DSN" {
				return dsn, true
			}
			return os.LookupEnv(name)
		}
	}
	guest := start(t, Options{Dir: stackFolder(t), WithoutTemporal: true, LookupEnv: named(owner.PostgresDSN)})
	require.Equal(t, owner.PostgresDSN, guest.PostgresDSN)
	require.NoError(t, guest.KillPostgres())
	require.ErrorContains(t, guest.StartPostgres(t.Context()), "no PostgreSQL of its own")
	require.ErrorContains(t, guest.StartTemporal(t.Context()), "no Temporal")
	require.NoError(t, guest.Stop())
	require.NoError(t, execute(t, owner.PostgresDSN, "SELECT 1"), "it still runs")

	require.NoError(t, owner.Stop())
	for _, dsn := range []string{owner.PostgresDSN, "postgres://me:1/hunter2@127.0.0.1/x", "host=x password=my hunter2"} {
		_, err := Start(t.Context(), Options{Dir: stackFolder(t), WithoutTemporal: true, LookupEnv: named(dsn)})
		require.ErrorContains(t, err, "PERDURE_POSTGRES_DSN")
		require.NotContains(t, err.Error(), "hunter2")
	}
}
