package blob_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/blob"
	"github.com/perdure-io/perdure/storage/storagetest"
)

var refused = []reflect.Type{
	reflect.TypeFor[chan int](), reflect.TypeFor[func()](), reflect.TypeFor[struct{ hidden int }](), reflect.TypeFor[[]error](),
}

func open(t *testing.T, url string, options ...blob.Option) *blob.Storage {
	t.Helper()
	storage, err := blob.Open(t.Context(), url, options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, storage.Close()) })
	return storage
}

// folderURL is a folder with characters that a URL escapes.
func folderURL(t *testing.T) (path, url string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "with space", "values")
	return path, "file://" + filepath.ToSlash(filepath.Dir(filepath.Dir(path))) + "/with%20space/values"
}

func folder(options ...blob.Option) func(t *testing.T) storagetest.Store {
	return func(t *testing.T) storagetest.Store {
		t.Helper()
		path, url := folderURL(t)
		return storagetest.Store{
			Open: func() definitions.IOManager { return open(t, url, options...) },
			Unreachable: func() definitions.IOManager {
				storage := open(t, url, options...)
				require.NoError(t, os.RemoveAll(path))
				return storage
			},
			Refuses: refused, KeepsHistory: true,
		}
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) storagetest.Store{
		"folder as JSON": folder(),
		"folder as CSV":  folder(blob.Tables(blob.CSV())),
		"part of a memory bucket": func(t *testing.T) storagetest.Store {
			t.Helper()
			storage := open(t, "mem://?prefix=values/")
			return storagetest.Store{Open: func() definitions.IOManager { return storage }, Refuses: refused, KeepsHistory: true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storagetest.Run(t, open)
		})
	}
}
