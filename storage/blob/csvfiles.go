package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"

	"github.com/perdure-io/perdure/definitions"
)

// Files reads CSV files as the values of external assets. It writes nothing.
type Files struct {
	fsys  fs.FS
	paths Paths
}

var _ definitions.InputManager = (*Files)(nil)

// CSVFiles reads the file "<asset key>.csv" of fsys, or the one that [Paths] name, in the format of [CSV]:
// os.DirFS("data") for a folder, or an embed.FS. External assets name it with [definitions.LoadedBy]. A partitioned one has a file
// for each partition, which Paths must name; where one file holds many, declare it without partitions, and have the function that loads it
// take the rows of its partition's window.
func CSVFiles(fsys fs.FS, options ...FilesOption) *Files {
	f := &Files{fsys: fsys}
	for _, option := range options {
		option.applyFiles(f)
	}
	return f
}

// FilesOption changes [CSVFiles].
type FilesOption interface{ applyFiles(*Files) }

// Accepts takes slices of flat structs; see [CSV].
func (*Files) Accepts(t reflect.Type) error { return CSV().Accepts(t) }

// Load reads the asset's file into *into. The error wraps [definitions.ErrNotStored] when there is no such file, and
// [definitions.ErrUnavailable] when the file system is not to be reached.
func (f *Files) Load(ctx definitions.Context, at definitions.Slot, into any) error {
	name, err := f.paths.of(at, at.Asset+".csv")
	if err != nil {
		return fmt.Errorf("load %s: %w", at, err)
	}
	if err := f.load(ctx, name, into); err != nil {
		return fmt.Errorf("load %s from %s: %w", at, name, err)
	}
	return nil
}

func (f *Files) load(ctx definitions.Context, name string, into any) error {
	file, err := f.fsys.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no such file: put it there, or name another with blob.Paths", definitions.ErrNotStored)
	case isOutage(err):
		return fmt.Errorf("%w: %w", definitions.ErrUnavailable, err)
	case err != nil:
		return err
	}
	reader := &watchedReader{reader: file, ctx: ctx}
	err = CSV().Decode(reader, into)
	if isOutage(reader.failed) {
		err = fmt.Errorf("%w: %w", definitions.ErrUnavailable, reader.failed)
	}
	// Nothing was written, so closing can lose nothing.
	_ = file.Close()
	return err
}
