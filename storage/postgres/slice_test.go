package postgres_test

import (
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/postgres"
)

func slice(partition string, token int64) definitions.Slot {
	return definitions.Slot{Asset: "daily", Partition: partition, Token: token}
}

// TestPartitionsAreRowsOfOneTable says what people who read the table see.
func TestPartitionsAreRowsOfOneTable(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage := s.open(t)
	publish(t, storage, slice("2001-01-01", 1), numbers(3))
	staged := publish(t, storage, slice("2001-01-02", 2), numbers(1))
	publish(t, storage, slice("2001-01-01", 3), numbers(2))
	require.Equal(t, "2001-01-01/0/2, 2001-01-01/1/1, 2001-01-02/0/1", s.get(t,
		`SELECT string_agg(perdure_partition || '/' || perdure_row || '/' || n, ', ' ORDER BY perdure_partition, perdure_row) FROM daily`))
	location, err := url.Parse(staged.Location())
	require.NoError(t, err)
	require.Equal(t, url.Values{"table": {string(s.schema) + ".daily"}, "partition": {"2001-01-02"}}, location.Query())
	require.Equal(t, "0", s.get(t, `SELECT count(*)::text FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'perdure_staged_%'`))
}

func TestColumnsOfPartitionsMayComeAndGo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage, ctx := s.open(t), definitions.NewContext(t.Context())
	type more struct {
		N    int
		Name string
	}
	type pointer struct {
		N    *int
		Name *string
	}
	type other struct{ Name string }
	publish(t, storage, slice("a", 1), numbers(1))
	publish(t, storage, slice("b", 2), []more{{1, "one"}})
	publish(t, storage, slice("c", 3), []other{{"two"}})

	var loaded []more
	require.NoError(t, storage.Load(ctx, slice("b", 2), &loaded))
	require.Equal(t, []more{{1, "one"}}, loaded)
	err := storage.Load(ctx, slice("a", 1), &loaded)
	require.ErrorContains(t, err, `load daily [a]`)
	require.ErrorContains(t, err, `"name"`)
	require.ErrorContains(t, err, "materialize it again, or make a field that has no value a pointer")
	var old []number
	require.NoError(t, storage.Load(ctx, slice("a", 1), &old), "who does not need the new column reads the old rows")
	var pointers []pointer
	require.NoError(t, storage.Load(ctx, slice("c", 3), &pointers))
	require.Nil(t, pointers[0].N)
	require.Equal(t, "two", *pointers[0].Name)
	publish(t, storage, slice("a", 4), []pointer{{}})
	publish(t, storage, slice("b", 5), numbers(2))

	wrong, err := storage.Stage(ctx, slice("d", 6), []struct{ N, Name float64 }{{1, 2}})
	require.NoError(t, err)
	err = wrong.Publish(ctx)
	require.ErrorContains(t, err, "publish daily [d]")
	require.ErrorContains(t, err, "n from bigint to double precision, name from text to double precision")
	require.ErrorContains(t, err, "db tag, or drop the table and materialize all partitions again")

	s.exec(t, `DROP TABLE daily`)
	require.ErrorIs(t, storage.Load(ctx, slice("b", 5), &old), definitions.ErrNotStored)
	require.NoError(t, wrong.Publish(ctx))
	require.ErrorIs(t, storage.Load(ctx, slice("b", 5), &old), definitions.ErrNotStored, "its rows went with the table")
	publish(t, storage, slice("b", 7), []struct{ N, Name float64 }{{3, 4}})
}

func TestAnAssetGetsPartitionsOrLosesThemInANewTable(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage, ctx := s.open(t), definitions.NewContext(t.Context())
	publish(t, storage, slot("daily", 1), numbers(1))
	first, err := storage.Stage(ctx, slice("a", 2), numbers(2))
	require.NoError(t, err)
	require.ErrorContains(t, first.Publish(ctx), "publish daily [a] at ")
	require.ErrorContains(t, first.Publish(ctx), ".daily holds the asset from when it had no partitions: drop or rename the table")
	var loaded []number
	require.NoError(t, storage.Load(ctx, slot("daily", 1), &loaded))
	s.exec(t, `ALTER TABLE daily RENAME TO daily_before`)
	require.NoError(t, first.Publish(ctx))
	require.ErrorIs(t, storage.Load(ctx, slot("daily", 1), &loaded), definitions.ErrNotStored)

	whole, err := storage.Stage(ctx, slot("daily", 3), numbers(3))
	require.NoError(t, err)
	require.ErrorContains(t, whole.Publish(ctx), "holds partitions of the asset, which has none any more")
	require.NoError(t, storage.Load(ctx, slice("a", 2), &loaded))
	s.exec(t, `DROP TABLE daily`)
	require.NoError(t, whole.Publish(ctx))
	require.NoError(t, storage.Load(ctx, slot("daily", 3), &loaded))
	require.Equal(t, numbers(3), loaded)
	require.ErrorIs(t, storage.Load(ctx, slice("a", 2), &loaded), definitions.ErrNotStored)
}

