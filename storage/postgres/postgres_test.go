package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/postgres"
)

type number struct{ N int }

func slot(asset string, token int64) definitions.Slot {
	return definitions.Slot{Asset: asset, Token: token}
}

func publish(t *testing.T, storage *postgres.Storage, at definitions.Slot, value any) definitions.Staged {
	t.Helper()
	staged, err := storage.Stage(definitions.NewContext(t.Context()), at, value)
	require.NoError(t, err)
	require.NoError(t, staged.Publish(definitions.NewContext(t.Context())))
	return staged
}

func numbers(n int) []number {
	rows := make([]number, n)
	for i := range rows {
		rows[i].N = n - i
	}
	return rows
}

type inner struct {
	City string `db:"the \"city\""`
}

type kind string

type wide struct {
	inner
	Kind     kind
	I8       int8
	U32      uint32
	U64      uint64
	F32      float32
	F64      float64
	Yes      bool
	At       time.Time
	Wait     time.Duration
	Bytes    []byte
	Document json.RawMessage
	Address  netip.Addr
	MaybeAt  *time.Time
	MaybeIP  *netip.Addr
	MaybeInt *int64
	MaybeU   *uint64
	MaybeRaw *json.RawMessage
	Skipped  func() `db:"-"`
}

func wideRow(t *rapid.T) wide {
	text := rapid.StringMatching(`[^\x00]*`)
	at := time.UnixMicro(rapid.Int64Range(-3e15, 3e15).Draw(t, "at")).UTC()
	row := wide{
		inner: inner{City: text.Draw(t, "city")}, Kind: kind(text.Draw(t, "kind")),
		I8: rapid.Int8().Draw(t, "i8"), U32: rapid.Uint32().Draw(t, "u32"), U64: rapid.Uint64().Draw(t, "u64"),
		F32: rapid.Float32().Draw(t, "f32"), F64: rapid.Float64().Draw(t, "f64"), Yes: rapid.Bool().Draw(t, "yes"),
		At: at, Wait: time.Duration(rapid.Int64().Draw(t, "wait")),
		Address: netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))),
	}
	if rapid.Bool().Draw(t, "present") {
		integer, unsigned, raw := rapid.Int64().Draw(t, "int"), rapid.Uint64().Draw(t, "uint"), json.RawMessage(`{"a": [1, null]}`)
		row.Bytes = rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "bytes")
		row.Document, row.MaybeRaw = raw, &raw
		row.MaybeAt, row.MaybeIP, row.MaybeInt, row.MaybeU = &at, &row.Address, &integer, &unsigned
	}
	return row
}

func TestEveryColumnTypeComesBackAsItWas(t *testing.T) {
	t.Parallel()
	storage := newServer(t).open(t)
	var token int64
	rapid.Check(t, func(r *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(wideRow), 0, 20).Draw(r, "rows")
		token++
		publish(t, storage, slot("wide", token), rows)
		var loaded []wide
		require.NoError(r, storage.Load(definitions.NewContext(t.Context()), slot("wide", token), &loaded))
		require.Equal(r, rows, loaded)
	})
}

func TestColumnsMayChange(t *testing.T) {
	t.Parallel()
	storage, ctx := newServer(t).open(t), definitions.NewContext(t.Context())
	type named struct {
		Name string
		N    float64
	}
	publish(t, storage, slot("numbers", 1), numbers(2))
	var named1 []named
	require.ErrorContains(t, storage.Load(ctx, slot("numbers", 1), &named1), "materialize the asset again")
	publish(t, storage, slot("numbers", 2), []named{{Name: "pi", N: 3.14}})
	require.NoError(t, storage.Load(ctx, slot("numbers", 2), &named1))
	require.Equal(t, []named{{Name: "pi", N: 3.14}}, named1)
}

// TestReadersSeeWholeTables has readers count rows by plain SQL while values of different sizes replace each other: a mixture
// would have another count than its rows say.
func TestReadersSeeWholeTables(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage := s.open(t)
	publish(t, storage, slot("numbers", 1), numbers(10))
	var stop atomic.Bool
	var reads atomic.Int64
	group, ctx := errgroup.WithContext(t.Context())
	for range 3 {
		group.Go(func() error {
			for !stop.Load() {
				var got struct{ Count, Highest int }
				if err := s.db.GetContext(ctx, &got, `SELECT count(*) AS count, coalesce(max(n), 0) AS highest FROM numbers`); err != nil {
					return err
				}
				if got.Count != got.Highest || got.Count < 10 {
					return fmt.Errorf("a reader saw %d rows of %d", got.Count, got.Highest)
				}
				reads.Add(1)
			}
			return nil
		})
	}
	for token := int64(2); token <= 25; token++ {
		publish(t, storage, slot("numbers", token), numbers(int(token)*10))
	}
	stop.Store(true)
	require.NoError(t, group.Wait())
	require.Positive(t, reads.Load())
}

