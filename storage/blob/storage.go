package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"reflect"

	"gocloud.dev/blob"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/bucket"
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
	// stable keeps a copy of current values under a fixed name.
	stable bool
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

// Open opens a bucket by its URL: "file:///var/data" or "file://./data" (a folder, made if it is missing),
// "mem://", "s3://bucket?region=eu-central-1", "gs://bucket" or "azblob://container", each with the parameters that
// gocloud.dev documents, and with "prefix=a/" to stay below a part of the bucket. Credentials are found as
// each cloud's tools find them. Nothing is read yet; Close ends it.
func Open(ctx context.Context, bucketURL string, options ...Option) (*Storage, error) {
	s := &Storage{tables: JSON()}
	for _, option := range options {
		if err := option.applyStorage(s); err != nil {
			return nil, fmt.Errorf("open a bucket: %w", err)
		}
	}
	opened, err := bucket.Open(ctx, bucketURL)
	if err != nil {
		return nil, err
	}
	s.bucket, s.place, s.folder, s.prefix = opened.Bucket, opened.Place, opened.Folder, opened.Prefix
	return s, nil
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
