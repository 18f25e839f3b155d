package metadata

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/wire"
)

func TestCommitsWaitForThoseUnderWay(t *testing.T) {
	t.Parallel()
	var q commitQueue
	enter := func(step string) *waitingCommit {
		waiting, err := q.enter(wire.Commit{Fence: wire.Fence{Step: step}})
		require.NoError(t, err)
		return waiting
	}
	for range commitsUnderWay {
		require.Nil(t, enter("first"), "it begins")
	}
	a, b, c := enter("a"), enter("b"), enter("c")
	require.True(t, q.leave(b))
	require.False(t, q.leave(b))
	require.Equal(t, []*waitingCommit{a, c}, q.next())
	require.False(t, q.leave(a), "it is being made")

	d := enter("d")
	require.Equal(t, []*waitingCommit{d}, q.next())
	for range commitsUnderWay {
		require.Nil(t, q.next())
	}
	require.Zero(t, q.underWay)
	require.Nil(t, enter("e"), "nobody is under way")
}

func TestCommitsThatAreMadeTogetherAreBounded(t *testing.T) {
	t.Parallel()
	full := commitQueue{underWay: commitsUnderWay}
	for range 2*mostTogether + 1 {
		_, err := full.enter(wire.Commit{})
		require.NoError(t, err)
	}
	large := commitQueue{underWay: commitsUnderWay}
	for range 5 {
		_, err := large.enter(wire.Commit{Worker: strings.Repeat("w", mostBytes/2)})
		require.NoError(t, err)
	}
	for _, test := range []struct {
		queue *commitQueue
		want  []int
	}{{&full, []int{mostTogether, mostTogether, 1, 0}}, {&large, []int{2, 2, 1, 0}}} {
		for _, want := range test.want {
			require.Len(t, test.queue.next(), want)
		}
	}
}
