package blob_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/blob"
	_ "github.com/perdure-io/perdure/storage/blob/s3"
	"github.com/perdure-io/perdure/storage/storagetest"
)

// s3 is a bucket whose server is at an address.
func s3(t *testing.T, address string) *blob.Storage {
	t.Helper()
	return open(t, "s3://bucket?region=us-east-1&anonymous=true&use_path_style=true&rate_limiter_capacity=0&prefix=values/&endpoint="+address)
}

// TestWhatACloudAnswersIsSorted answers as S3 does when an object, the bucket, a permission or the service is missing.
func TestWhatACloudAnswersIsSorted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		code            string
		status, listing int
		outage, missing bool
	}{
		{code: "NoSuchKey", status: http.StatusNotFound, listing: http.StatusOK, missing: true},
		{code: "NoSuchBucket", status: http.StatusNotFound, listing: http.StatusNotFound, outage: true},
		{code: "AccessDenied", status: http.StatusForbidden},
		{code: "InternalError", status: http.StatusInternalServerError, outage: true},
	} {
		t.Run(test.code, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/xml")
				if r.URL.Query().Get("list-type") != "" && test.listing == http.StatusOK {
					fmt.Fprint(w, `<ListBucketResult><Name>bucket</Name></ListBucketResult>`)
					return
				}
				w.WriteHeader(test.status)
				fmt.Fprintf(w, `<Error><Code>%s</Code><Message>from the test</Message></Error>`, test.code)
			}))
			defer server.Close()
			err := s3(t, server.URL).Load(definitions.NewContext(t.Context()), definitions.Slot{Asset: "flights", Token: 1}, new([]storagetest.Row))
			require.ErrorContains(t, err, "load flights from s3://bucket/values/flights/1.json")
			if test.outage {
				require.ErrorIs(t, err, definitions.ErrUnavailable)
			} else {
				require.NotErrorIs(t, err, definitions.ErrUnavailable)
			}
			if test.missing {
				require.ErrorIs(t, err, definitions.ErrNotStored)
			} else {
				require.NotErrorIs(t, err, definitions.ErrNotStored)
			}
		})
	}
}

func TestACloudThatIsAwayIsAnOutage(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	storage, ctx := s3(t, server.URL), definitions.NewContext(t.Context())
	at := definitions.Slot{Asset: "flights", Token: 1}
	require.ErrorIs(t, storage.Load(ctx, at, new([]storagetest.Row)), definitions.ErrUnavailable)
	_, err := storage.Stage(ctx, at, storagetest.Rows(1, 1))
	require.ErrorIs(t, err, definitions.ErrUnavailable)
	_, err = storage.Resume(ctx, at, "s3://bucket/values/flights/1.json")
	require.ErrorIs(t, err, definitions.ErrUnavailable)
}