func TestLatePublishIsRefusedByType(t *testing.T) {
	t.Parallel()
	storage, ctx := newServer(t).open(t), definitions.NewContext(t.Context())
	late, err := storage.Stage(ctx, slot("numbers", 1), numbers(1))
	require.NoError(t, err)
	publish(t, storage, slot("numbers", 2), numbers(2))
	err = late.Publish(ctx)
	require.ErrorIs(t, err, postgres.ErrSuperseded)
	require.ErrorContains(t, err, "token 2, this one is 1")
	require.ErrorContains(t, err, "perdure_tables")
}

func TestPublishingDropsWhatEarlierAttemptsStaged(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage, ctx := s.open(t), definitions.NewContext(t.Context())
	for token := int64(1); token <= 3; token++ {
		_, err := storage.Stage(ctx, slot("numbers", token), numbers(1))
		require.NoError(t, err)
	}
	_, err := storage.Stage(ctx, slot("others", 1), numbers(1))
	require.NoError(t, err)
	later, err := storage.Stage(ctx, slot("numbers", 11), numbers(11))
	require.NoError(t, err)
	publish(t, storage, slot("numbers", 10), numbers(10))
	left := `SELECT count(*)::text FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'perdure_staged_%'`
	require.Equal(t, "2", s.get(t, left), "the later attempt's and the other asset's stay")
	require.NoError(t, later.Publish(ctx))
	require.Equal(t, "1", s.get(t, left))
}

func TestTablesOfOthersAreNotOverwritten(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage, ctx := s.open(t), definitions.NewContext(t.Context())
	s.exec(t, `CREATE TABLE numbers (n bigint); INSERT INTO numbers VALUES (42)`)
	staged, err := storage.Stage(ctx, slot("numbers", 1), numbers(1))
	require.NoError(t, err)
	require.ErrorContains(t, staged.Publish(ctx), "was not made by Perdure")

	var loaded []number
	require.NoError(t, storage.Load(ctx, slot("numbers", 0), &loaded), "as an external asset it is read")
	require.Equal(t, []number{{42}}, loaded)
	require.ErrorIs(t, storage.Load(ctx, slot("numbers", 1), &loaded), definitions.ErrNotStored)
}

func TestGrantsSurvive(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage := s.open(t)
	publish(t, storage, slot("numbers", 1), numbers(1))
	s.exec(t, `GRANT SELECT ON numbers TO PUBLIC; GRANT UPDATE ON numbers TO pg_monitor WITH GRANT OPTION`)
	publish(t, storage, slot("numbers", 2), numbers(2))
	require.Equal(t, "PUBLIC SELECT NO, pg_monitor UPDATE YES", s.get(t, `SELECT string_agg(grantee || ' ' || privilege_type || ' ' || is_grantable, ', ' ORDER BY grantee)
		FROM information_schema.role_table_grants WHERE table_schema = current_schema() AND table_name = 'numbers' AND grantee <> grantor`))
}

func TestTablesUnderViewsAreFilled(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage, ctx := s.open(t), definitions.NewContext(t.Context())
	publish(t, storage, slot("numbers", 1), numbers(1))
	s.exec(t, `CREATE VIEW summed AS SELECT sum(n) AS n FROM numbers`)
	publish(t, storage, slot("numbers", 2), numbers(1000))
	require.Equal(t, "500500", s.get(t, `SELECT n::text FROM summed`))
	var loaded []number
	require.NoError(t, storage.Load(ctx, slot("numbers", 2), &loaded))
	require.Equal(t, numbers(1000), loaded)

	staged, err := storage.Stage(ctx, slot("numbers", 3), []struct{ Other string }{})
	require.NoError(t, err)
	err = staged.Publish(ctx)
	require.ErrorContains(t, err, "view summed depends on table numbers")
	require.Equal(t, "500500", s.get(t, `SELECT n::text FROM summed`))
}

