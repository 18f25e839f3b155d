package metadata_test

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// turns is a proxy before Postgres that counts how often the client speaks after the server has: round trips.
type turns struct {
	mu     sync.Mutex
	client bool
	count  int
}

func (p *turns) heard(client bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if client && !p.client {
		p.count++
	}
	p.client = client
}

// during counts the round trips of one thing.
func (p *turns) during(do func()) int {
	p.mu.Lock()
	p.count, p.client = 0, false
	p.mu.Unlock()
	do()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// listenBefore starts the proxy and returns the DSN that leads through it.
func listenBefore(t *testing.T, dsn string) (*turns, string) {
	t.Helper()
	address, err := url.Parse(dsn)
	require.NoError(t, err)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	proxy, server := &turns{}, address.Host
	var wait sync.WaitGroup
	t.Cleanup(func() { require.NoError(t, listener.Close()); wait.Wait() })
	wait.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			backend, err := new(net.Dialer).DialContext(t.Context(), "tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			pump := func(from, to net.Conn, isClient bool) {
				defer func() { _ = to.Close() }()
				buffer := make([]byte, 64<<10)
				for {
					n, err := from.Read(buffer)
					if n > 0 {
						proxy.heard(isClient)
						if _, err := to.Write(buffer[:n]); err != nil {
							return
						}
					}
					if err != nil {
						return
					}
				}
			}
			wait.Go(func() { pump(client, backend, true) })
			wait.Go(func() { pump(backend, client, false) })
		}
	})
	address.Host = listener.Addr().String()
	return proxy, address.String()
}

func TestClaimAndCommitAreOneRoundTripEach(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"), step("b"))
	proxy, dsn := listenBefore(t, b.dsn)
	store := openStore(t, dsn)

	var claim wire.Claim
	require.Equal(t, 1, proxy.during(func() {
		var err error
		claim, err = store.Claim(t.Context(), request("r1", "a", 1, 1))
		require.NoError(t, err)
	}))
	require.Equal(t, wire.ClaimGranted, claim.Outcome)
	fence := wire.Fence{Run: "r1", Step: "a", Scheduled: 1, Token: claim.Token}
	require.Equal(t, 1, proxy.during(func() {
		state, err := store.CheckToken(t.Context(), wire.TokenCheck{Fence: fence})
		require.NoError(t, err)
		require.True(t, state.Holds)
	}))
	require.Equal(t, 1, proxy.during(func() {
		committed, err := store.Commit(t.Context(), commitOf(fence, "a"))
		require.NoError(t, err)
		require.False(t, committed.Refused)
	}))
	require.Equal(t, 1, proxy.during(func() {
		_, err := store.Fail(t.Context(), wire.Failure{Fence: fence, Attempt: 1})
		require.NoError(t, err)
	}))
}

// The same statement takes two round trips on a connection that the store did not open: the counter counts.
func TestTheCounterSeesTwoRoundTripsWithoutBinaryParameters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	proxy, dsn := listenBefore(t, b.dsn)
	address, err := url.Parse(dsn)
	require.NoError(t, err)
	query := address.Query()
	query.Del("binary_parameters")
	address.RawQuery = query.Encode()
	plain := openPlain(t, address.String())
	require.NoError(t, plain.PingContext(t.Context()))
	ask := func(db *sqlx.DB) int {
		return proxy.during(func() {
			var answer string
			require.NoError(t, db.GetContext(t.Context(), &answer, "select check_token_v1($1)", `{"run":"r1"}`))
		})
	}
	require.Equal(t, 2, ask(plain))

	// A store switches it on for itself.
	store, err := metadata.Open(t.Context(), address.String(), metadata.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	require.Equal(t, 1, proxy.during(func() {
		_, err := store.CheckToken(t.Context(), wire.TokenCheck{Fence: wire.Fence{Run: "r1"}})
		require.NoError(t, err)
	}))
}
