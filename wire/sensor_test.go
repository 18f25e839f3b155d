package wire_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/wire"
)

// Postgres refuses numbers beyond some thousands of digits: one of them must not keep the events around it from being written.
func TestANumberThatCannotBeKeptIsAProblemOfItsEvent(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		`1e999999`, `{"x":[1,{"y":-1E-20000}]}`, `0e99999999999999999999`, "0." + strings.Repeat("1", 30000), `["\\",1e+5000]`,
	} {
		sent := wire.Sent([]byte(`{"id":"e1","payload":`+payload+`}`), "other", time.Time{})
		require.Contains(t, sent.Problem, "payload: it holds a number that cannot be kept", payload)
		require.Equal(t, "e1", sent.ID)
		require.Equal(t, byte('"'), sent.Payload[0], "what was sent is kept as a string")
	}
	sent := wire.Sent([]byte(`{"id":"e1","payload":{},"more":1e999999}`), "other", time.Time{})
	require.Contains(t, sent.Problem, `unknown field "more"`)
	require.Equal(t, byte('"'), sent.Payload[0])
	for _, payload := range []string{
		`1e308`, `-1.5E-300`, `0`, `{"1e999999":"1e999999","\"1e999999":["\\\"1e999999"]}`, `"` + strings.Repeat("1", 30000) + `"`, `[1,-2,3.5]`,
	} {
		sent := wire.Sent([]byte(`{"id":"e1","payload":`+payload+`}`), "other", time.Time{})
		require.Empty(t, sent.Problem, payload)
		require.JSONEq(t, payload, string(sent.Payload))
	}
}
