package plan

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// WalkVersion is the version of the walk's JSON that this code writes; it reads this one and the one before.
const WalkVersion = 1

const (
	// maxPlain is the size up to which a walk or a state is plain JSON, readable in Temporal's Web UI.
	maxPlain = 256 << 10
	// maxEncoded keeps clear of Temporal's limit of 2 MB for a result, above which an activity fails for good.
	maxEncoded = 1 << 20
	// maxDecoded bounds what one may unpack to, so that a corrupt one cannot fill the memory.
	maxDecoded = 256 << 20
)

// ErrTooLarge means that a walk has too many steps and edges for one run.
var ErrTooLarge = errors.New("the plan is too large for one run")

var gzipMagic = []byte{0x1f, 0x8b}

// EncodeWalk writes a walk as plain JSON of up to 256 KB, and as gzip of the same JSON above. It returns
// [ErrTooLarge] when that is over 1 MB: about 80,000 steps.
func EncodeWalk(walk *Walk) ([]byte, error) {
	return encode(walk, fmt.Sprintf("a walk of %d steps", len(walk.Steps)))
}

// encode writes JSON, compressed when it is long; what names it in errors.
func encode(value any, what string) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	if len(data) <= maxPlain {
		return data, nil
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write(data); err != nil {
		return nil, fmt.Errorf("compress %s: %w", what, err)
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("compress %s: %w", what, err)
	}
	if packed.Len() > maxEncoded {
		return nil, fmt.Errorf("%w: %s takes %d KB compressed, the limit is %d KB: select less, or give a dynamic output fewer or shorter keys",
			ErrTooLarge, what, packed.Len()>>10, maxEncoded>>10)
	}
	return packed.Bytes(), nil
}

// unpack gives the JSON of what encode wrote.
func unpack(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, gzipMagic) {
		return data, nil
	}
	return gunzip(data)
}

// DecodeWalk reads what EncodeWalk wrote, in either form, and checks that it is a walk: every index lies inside it
// and every step comes before those that need it.
func DecodeWalk(data []byte) (*Walk, error) {
	data, err := unpack(data)
	if err != nil {
		return nil, fmt.Errorf("decode walk: %w", err)
	}
	var walk Walk
	if err := json.Unmarshal(data, &walk); err != nil {
		return nil, fmt.Errorf("decode walk: %w", err)
	}
	if walk.V < WalkVersion-1 || walk.V > WalkVersion {
		return nil, fmt.Errorf("decode walk: it has version %d, this program reads %d and %d: upgrade it", walk.V, WalkVersion-1, WalkVersion)
	}
	if err := walk.check(); err != nil {
		return nil, fmt.Errorf("decode walk: %w", err)
	}
	return &walk, nil
}

func gunzip(data []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	unpacked, err := io.ReadAll(io.LimitReader(reader, maxDecoded+1))
	if err != nil {
		return nil, err
	}
	if len(unpacked) > maxDecoded {
		return nil, fmt.Errorf("it unpacks to more than %d MB", maxDecoded>>20)
	}
	return unpacked, nil
}

// check says what [NewProgress] relies on.
func (w *Walk) check() error {
	for i, kind := range w.Kinds {
		for _, under := range kind.Limits {
			if under.Limit < 0 || under.Limit >= len(w.TagLimits) {
				return fmt.Errorf("kind %d is under the tag limit %d of %d", i, under.Limit, len(w.TagLimits))
			}
		}
	}
	for i, step := range w.Steps {
		if step.Kind < 0 || step.Kind >= len(w.Kinds) {
			return fmt.Errorf("step %q has kind %d of %d", step.Key, step.Kind, len(w.Kinds))
		}
		last := i
		for _, next := range step.Next {
			if next <= last || next >= len(w.Steps) {
				return fmt.Errorf("step %q, number %d of %d, is followed by number %d, out of order", step.Key, i, len(w.Steps), next)
			}
			last = next
		}
		if err := w.checkMapped(i, step); err != nil {
			return err
		}
		for _, sources := range step.Inputs {
			for _, source := range sources {
				if source.Step < 0 || source.Step >= i {
					return fmt.Errorf("step %q, number %d, has number %d as source, out of order", step.Key, i, source.Step)
				}
			}
		}
	}
	if w.Start == nil {
		return nil
	}
	return newProgress(w).restore(*w.Start)
}

// checkMapped checks what a step of the walk says of a dynamic output.
func (w *Walk) checkMapped(i int, step WalkStep) error {
	fan := step.Over - 1
	switch {
	case fan < -1 || fan >= i:
		return fmt.Errorf("step %q, number %d, is mapped over number %d, out of order", step.Key, i, fan)
	case fan >= 0 && step.Fan:
		return fmt.Errorf("step %q, number %d, is mapped and has a dynamic output itself", step.Key, i)
	case fan >= 0 && !w.Steps[fan].Fan:
		return fmt.Errorf("step %q, number %d, is mapped over number %d, which has no dynamic output", step.Key, i, fan)
	}
	return nil
}
