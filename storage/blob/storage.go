package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file:// URLs
	_ "gocloud.dev/blob/memblob"  // mem:// URLs

	"github.com/perdure-io/perdure/definitions"
)

// Storage is an IO manager that keeps each value in an object of a bucket. It is safe for concurrent use.
type Storage struct {
	bucket *blob.Bucket
	tables Format
	paths  Paths
	// place is what objects' names are appended to, to find them.
	place string
	// folder is the absolute path of a bucket of files; "" for others.
	folder string
	prefix string
}

// Option changes a [Storage].
type Option interface{ applyStorage(*Storage) error }

type option func(*Storage) error

func (o option) applyStorage(s *Storage) error { return o(s) }

// Tables stores slices of structs in a format, such as [CSV]; without it they are [JSON].
func Tables(format Format) Option {
	return option(func(s *Storage) error {
		if format == nil {
			return errors.New("blob.Tables needs a format: blob.JSON() or blob.CSV()")
		}
		s.tables = format
		return nil
	})
}

// Paths names the objects of external assets, by asset key. An asset that it does not name is read from its key and
// the format's extension: "raw/airports.csv". It suits [Open] and [CSVFiles].
type Paths map[string]string

func (p Paths) applyStorage(s *Storage) error {
	for asset, path := range p {
		if !fs.ValidPath(path) {
			return fmt.Errorf("blob.Paths: %q of %s is not a path like \"raw/airports.csv\", without a leading slash or \"..\"", path, asset)
		}
	}
	s.paths = p
	return nil
}

func (p Paths) applyFiles(f *Files) { f.paths = p }

// Open opens a bucket by its URL: "file:///var/data" or "file://./data" (a folder, made if it is missing),
// "mem://", "s3://bucket?region=eu-central-1", "gs://bucket" or "azblob://container", each with the parameters that
// gocloud.dev documents, and with "prefix=a/" to stay below a part of the bucket. Credentials are found as
// each cloud's tools find them. Nothing is read yet; Close ends it.
func Open(ctx context.Context, bucketURL string, options ...Option) (*Storage, error) {
	parsed, err := url.Parse(bucketURL)
	if err != nil || parsed.Scheme == "" {
		return nil, fmt.Errorf("open bucket %q: it is not a URL such as file:///var/data, file://./data or s3://bucket", bucketURL)
	}
	s := &Storage{tables: JSON(), prefix: parsed.Query().Get("prefix")}
	for _, option := range options {
		if err := option.applyStorage(s); err != nil {
			return nil, fmt.Errorf("open bucket %s: %w", parsed.Redacted(), err)
		}
	}
	if schemes := blob.DefaultURLMux().BucketSchemes(); !slices.Contains(schemes, parsed.Scheme) {
		return nil, fmt.Errorf("open bucket %s: no driver for %q is linked into this program (%s are)%s",
			parsed.Redacted(), parsed.Scheme, strings.Join(schemes, ", "), missingImport(parsed.Scheme))
	}
	s.place = parsed.Scheme + "://" + strings.TrimSuffix(parsed.Host+parsed.Path, "/") + "/" + s.prefix
	if parsed.Scheme == "file" {
		if parsed, err = s.openFolder(parsed); err != nil {
			return nil, fmt.Errorf("open bucket %s: %w", bucketURL, err)
		}
	}
	if s.bucket, err = blob.OpenBucket(ctx, parsed.String()); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", parsed.Redacted(), err)
	}
	return s, nil
}

func missingImport(scheme string) string {
	module, ok := map[string]string{"s3": "s3", "gs": "gcs", "azblob": "azure"}[scheme]
	if !ok {
		return ""
	}
	return fmt.Sprintf(`: add import _ "github.com/perdure-io/perdure/storage/blob/%s"`, module)
}

// openFolder learns where the folder is, and sets what a store of values needs: temporary files beside
// their last place, because a rename works only within one file system, and no files of attributes.
func (s *Storage) openFolder(parsed *url.URL) (*url.URL, error) {
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
	s.folder = absolute
	query := parsed.Query()
	for name, value := range map[string]string{"create_dir": "true", "no_tmp_dir": "true", "metadata": "skip"} {
		if !query.Has(name) {
			query.Set(name, value)
		}
	}
	base := (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(absolute), "/")})
	s.place = base.String() + "/" + s.prefix
	base.RawQuery = query.Encode()
	return base, nil
}

// Close lets go of the bucket. What is stored stays.
func (s *Storage) Close() error {
	if err := s.bucket.Close(); err != nil {
		return fmt.Errorf("close bucket %s: %w", s.place, err)
	}
	return nil
}

// Accepts takes bytes, text and what JSON can write and read back; slices of structs must suit the format of [Tables].
// It uses no connection. The zero Storage does not know the format of tables, and lets pass what any built-in one takes.
func (s *Storage) Accepts(t reflect.Type) error {
	_, err := formatOf(t, s.tables)
	return err
}

// present says whether the bucket itself is there.
func (s *Storage) present(ctx context.Context) (bool, error) {
	if s.folder == "" {
		return s.bucket.IsAccessible(ctx)
	}
	info, err := os.Stat(s.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.IsDir(), err
}

// locate is the URI of an object. Names in a file's URL are escaped; the tools of clouds take them as they are.
func (s *Storage) locate(name string) string {
	if s.folder == "" {
		return s.place + name
	}
	return s.place + (&url.URL{Path: name}).EscapedPath()
}

var (
	_ definitions.IOManager = (*Storage)(nil)
	_ definitions.Resumer   = (*Storage)(nil)
)
