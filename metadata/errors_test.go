package metadata_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func TestAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, err = metadata.Open(t.Context(), "postgres://someone:secret@"+address+"/x?sslmode=disable", metadata.Options{})
	require.ErrorIs(t, err, metadata.ErrUnavailable)
	require.True(t, metadata.IsUnavailable(err))
	require.NotContains(t, err.Error(), "secret")
	_, err = metadata.Migrate(t.Context(), "postgres://someone:secret@"+address+"/x?sslmode=disable")
	require.ErrorIs(t, err, metadata.ErrUnavailable)
}

func TestADSNThatDoesNotParse(t *testing.T) {
	t.Parallel()
	_, err := metadata.Open(t.Context(), "postgres://someone:sec%ret@host/x", metadata.Options{})
	require.ErrorIs(t, err, metadata.ErrInvalid)
	require.NotContains(t, err.Error(), "ret@")
}

// A server that is frozen does not answer and does not hang up.
func TestAServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	began := time.Now()
	_, err = metadata.Open(t.Context(), "postgres://someone@"+listener.Addr().String()+"/x?sslmode=disable", metadata.Options{Timeout: 200 * time.Millisecond})
	require.ErrorIs(t, err, metadata.ErrUnavailable)
	require.Less(t, time.Since(began), 10*time.Second)
}

// block holds the row of a step in another transaction, so that a claim of it waits.
func block(t *testing.T, b *bench) {
	t.Helper()
	tx, err := b.db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() }) // the test's context has ended it
	_, err = tx.ExecContext(t.Context(), "select 1 from steps for update")
	require.NoError(t, err)
}

func TestACallThatTakesTooLong(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.granted("r1", "a", 1, 1)
	store, err := metadata.Open(t.Context(), b.dsn, metadata.Options{Timeout: 200 * time.Millisecond})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	block(t, b)
	_, err = store.Claim(t.Context(), request("r1", "a", 1, 2))
	require.ErrorIs(t, err, metadata.ErrUnavailable)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = b.Claim(ctx, request("r1", "a", 1, 2))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, metadata.IsUnavailable(err), "the caller's own end is not the database's")
}

func TestAConnectionThatIsEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.granted("r1", "a", 1, 1)
	block(t, b)
	failed := make(chan error, 1)
	go func() {
		_, err := b.Claim(t.Context(), request("r1", "a", 1, 2))
		failed <- err
	}()
	// database/sql asks again on another connection, twice: every one of them is ended.
	for {
		select {
		case err := <-failed:
			require.ErrorIs(t, err, metadata.ErrUnavailable)
			return
		case <-time.After(5 * time.Millisecond):
			b.count(`select count(pg_terminate_backend(pid)) from pg_stat_activity
				where query like 'select claim_step_v1%' and datname = current_database()`)
		}
	}
}

func TestWhatPostgresCannotStore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	fence := b.granted("r1", "a", 1, 1)

	// Both are the caller's mistakes: the same call fails again.
	commit := commitOf(fence, "a")
	commit.Outputs[0].Metadata = []wire.Metadatum{{Label: "n", Type: wire.MetadataJSON, Value: []byte("1e999999")}}
	_, err := b.Commit(t.Context(), commit)
	require.ErrorIs(t, err, metadata.ErrInvalid)
	_, err = b.Commit(t.Context(), commitOf(fence, "a", "a"))
	require.ErrorIs(t, err, metadata.ErrConflict)
	require.Equal(t, wire.StepRunning, b.stepRow("r1", "a").Status)

	// These are not: whatever a user's error says is recorded.
	failed, err := b.Store.Fail(t.Context(), wire.Failure{
		Fence: fence, Attempt: 1, Final: true,
		Error: wire.ErrorInfo{Message: "a\x00b\xffc", Metadata: []wire.Metadatum{{Label: "raw", Type: wire.MetadataJSON, Value: []byte(`"\u0000 \ud800 \\u0000 \ud83d\ude00"`)}}},
	})
	require.NoError(t, err)
	require.False(t, failed.Refused)
	row := b.stepRow("r1", "a")
	require.Equal(t, "a\uFFFDb\uFFFDc", row.Error.Message)
	require.JSONEq(t, `"\ufffd \ufffd \\u0000 😀"`, string(row.Error.Metadata[0].Value))
}
