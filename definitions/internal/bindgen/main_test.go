package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBindFileIsUpToDate(t *testing.T) {
	t.Parallel()
	want, err := generate()
	require.NoError(t, err)
	got, err := os.ReadFile("../../bind.go")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go generate ./definitions")
}
