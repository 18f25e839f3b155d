//go:build unix

package main

import (
	"bytes"
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
	code := command(t.Context(), []string{"-trials", "3", "-seed", seed, "-scenario", "worker-kill,worker-drain,temporal-kill,postgres-kill,postgres-stop"}, &stdout, &stderr)
	t.Log(stdout.String())
	require.Zero(t, code, stderr.String())
	require.Contains(t, stdout.String(), "seed="+seed+"\n")
	require.Contains(t, stdout.String(), "\ntrials=3 lost=0 doubled=0 unfinished=0\n")
}

func TestBadArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"-scenario", "worker-kil"}, {"-trials", "0"}, {"-trails", "3"}, {"3"}} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, 2, command(t.Context(), arguments, &stdout, &stderr))
		require.NotEmpty(t, stderr.String())
		require.Empty(t, stdout.String())
	}
}
