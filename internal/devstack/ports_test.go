package devstack

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// occupy takes a port for the length of the test.
func occupy(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", address(0))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	return listener.Addr().(*net.TCPAddr).Port
}

func TestPortsAreChosenInOrderOfWishes(t *testing.T) {
	t.Parallel()
	busy := occupy(t)
	free, err := anyFree()
	require.NoError(t, err)
	other, err := anyFree()
	require.NoError(t, err)
	for name, rule := range map[string]struct {
		wishes port
		taken  map[int]bool
		want   int // 0: any other
	}{
		"asked":                      {wishes: port{asked: free, remembered: other, usual: other}, want: free},
		"remembered before usual":    {wishes: port{remembered: free, usual: other}, want: free},
		"remembered is busy":         {wishes: port{remembered: busy, usual: other}, want: other},
		"another part has it":        {wishes: port{remembered: free, usual: other}, taken: map[int]bool{free: true}, want: other},
		"everything we want is busy": {wishes: port{remembered: busy, usual: busy}},
		"no wish":                    {},
	} {
		taken := map[int]bool{}
		for number := range rule.taken {
			taken[number] = true
		}
		chosen, err := rule.wishes.choose(taken)
		require.NoError(t, err, name)
		require.True(t, taken[chosen], name)
		if rule.want != 0 {
			require.Equal(t, rule.want, chosen, name)
		} else {
			require.NotEqual(t, busy, chosen, name)
			require.NotZero(t, chosen, name)
		}
	}
	_, err = port{name: "PostgreSQL", asked: busy}.choose(map[int]bool{})
	require.ErrorContains(t, err, "for PostgreSQL is taken")
}

func TestStackAvoidsPortsThatAreTaken(t *testing.T) {
	t.Parallel()
	dir := stackFolder(t)
	remembered, err := readState(dir)
	require.NoError(t, err)
	remembered.TemporalPort, remembered.HTTPPort = occupy(t), occupy(t)
	remembered.UIPort, remembered.PostgresPort = occupy(t), occupy(t)
	require.NoError(t, remembered.write())

	stack := start(t, Options{Dir: dir})
	require.NotEqual(t, address(remembered.TemporalPort), stack.TemporalAddress)
	beginWorkflow(t, stack, "elsewhere")
	require.NoError(t, execute(t, stack.PostgresDSN, "SELECT 1"))

	_, err = Start(t.Context(), Options{Dir: stackFolder(t), LookupEnv: withoutServer, PostgresPort: remembered.PostgresPort})
	require.ErrorContains(t, err, "for PostgreSQL is taken")
}

// Another program may take a port between our look and the server's bind; the servers' own words tell.
func TestPortTakenAtTheLastMomentIsRecognized(t *testing.T) {
	t.Parallel()
	stack := start(t, Options{Dir: stackFolder(t), Ephemeral: true, WithoutUI: true})
	require.NoError(t, stack.StopPostgres())
	stack.postgres.port = occupy(t)
	require.Error(t, stack.postgres.start(t.Context()))
	require.True(t, stack.postgres.process.portWasTaken(), stack.postgres.process.logged())
	for _, number := range []*int{&stack.temporal.port, &stack.temporal.httpPort} {
		require.NoError(t, stack.KillTemporal())
		free := *number
		*number = occupy(t)
		require.NoError(t, stack.temporal.launch())
		launched := stack.temporal.process
		require.Error(t, launched.awaitReady(t.Context(), temporalStartBound, stack.temporal.answers))
		require.True(t, launched.portWasTaken(), launched.logged())
		*number = free
	}
}
