package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"

	"gocloud.dev/gcerrors"

	"github.com/perdure-io/perdure/definitions"
)

// outages are what a file system says when it is away or full: somebody puts that right, and the step goes on.
var outages = []error{
	syscall.EIO, syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.ETIMEDOUT, syscall.ENOTCONN, syscall.EHOSTDOWN,
	syscall.EHOSTUNREACH, syscall.ESTALE, syscall.EDQUOT,
}

func isOutage(err error) bool {
	return slices.ContainsFunc(outages, func(outage error) bool { return errors.Is(err, outage) })
}

// classify wraps a bucket's error with what a caller decides by.
func (s *Storage) classify(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	switch code := gcerrors.Code(err); code {
	case gcerrors.NotFound:
		if present, accessErr := s.present(ctx); accessErr == nil && !present {
			return fmt.Errorf("%w: %s is gone: is it mounted, or was it removed?", definitions.ErrUnavailable, s.place)
		}
		return fmt.Errorf("%w: %w", definitions.ErrNotStored, err)
	case gcerrors.Internal, gcerrors.ResourceExhausted, gcerrors.DeadlineExceeded, gcerrors.Canceled:
		return fmt.Errorf("%w: %w", definitions.ErrUnavailable, err)
	case gcerrors.Unknown:
		// The drivers of clouds say Unknown of everything on the way to them, that of files of all that is not "not found".
		if s.folder == "" || isOutage(err) {
			return fmt.Errorf("%w: %w", definitions.ErrUnavailable, err)
		}
	}
	return err
}

// watchedReader remembers how reading failed, to tell the store's failure from a value that cannot be decoded.
type watchedReader struct {
	reader io.Reader
	ctx    context.Context //nolint:containedctx // io.Reader has no parameter for it, and a value lives no longer than one Load
	failed error
}

func (w *watchedReader) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		w.failed = context.Cause(w.ctx)
		return 0, w.failed
	}
	n, err := w.reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed = err
	}
	return n, err
}

// watchedWriter is the same for writing.
type watchedWriter struct {
	writer io.Writer
	failed error
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	n, err := w.writer.Write(p)
	if err != nil {
		w.failed = err
	}
	return n, err
}
