package computelog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/perdure-io/perdure/internal/bucket"
)

// DefaultLimit is how many bytes of one stream are kept when Options say nothing.
const DefaultLimit = 10 << 20

// Options say how much is kept.
type Options struct {
	// Limit is how many bytes of each stream of an execution are kept; 0 is DefaultLimit.
	Limit int64
	// FlushInterval is how long what was printed may stay in memory; 0 is half a second.
	FlushInterval time.Duration
}

// Store is where compute logs are kept. It is safe for concurrent use.
type Store struct {
	bucket  *bucket.Bucket
	options Options
}

// Open opens the bucket of that URL; Close ends it. See [bucket.Open] for the forms.
func Open(ctx context.Context, bucketURL string, options Options) (*Store, error) {
	if options.Limit <= 0 {
		options.Limit = DefaultLimit
	}
	if options.FlushInterval <= 0 {
		options.FlushInterval = flushInterval
	}
	opened, err := bucket.Open(ctx, bucketURL)
	if err != nil {
		return nil, fmt.Errorf("open the compute logs: %w", err)
	}
	return &Store{bucket: opened, options: options}, nil
}

// Close lets go of the bucket. What is stored stays.
func (s *Store) Close() error {
	if err := s.bucket.Close(); err != nil {
		return fmt.Errorf("close the compute logs: %w", err)
	}
	return nil
}

// Steps are the keys of the steps of a run that have printed, sorted.
func (s *Store) Steps(ctx context.Context, run string) ([]string, error) {
	folder := runFolder(run)
	var steps []string
	err := s.each(ctx, folder, "/", func(object *blob.ListObject) error {
		if object.IsDir {
			steps = append(steps, unescape(strings.TrimSuffix(strings.TrimPrefix(object.Key, folder), "/")))
		}
		return nil
	})
	slices.Sort(steps)
	return steps, err
}

// Executions are those of a step that have printed, in the order in which they began.
func (s *Store) Executions(ctx context.Context, run, step string) ([]Execution, error) {
	folder := stepFolder(run, step)
	var found []Execution
	err := s.each(ctx, folder, "/", func(object *blob.ListObject) error {
		segment := strings.TrimSuffix(strings.TrimPrefix(object.Key, folder), "/")
		if execution, ok := executionIn(run, step, segment); ok && object.IsDir {
			found = append(found, execution)
		}
		return nil
	})
	slices.SortFunc(found, Execution.compare)
	return found, err
}

func (s *Store) delete(ctx context.Context, folder string) error {
	var names []string
	err := s.each(ctx, folder, "", func(object *blob.ListObject) error {
		names = append(names, object.Key)
		return nil
	})
	for _, name := range names {
		if deleteErr := s.bucket.Delete(ctx, name); deleteErr != nil && gcerrors.Code(deleteErr) != gcerrors.NotFound {
			return errors.Join(err, fmt.Errorf("delete compute log %s: %w", name, deleteErr))
		}
	}
	if s.bucket.Folder != "" && err == nil {
		// A bucket of files keeps the folders of deleted objects.
		err = os.RemoveAll(filepath.Join(s.bucket.Folder, filepath.FromSlash(s.bucket.Prefix+folder)))
	}
	return err
}

// DeleteBefore removes the logs of every run that has printed nothing since then, and says how many runs those were.
func (s *Store) DeleteBefore(ctx context.Context, before time.Time) (runs int, err error) {
	var folders []string
	err = s.each(ctx, root, "/", func(object *blob.ListObject) error {
		if object.IsDir {
			folders = append(folders, object.Key)
		}
		return nil
	})
	for _, folder := range folders {
		var newest time.Time
		listErr := s.each(ctx, folder, "", func(object *blob.ListObject) error {
			if object.ModTime.After(newest) {
				newest = object.ModTime
			}
			return nil
		})
		if listErr != nil {
			return runs, errors.Join(err, listErr)
		}
		if !newest.Before(before) {
			continue
		}
		if deleteErr := s.delete(ctx, folder); deleteErr != nil {
			return runs, errors.Join(err, deleteErr)
		}
		runs++
	}
	return runs, err
}

// each visits what the names of objects under a prefix say.
func (s *Store) each(ctx context.Context, prefix, delimiter string, visit func(*blob.ListObject) error) error {
	objects := s.bucket.List(&blob.ListOptions{Prefix: prefix, Delimiter: delimiter})
	for {
		object, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = visit(object)
		}
		if err != nil {
			return fmt.Errorf("list compute logs at %s%s: %w", s.bucket.Place, prefix, err)
		}
	}
}