// TestLongReadersAreWaitedFor reads in an open transaction until the publication has given up once, to let others read.
func TestLongReadersAreWaitedFor(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage := s.open(t)
	publish(t, storage, slot("numbers", 1), numbers(1))
	reader, err := s.db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	_, err = reader.ExecContext(t.Context(), `SELECT * FROM numbers`)
	require.NoError(t, err)
	staged, err := storage.Stage(definitions.NewContext(t.Context()), slot("numbers", 2), numbers(2))
	require.NoError(t, err)

	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = staged.Publish(definitions.NewContext(impatient))
	require.Error(t, err)
	require.NotErrorIs(t, err, definitions.ErrUnavailable)

	published := make(chan error, 1)
	go func() { published <- staged.Publish(definitions.NewContext(t.Context())) }()
	for _, want := range []bool{true, false} {
		require.Eventually(t, func() bool {
			var waiting bool
			err := s.db.Get(&waiting, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'numbers'::regclass)`)
			return err == nil && waiting == want
		}, 20*time.Second, 5*time.Millisecond)
	}
	require.Empty(t, published)
	require.NoError(t, reader.Rollback())
	require.NoError(t, <-published)
}

func TestAValueThatCannotBeWrittenLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage, ctx := s.open(t), definitions.NewContext(t.Context())
	rows := []struct{ Document json.RawMessage }{{json.RawMessage(`{}`)}, {json.RawMessage(`{`)}}
	_, err := storage.Stage(ctx, slot("documents", 1), rows)
	require.ErrorContains(t, err, "invalid input syntax for type json")
	require.NotErrorIs(t, err, definitions.ErrUnavailable)
	require.Equal(t, "0", s.get(t, `SELECT count(*)::text FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'perdure_staged_%'`))
}

func TestAcceptsListsEveryProblem(t *testing.T) {
	t.Parallel()
	type wrong struct {
		Tags   []string
		Nested struct{ A int }
		Any    any
		Ours   string `db:"perdure_row"`
		Long   string `db:"a_name_of_more_than_sixty_three_bytes_is_cut_by_postgres_without_saying_so"`
	}
	err := (&postgres.Storage{}).Accepts(reflect.TypeFor[[]wrong]())
	for _, want := range []string{"wrong.Tags is a []string", "wrong.Nested", "wrong.Any is a interface {}", "wrong.Ours: columns that begin with \"perdure_\"", "at most 63 bytes", "json.RawMessage"} {
		require.ErrorContains(t, err, want)
	}
}

func TestSecretsStayOutOfLocationsAndErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	staged, err := s.open(t).Stage(definitions.NewContext(t.Context()), slot("raw/Numbers", 1), numbers(1))
	require.NoError(t, err)
	parsed, err := url.Parse(s.dsn)
	require.NoError(t, err)
	location, err := url.Parse(staged.Location())
	require.NoError(t, err)
	require.Nil(t, location.User)
	require.Equal(t, parsed.Path, location.Path)
	require.True(t, strings.HasPrefix(location.Query().Get("table"), string(s.schema)+".raw__numbers$"), staged.Location())

	_, err = postgres.Open("postgres://user:secret@host:port/db")
	require.ErrorContains(t, err, "port")
	require.NotContains(t, err.Error(), "secret")

	unreachable, err := postgres.Open("postgres://user:secret@" + closedPort(t) + "/db?sslmode=disable")
	require.NoError(t, err)
	_, err = unreachable.Stage(definitions.NewContext(t.Context()), slot("numbers", 1), numbers(1))
	require.NotContains(t, err.Error(), "secret")
}

func TestWrongCredentialsAreNoOutage(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	parsed, err := url.Parse(s.dsn)
	require.NoError(t, err)
	parsed.Path = "/no_such_database"
	storage, err := postgres.Open(parsed.String())
	require.NoError(t, err)
	_, err = storage.Stage(definitions.NewContext(t.Context()), slot("numbers", 1), numbers(1))
	require.ErrorContains(t, err, "no_such_database")
	require.NotErrorIs(t, err, definitions.ErrUnavailable)
}

func TestMissingSchemaIsMade(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	// The test's own schema is dropped to have a name that is certainly free, and that the test's end removes.
	s.exec(t, `DROP SCHEMA `+string(s.schema)+` CASCADE`)
	var group errgroup.Group
	for i := range 4 {
		storage := s.open(t)
		group.Go(func() error {
			_, err := storage.Stage(definitions.NewContext(t.Context()), slot(fmt.Sprintf("numbers_%d", i), 1), numbers(1))
			return err
		})
	}
	require.NoError(t, group.Wait())
}

func TestABrokenServerIsAnOutage(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	storage, ctx := s.open(t), definitions.NewContext(t.Context())
	publish(t, storage, slot("numbers", 1), numbers(1))
	// The server ends the connection of whoever waits for this lock, as when it is shut down.
	holder, err := s.db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	_, err = holder.ExecContext(t.Context(), `LOCK TABLE numbers`)
	require.NoError(t, err)
	loaded := make(chan error, 1)
	go func() { loaded <- storage.Load(ctx, slot("numbers", 1), new([]number)) }()
	require.Eventually(t, func() bool {
		var ended bool
		err := s.db.Get(&ended, `SELECT coalesce(bool_or(pg_terminate_backend(pid)), false) FROM pg_locks WHERE NOT granted AND relation = 'numbers'::regclass`)
		return err == nil && ended
	}, 10*time.Second, 10*time.Millisecond)
	require.ErrorIs(t, <-loaded, definitions.ErrUnavailable)
	require.NoError(t, holder.Rollback())
	require.NoError(t, storage.Load(ctx, slot("numbers", 1), new([]number)), "the next try connects anew")
}
