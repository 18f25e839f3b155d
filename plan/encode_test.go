package plan_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
)

func chain(n int) *plan.Walk {
	needs := make([][]int, n)
	for step := 1; step < n; step++ {
		needs[step] = []int{step - 1}
	}
	return walkOf(needs...)
}

func TestWalkEncodesPlainThenCompressedThenNot(t *testing.T) {
	t.Parallel()
	small, err := plan.EncodeWalk(chain(1000))
	require.NoError(t, err)
	require.Equal(t, byte('{'), small[0])

	large, err := plan.EncodeWalk(chain(50_000))
	require.NoError(t, err)
	require.Equal(t, []byte{0x1f, 0x8b}, large[:2])
	require.Less(t, len(large), 1<<20)
	again, err := plan.EncodeWalk(chain(50_000))
	require.NoError(t, err)
	require.Equal(t, large, again)

	for _, test := range []struct {
		data []byte
		want *plan.Walk
	}{{small, chain(1000)}, {large, chain(50_000)}} {
		walk, err := plan.DecodeWalk(test.data)
		require.NoError(t, err)
		require.Equal(t, test.want, walk)
	}

	incompressible := chain(40_000)
	for i := range incompressible.Steps {
		sum := sha256.Sum256(fmt.Append(nil, i))
		incompressible.Steps[i].Key = hex.EncodeToString(sum[:])
	}
	_, err = plan.EncodeWalk(incompressible)
	require.ErrorIs(t, err, plan.ErrTooLarge)
	require.ErrorContains(t, err, "40000 steps")
}

func TestDecodeWalkRefuses(t *testing.T) {
	t.Parallel()
	whole, err := plan.EncodeWalk(chain(50_000))
	require.NoError(t, err)
	var notJSON bytes.Buffer
	writer := gzip.NewWriter(&notJSON)
	_, err = writer.Write([]byte("{"))
	require.NoError(t, err)
	require.NoError(t, writer.Close())

	for name, data := range map[string]string{
		"nothing":                 ``,
		"no object":               `[]`,
		"cut gzip":                string(whole[:len(whole)/2]),
		"gzip of no JSON":         notJSON.String(),
		"newer version":           `{"v":2,"steps":[],"kinds":[]}`,
		"no such kind":            `{"v":1,"steps":[{"key":"a","kind":1}],"kinds":[{}]}`,
		"negative kind":           `{"v":1,"steps":[{"key":"a","kind":-1}],"kinds":[{}]}`,
		"next outside":            `{"v":1,"steps":[{"key":"a","next":[1]}],"kinds":[{}]}`,
		"next before":             `{"v":1,"steps":[{"key":"a"},{"key":"b","next":[0]}],"kinds":[{}]}`,
		"next twice":              `{"v":1,"steps":[{"key":"a","next":[1,1]},{"key":"b"}],"kinds":[{}]}`,
		"source after its reader": `{"v":1,"steps":[{"key":"a","inputs":[[{"step":0,"asset":"a"}]]}],"kinds":[{}]}`,
		"negative source":         `{"v":1,"steps":[{"key":"a","inputs":[[{"step":-1,"asset":"a"}]]}],"kinds":[{}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := plan.DecodeWalk([]byte(data))
			require.ErrorContains(t, err, "decode walk")
		})
	}
}
