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
	// maxPlainWalk is the size up to which a walk is plain JSON, readable in Temporal's Web UI.
	maxPlainWalk = 256 << 10
	// maxEncodedWalk keeps clear of Temporal's limit of 2 MB for a result, above which an activity fails for good.
	maxEncodedWalk = 1 << 20
	// maxDecodedWalk bounds what a walk may unpack to, so that a corrupt one cannot fill the memory.
	maxDecodedWalk = 256 << 20
)

// ErrTooLarge means that a walk has too many steps and edges for one run.
var ErrTooLarge = errors.New("the plan is too large for one run")

var gzipMagic = []byte{0x1f, 0x8b}

// EncodeWalk writes a walk as plain JSON of up to 256 KB, and as gzip of the same JSON above. It returns
// [ErrTooLarge] when that is over 1 MB: about 80,000 steps.
func EncodeWalk(walk *Walk) ([]byte, error) {
	data, err := json.Marshal(walk)
	if err != nil {
		return nil, fmt.Errorf("encode a walk of %d steps: %w", len(walk.Steps), err)
	}
	if len(data) <= maxPlainWalk {
		return data, nil
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write(data); err != nil {
		return nil, fmt.Errorf("compress a walk of %d steps: %w", len(walk.Steps), err)
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("compress a walk of %d steps: %w", len(walk.Steps), err)
	}
	if packed.Len() > maxEncodedWalk {
		return nil, fmt.Errorf("%w: %d steps take %d KB compressed, the limit is %d KB: select fewer assets",
			ErrTooLarge, len(walk.Steps), packed.Len()>>10, maxEncodedWalk>>10)
	}
	return packed.Bytes(), nil
}

// DecodeWalk reads what EncodeWalk wrote, in either form, and checks that it is a walk: every index lies inside it
// and every step comes before those that need it.
func DecodeWalk(data []byte) (*Walk, error) {
	if bytes.HasPrefix(data, gzipMagic) {
		unpacked, err := gunzip(data)
		if err != nil {
			return nil, fmt.Errorf("decode walk: %w", err)
		}
		data = unpacked
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
	unpacked, err := io.ReadAll(io.LimitReader(reader, maxDecodedWalk+1))
	if err != nil {
		return nil, err
	}
	if len(unpacked) > maxDecodedWalk {
		return nil, fmt.Errorf("it unpacks to more than %d MB", maxDecodedWalk>>20)
	}
	return unpacked, nil
}

// check says what [NewProgress] relies on.
func (w *Walk) check() error {
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
		for _, sources := range step.Inputs {
			for _, source := range sources {
				if source.Step < 0 || source.Step >= i {
					return fmt.Errorf("step %q, number %d, has number %d as source, out of order", step.Key, i, source.Step)
				}
			}
		}
	}
	return nil
}
