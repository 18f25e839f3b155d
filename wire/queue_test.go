package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/wire"
)

func TestALimitOfATagIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]wire.TagLimit{
		"heavy:1":    {Key: "heavy", Limit: 1},
		"team=a:2":   {Key: "team", Value: "a", Limit: 2},
		"team=*:3":   {Key: "team", PerValue: true, Limit: 3},
		"a:b=c:d:-4": {Key: "a:b", Value: "c:d", Limit: -4},
	} {
		limit, err := wire.ParseTagLimit(text)
		require.NoError(t, err)
		require.Equal(t, want, limit)
		require.Equal(t, text, limit.Text())
	}
	for _, text := range []string{"", "heavy", "heavy=1", "heavy:", "heavy:one"} {
		_, err := wire.ParseTagLimit(text)
		require.ErrorContains(t, err, "is no limit of a tag", text)
	}
}
