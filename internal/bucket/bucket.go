// Package bucket opens buckets of objects by URL, so that values and compute logs mean the same place by the same text. It
// imports nothing of ours.
package bucket

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file:// URLs
	_ "gocloud.dev/blob/memblob"  // mem:// URLs
)

// Bucket is an open bucket, or the part of one below a prefix.
type Bucket struct {
	*blob.Bucket
	// Place is what objects' names are appended to, to find them; it ends with "/" or the prefix.
	Place string
	// Folder is the absolute path of a bucket of files; "" for others.
	Folder string
	// Prefix is what the URL says that the names of all objects begin with.
	Prefix string
}

// Open opens a bucket by its URL: "file:///var/data" or "file://./data" (a folder, made if it is missing), "mem://",
// "s3://bucket?region=eu-central-1", "gs://bucket" or "azblob://container", each with the parameters that gocloud.dev
// documents, and with "prefix=a/". Nothing is read yet; Close ends it.
func Open(ctx context.Context, bucketURL string) (*Bucket, error) {
	parsed, err := url.Parse(bucketURL)
	if err != nil || parsed.Scheme == "" {
		return nil, fmt.Errorf("open bucket %q: it is not a URL such as file:///var/data, file://./data or s3://bucket", bucketURL)
	}
	b := &Bucket{Prefix: parsed.Query().Get("prefix")}
	if schemes := blob.DefaultURLMux().BucketSchemes(); !slices.Contains(schemes, parsed.Scheme) {
		return nil, fmt.Errorf("open bucket %s: no driver for %q is linked into this program (%s are)%s",
			parsed.Redacted(), parsed.Scheme, strings.Join(schemes, ", "), missingImport(parsed.Scheme))
	}
	b.Place = parsed.Scheme + "://" + strings.TrimSuffix(parsed.Host+parsed.Path, "/") + "/" + b.Prefix
	if parsed.Scheme == "file" {
		if parsed, err = b.openFolder(parsed); err != nil {
			return nil, fmt.Errorf("open bucket %s: %w", bucketURL, err)
		}
	}
	if b.Bucket, err = blob.OpenBucket(ctx, parsed.String()); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", parsed.Redacted(), err)
	}
	return b, nil
}

func missingImport(scheme string) string {
	module, ok := map[string]string{"s3": "s3", "gs": "gcs", "azblob": "azure"}[scheme]
	if !ok {
		return ""
	}
	return fmt.Sprintf(`: add import _ "github.com/perdure-io/perdure/storage/blob/%s"`, module)
}

// openFolder learns where the folder is, and sets what our objects need: temporary files beside their last place,
// because a rename works only within one file system, and no files of attributes.
func (b *Bucket) openFolder(parsed *url.URL) (*url.URL, error) {
	path := parsed.Path
	switch parsed.Host {
	case "", "localhost":
	case ".":
		path = "." + path
	default:
		return nil, fmt.Errorf("%q would be a host: write file:///%s%s for an absolute path, file://./%s%s for a relative one",
			parsed.Host, parsed.Host, path, parsed.Host, path)
	}
	if runtime.GOOS == "windows" && parsed.Host != "." {
		path = strings.TrimPrefix(path, "/")
	}
	absolute, err := filepath.Abs(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	b.Folder = absolute
	query := parsed.Query()
	for name, value := range map[string]string{"create_dir": "true", "no_tmp_dir": "true", "metadata": "skip"} {
		if !query.Has(name) {
			query.Set(name, value)
		}
	}
	base := (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(absolute), "/")})
	b.Place = base.String() + "/" + b.Prefix
	base.RawQuery = query.Encode()
	return base, nil
}