func TestTablesOfOthersGetNoPartitions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage, ctx := s.open(t), definitions.NewContext(t.Context())
	s.exec(t, `CREATE TABLE daily (n bigint); INSERT INTO daily VALUES (42)`)
	staged, err := storage.Stage(ctx, slice("a", 1), numbers(1))
	require.NoError(t, err)
	require.ErrorContains(t, staged.Publish(ctx), "was not made by Perdure")
	var loaded []number
	require.ErrorContains(t, storage.Load(ctx, slice("a", 0), &loaded), "perdure_partition that tells partitions apart")
	s.exec(t, `ALTER TABLE daily ADD COLUMN perdure_partition text DEFAULT 'a'`)
	require.NoError(t, storage.Load(ctx, slice("a", 0), &loaded), "as an external asset it is read")
	require.Equal(t, []number{{42}}, loaded)
}

func TestTokensOfPartitionsAreTheirOwn(t *testing.T) {
	t.Parallel()
	storage, ctx := newServer(t).open(t), definitions.NewContext(t.Context())
	publish(t, storage, slice("a", 9), numbers(1))
	publish(t, storage, slice("b", 1), numbers(2))
	late, err := storage.Stage(ctx, slice("a", 8), numbers(3))
	require.NoError(t, err)
	err = late.Publish(ctx)
	require.ErrorIs(t, err, postgres.ErrSuperseded)
	require.ErrorContains(t, err, "token 9, this one is 8")
	require.ErrorContains(t, err, `partition "a"`)
}

// TestReadersSeeWholePartitions has readers count rows by plain SQL while the rows of two partitions are replaced at the same time: each
// partition must be a value that was published, and the first is never away.
func TestReadersSeeWholePartitions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage := s.open(t)
	publish(t, storage, slice("a", 1), numbers(10))
	publish(t, storage, slice("b", 1), numbers(10))
	var stop atomic.Bool
	var reads atomic.Int64
	readers, ctx := errgroup.WithContext(t.Context())
	for range 2 {
		readers.Go(func() error {
			for !stop.Load() {
				var got []struct{ Count, Highest int }
				err := s.db.SelectContext(ctx, &got, `SELECT count(*) AS count, max(n) AS highest FROM daily GROUP BY perdure_partition`)
				if err != nil {
					return err
				}
				if len(got) != 2 || got[0].Count != got[0].Highest || got[1].Count != got[1].Highest {
					return fmt.Errorf("a reader saw %v", got)
				}
				reads.Add(1)
			}
			return nil
		})
	}
	var writers errgroup.Group
	for _, partition := range []string{"a", "b"} {
		writers.Go(func() error {
			for token := int64(2); token <= 20; token++ {
				staged, err := storage.Stage(definitions.NewContext(t.Context()), slice(partition, token), numbers(int(token)*10))
				if err == nil {
					err = staged.Publish(definitions.NewContext(t.Context()))
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, writers.Wait())
	stop.Store(true)
	require.NoError(t, readers.Wait())
	require.Positive(t, reads.Load())
}

// TestPartitionsDoNotWaitForEachOther publishes a partition while others hold the rows of the neighbouring one, and while somebody reads.
func TestPartitionsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage := s.open(t)
	publish(t, storage, slice("a", 1), numbers(1))
	publish(t, storage, slice("b", 1), numbers(1))
	others, err := s.db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, others.Rollback()) }()
	_, err = others.ExecContext(t.Context(), `SELECT * FROM daily; DELETE FROM daily WHERE perdure_partition = 'a'; LOCK TABLE perdure_tables IN ROW EXCLUSIVE MODE;
		UPDATE perdure_tables SET token = 1 WHERE partition = 'a'`)
	require.NoError(t, err)
	publish(t, storage, slice("b", 2), numbers(2))
	publish(t, storage, slice("c", 2), numbers(2))
}
