package metadata_test

import (
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// whileWiping wipes an asset while hold has made locks in a transaction; once the wipe waits for them, then goes on in that
// transaction, which is committed.
func (b *bench) whileWiping(asset string, hold, then func(*sqlx.Tx)) {
	b.Helper()
	tx, err := b.db.BeginTxx(b.Context(), nil)
	require.NoError(b, err)
	defer func() { _ = tx.Rollback() }() // nothing, once it is committed
	hold(tx)
	wiped := make(chan error, 1)
	go func() {
		_, err := b.WipeAsset(b.Context(), metadata.Wipe{Asset: asset, CodeLocation: "flights"})
		wiped <- err
	}()
	require.Eventually(b, func() bool {
		return b.count(`select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%wipe_asset_v1%' and datname = current_database()`) == 1
	}, 20*time.Second, 5*time.Millisecond)
	then(tx)
	require.NoError(b, tx.Commit())
	require.NoError(b, <-wiped)
}

// A run that was reset ends again: its end locks what it left undone before the log.
func TestAWipeAndTheEndOfARunDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.fail(b.granted("r1", "a", 1, 1), 1, true)
	b.end("r1", 2, wire.RunFailure)
	exec := func(query string) func(*sqlx.Tx) {
		return func(tx *sqlx.Tx) {
			_, err := tx.ExecContext(t.Context(), query)
			require.NoError(t, err)
		}
	}
	b.whileWiping("a", exec("update run_assets set failed = failed where run_id = 'r1'"), exec("update log_head set position = position"))
	require.Equal(t, 1, b.count("select count(*) from run_assets where run_id = 'r1' and failed = '{}'"))
}

func TestAWipeTakesWhatWasCommittedWhileItWaited(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.committed("r1", "a", 1, "a")
	b.whileWiping("a", func(tx *sqlx.Tx) {
		_, err := tx.ExecContext(t.Context(), `select report_event_v1('{"id":"1","asset":"a","type":"materialization","partitions":[""],"metadata":[],"who":"ann","why":"","cause":""}')`)
		require.NoError(t, err)
	}, func(*sqlx.Tx) {})
	require.Zero(t, b.count("select count(*) from materializations"))
	require.Zero(t, b.count("select count(*) from asset_partitions"))
	require.Equal(t, 1, b.count("select count(*) from superseded_values"))
}
