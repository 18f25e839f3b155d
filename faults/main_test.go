//go:build unix

package main

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
)

func TestMain(m *testing.M) {
	testlocation.Main()
	m.Run()
}

func TestAShortMarathonLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	seed := strconv.FormatInt(time.Now().UnixNano(), 10)
	var stdout, stderr bytes.Buffer
	// Without frozen workers, which take minutes.
	code := command(t.Context(), []string{"-trials", strconv.Itoa(len(kinds())), "-seed", seed, "-scenario", "worker-kill,worker-drain,daemon-kill,temporal-kill,postgres-kill,postgres-stop"}, &stdout, &stderr)
	t.Log(stdout.String())
	require.Zero(t, code, stderr.String())
	require.Contains(t, stdout.String(), "seed="+seed+"\n")
	require.Contains(t, stdout.String(), fmt.Sprintf("\ntrials=%d lost=0 doubled=0 unfinished=0 orphans=0\n", len(kinds())))
	for _, kind := range kinds() {
		require.Contains(t, stdout.String(), ": "+kind.name+": ")
	}
}

func TestBadArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"-scenario", "worker-kil"}, {"-kind", "pythn"}, {"-trials", "0"}, {"-trails", "3"}, {"3"}} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, 2, command(t.Context(), arguments, &stdout, &stderr))
		require.NotEmpty(t, stderr.String())
		require.Empty(t, stdout.String())
	}
}
