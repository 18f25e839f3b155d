package blob

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gocloud.dev/gcerrors"

	"github.com/perdure-io/perdure/definitions"
)

const (
	// stableName is the name, before the extension, of the copy of an asset's current value, and tokenName of the object
	// that says which value that is.
	stableName = "current"
	tokenName  = "current.token"
)

// StablePaths also keeps each asset's current value under a fixed name, for readers outside of Perdure:
// "route_delays/current.csv", and "route_delays/partition=2001-01-01/current.csv" for a partition. It is copied when the
// value is recorded; a reader may for a moment still find the one before, and never a half one.
func StablePaths() Option {
	return option(func(s *Storage) error {
		s.stable = true
		return nil
	})
}

// Remove deletes the slot's object, and the copy of [StablePaths] while it is of that value. What is already gone is no error.
func (s *Storage) Remove(ctx definitions.Context, at definitions.Slot) error {
	v, err := s.storedAt(at)
	if err != nil {
		return fmt.Errorf("remove %s: %w", at, err)
	}
	if s.stable && at.Asset != "" {
		if err := s.removeStable(ctx, at, v); err != nil {
			return fmt.Errorf("remove %s: %w", at, err)
		}
	}
	return v.Discard(ctx)
}

// removeStable leaves the object that says which value the copy was of, so that an earlier one does not take its place.
func (s *Storage) removeStable(ctx context.Context, at definitions.Slot, v *stored) error {
	folder, name := v.stable(at)
	has, err := s.stableToken(ctx, folder)
	if err != nil || has != at.Token {
		return err
	}
	if err := s.bucket.Delete(ctx, name); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete %s: %w", s.locate(name), s.classify(ctx, err))
	}
	return nil
}

// stable is the folder of the copy of a slot's value, and its name.
func (v *stored) stable(at definitions.Slot) (folder, name string) {
	folder = strings.TrimSuffix(stem(at), strconv.FormatInt(at.Token, 10))
	return folder, folder + stableName + v.name[strings.LastIndexByte(v.name, '.'):]
}

// storedAt is the object of a slot whose value was stored here, as its location says.
func (s *Storage) storedAt(at definitions.Slot) (*stored, error) {
	start := s.locate(stem(at) + ".")
	extension, ok := strings.CutPrefix(at.Location, start)
	if !ok || checkExtension(extension) != nil {
		return nil, fmt.Errorf("it is recorded at %s, and here it would be %s…: the workers' buckets differ", at.Location, start)
	}
	return &stored{storage: s, slot: at.String(), name: stem(at) + "." + extension}, nil
}

// Settle keeps the copy of [StablePaths]; without that option it does nothing.
func (s *Storage) Settle(ctx definitions.Context, at definitions.Slot) error {
	if !s.stable || at.Asset == "" {
		return nil
	}
	v, err := s.storedAt(at)
	if err != nil {
		return err
	}
	folder, name := v.stable(at)
	has, err := s.stableToken(ctx, folder)
	if err != nil || has >= at.Token {
		return err
	}
	if err := s.bucket.Copy(ctx, name, v.name, nil); err != nil {
		return fmt.Errorf("copy %s to %s: %w", v.Location(), s.locate(name), s.classify(ctx, err))
	}
	if err := s.bucket.WriteAll(ctx, folder+tokenName, strconv.AppendInt(nil, at.Token, 10), nil); err != nil {
		return fmt.Errorf("say which value %s is: %w", s.locate(name), s.classify(ctx, err))
	}
	return nil
}

// stableToken is the token of the value that a folder's copy is of; 0 when there is none.
func (s *Storage) stableToken(ctx context.Context, folder string) (int64, error) {
	text, err := s.bucket.ReadAll(ctx, folder+tokenName)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", s.locate(folder+tokenName), s.classify(ctx, err))
	}
	token, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("%s is no token: delete it", s.locate(folder+tokenName)), err)
	}
	return token, nil
}

var (
	_ definitions.Remover = (*Storage)(nil)
	_ definitions.Settler = (*Storage)(nil)
)
