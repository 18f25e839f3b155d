package blob

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/perdure-io/perdure/definitions"
)

// Stage writes the value to its object, whole or not at all.
func (s *Storage) Stage(ctx definitions.Context, at definitions.Slot, value any) (definitions.Staged, error) {
	if at.Token <= 0 {
		return nil, fmt.Errorf("store %s: the token is %d: only tokens above 0 can be stored", at, at.Token)
	}
	format, err := formatOf(reflect.TypeOf(value), s.tables)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", at, err)
	}
	v := &stored{storage: s, slot: at.String(), name: stem(at) + "." + format.Extension()}
	if err := s.write(ctx, v.name, format, value); err != nil {
		return nil, fmt.Errorf("store %s at %s: %w", at, v.Location(), err)
	}
	return v, nil
}

func (s *Storage) write(ctx context.Context, name string, format Format, value any) error {
	if s.folder != "" {
		// Writing would make the folder again, below the place where it was mounted.
		if present, err := s.present(ctx); err == nil && !present {
			return fmt.Errorf("%w: %s is gone: is it mounted, or was it removed?", definitions.ErrUnavailable, s.place)
		}
	}
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	var file *os.File
	writer, err := s.bucket.NewWriter(ctx, name, &blob.WriterOptions{
		ContentType: "application/octet-stream",
		BeforeWrite: func(as func(any) bool) error {
			if !as(&file) {
				file = nil
			}
			return nil
		},
	})
	if err != nil {
		return s.classify(ctx, err)
	}
	watched := &watchedWriter{writer: writer}
	err = format.Encode(watched, value)
	if err == nil && file != nil {
		// A record in Postgres survives a power cut, so the value it names must too.
		if err = file.Sync(); err != nil {
			watched.failed = err
		}
	}
	if err != nil {
		// A writer that closes after its context ended drops what was written.
		abort()
		_ = writer.Close()
		if watched.failed != nil {
			return s.classify(context.WithoutCancel(ctx), watched.failed)
		}
		return fmt.Errorf("write as %s: %w", format.Extension(), err)
	}
	return s.classify(ctx, writer.Close())
}

// Load reads the slot's object into *into; that of an external asset of which nothing is recorded (token 0) is what
// [Paths] name. A value that was stored in another format than [Tables] has now is read in the one that it was stored in,
// as the slot's Location says. The error wraps [definitions.ErrNotStored] when there is no such object, and
// [definitions.ErrUnavailable] when the bucket is not to be reached.
func (s *Storage) Load(ctx definitions.Context, at definitions.Slot, into any) error {
	target := reflect.TypeOf(into)
	if target == nil || target.Kind() != reflect.Pointer {
		return fmt.Errorf("load %s: a pointer is needed to load into, not %T", at, into)
	}
	format, err := formatOf(target.Elem(), s.tables)
	if err != nil {
		return fmt.Errorf("load %s: %w", at, err)
	}
	format = s.recordedFormat(at, target.Elem(), format)
	name := stem(at) + "." + format.Extension()
	if at.Token == 0 {
		if name, err = s.paths.of(at, assetName(at.Asset)+"."+format.Extension()); err != nil {
			return fmt.Errorf("load %s: %w", at, err)
		}
	}
	err = s.read(ctx, name, format, into)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, definitions.ErrNotStored) && at.Location != "" && at.Location != s.locate(name):
		return fmt.Errorf("load %s from %s: %w; its record says that it lies at %s: has the bucket changed?", at, s.locate(name), err, at.Location)
	default:
		return fmt.Errorf("load %s from %s: %w", at, s.locate(name), err)
	}
}

// recordedFormat is the format in which the slot's value was stored, where its location says so.
func (s *Storage) recordedFormat(at definitions.Slot, typ reflect.Type, now Format) Format {
	if at.Token == 0 {
		return now
	}
	extension, known := strings.CutPrefix(at.Location, s.locate(stem(at)+"."))
	if !known || extension == now.Extension() {
		return now
	}
	for _, format := range []Format{JSON(), CSV()} {
		if format.Extension() == extension && format.Accepts(typ) == nil {
			return format
		}
	}
	return now
}

func (s *Storage) read(ctx context.Context, name string, format Format, into any) error {
	reader, err := s.bucket.NewReader(ctx, name, nil)
	if err != nil {
		return s.classify(ctx, err)
	}
	watched := &watchedReader{reader: reader, ctx: ctx}
	err = format.Decode(watched, into)
	// Nothing was written, so closing can lose nothing.
	_ = reader.Close()
	switch {
	case watched.failed != nil:
		return s.classify(ctx, watched.failed)
	case err != nil:
		return fmt.Errorf("read as %s into %v: %w; if the type has changed, materialize the asset again",
			format.Extension(), reflect.TypeOf(into).Elem(), err)
	}
	return nil
}

// Resume finds the object that Stage wrote. An object is whole, or it is not there.
func (s *Storage) Resume(ctx definitions.Context, at definitions.Slot, location string) (definitions.Staged, error) {
	at.Location = location
	v, err := s.storedAt(at)
	if err != nil {
		return nil, fmt.Errorf("resume %s: %w", at, err)
	}
	if err := v.check(ctx); err != nil {
		return nil, fmt.Errorf("resume %s: %w", at, err)
	}
	return v, nil
}

// stored is one object.
type stored struct {
	storage    *Storage
	slot, name string
}

func (v *stored) Location() string { return v.storage.locate(v.name) }

// Publish makes sure that the object is there to be named; see the package's comment for why that is all.
func (v *stored) Publish(ctx definitions.Context) error {
	if err := v.check(ctx); err != nil {
		return fmt.Errorf("publish %s: %w", v.slot, err)
	}
	if v.storage.folder == "" {
		return nil
	}
	if err := v.storage.syncFolders(v.name); err != nil {
		return fmt.Errorf("publish %s at %s: %w", v.slot, v.Location(), v.storage.classify(ctx, err))
	}
	return nil
}

func (v *stored) check(ctx context.Context) error {
	exists, err := v.storage.bucket.Exists(ctx, v.name)
	switch {
	case err != nil:
		return fmt.Errorf("look for %s: %w", v.Location(), v.storage.classify(ctx, err))
	case exists:
		return nil
	}
	if present, err := v.storage.present(ctx); err == nil && !present {
		return fmt.Errorf("%w: %s is gone: is it mounted, or was it removed?", definitions.ErrUnavailable, v.storage.place)
	}
	return fmt.Errorf("%w at %s: it was removed since it was staged", definitions.ErrNotStored, v.Location())
}

// Discard deletes the object.
func (v *stored) Discard(ctx definitions.Context) error {
	err := v.storage.bucket.Delete(ctx, v.name)
	if err == nil || gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}
	return fmt.Errorf("discard %s at %s: %w", v.slot, v.Location(), v.storage.classify(ctx, err))
}

// syncFolders makes the names on the way to a file as durable as the file.
func (s *Storage) syncFolders(name string) error {
	if runtime.GOOS == "windows" {
		// Windows writes names through, and has no folders that can be synced.
		return nil
	}
	top := filepath.Clean(s.folder)
	for folder := filepath.Dir(filepath.Join(top, filepath.FromSlash(s.prefix+name))); ; folder = filepath.Dir(folder) {
		handle, err := os.Open(folder)
		if err != nil {
			return err
		}
		if err := errors.Join(handle.Sync(), handle.Close()); err != nil {
			return err
		}
		if folder == top || len(folder) <= len(top) {
			return nil
		}
	}
}
