package partition

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Reason says why a text is not the key of an existing partition.
type Reason string

// The reasons.
const (
	// Malformed keys cannot be read: not of the set's format, or without as many parts as a grid has
	// dimensions.
	Malformed Reason = "malformed"
	// Unaligned keys name a time at which no window begins, or write its key in another way.
	Unaligned Reason = "unaligned"
	// Excluded keys are those of windows that the definition takes out.
	Excluded Reason = "excluded"
	// NonExistent keys are before the first partition, after the last, not there yet, or unknown.
	NonExistent Reason = "nonexistent"
)

// KeyError says that a text is not the key of an existing partition of a set.
type KeyError struct {
	// Key is the text.
	Key string
	// Set describes the set.
	Set string
	// Reason is what a program decides by.
	Reason Reason
	// Detail says the reason in words.
	Detail string
	// Nearest is the existing key that was probably meant; "" when there is none.
	Nearest string
}

// Error names key, set and reason, and the nearest key.
func (e *KeyError) Error() string {
	text := fmt.Sprintf("partition %q is not one of %s: %s", e.Key, e.Set, e.Detail)
	if e.Nearest != "" {
		text += fmt.Sprintf(" (nearest: %q)", e.Nearest)
	}
	return text
}

// KeyErrors are the keys of one list that are wrong, in its order.
type KeyErrors []*KeyError

// Error joins them by "; ".
func (e KeyErrors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "; ")
}

// Unwrap gives them one by one.
func (e KeyErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, one := range e {
		errs[i] = one
	}
	return errs
}

// position finds the number of a key's partition.
func (s *Set) position(key string) (int, *KeyError) {
	switch s.of.kind {
	case KindTime:
		return s.windowPosition(key)
	case KindGrid:
		return s.gridPosition(key)
	default:
		if position, known := s.positions[key]; known {
			return position, nil
		}
		return 0, s.unknown(key)
	}
}

func (s *Set) windowPosition(key string) (int, *KeyError) {
	w := s.of.windows
	wrong := func(reason Reason, near int64, format string, arguments ...any) *KeyError {
		return &KeyError{Key: key, Set: s.String(), Reason: reason, Detail: fmt.Sprintf(format, arguments...), Nearest: s.existingNear(near)}
	}
	tick, near, readable := w.parse(key)
	if !readable {
		return 0, wrong(Malformed, beyond, "it is not of the form %s", w.layout)
	}
	if tick == beyond {
		return 0, wrong(Unaligned, near, "no window begins there")
	}
	number, kept := w.numberOf(tick)
	switch {
	case tick < w.start:
		return 0, wrong(NonExistent, tick, "it is before the first")
	case !kept:
		return 0, wrong(Excluded, tick, "it is excluded")
	case number < s.count:
		return number, nil
	case w.endOf(tick) > w.end:
		return 0, wrong(NonExistent, tick, "it is after the last")
	case s.count == 0:
		return 0, wrong(NonExistent, tick, "none exists yet")
	default:
		return 0, wrong(NonExistent, tick, "it does not exist yet, the last is %q", w.keyAt(s.count-1))
	}
}

// existingNear is the key of the first existing window from an instant on, or else the last; "" when
// none exists, or the instant is beyond.
func (s *Set) existingNear(instant int64) string {
	if s.count == 0 || instant == beyond {
		return ""
	}
	w := s.of.windows
	return w.keyAt(min(max(w.kept.index(instant), 0), s.count-1))
}

func (s *Set) unknown(key string) *KeyError {
	detail := "there is no such key"
	if s.count == 0 {
		detail = "it has no keys"
	}
	return &KeyError{Key: key, Set: s.String(), Reason: NonExistent, Detail: detail, Nearest: nearestKey(key, s.keys)}
}

// gridSeparator stands between the two parts of a grid's key.
const gridSeparator = "|"

func (s *Set) gridPosition(key string) (int, *KeyError) {
	parts := strings.Split(key, gridSeparator)
	if len(parts) != 2 {
		detail := fmt.Sprintf("a key of the grid is %s|%s", s.of.names[0], s.of.names[1])
		return 0, &KeyError{Key: key, Set: s.String(), Reason: Malformed, Detail: detail}
	}
	var positions [2]int
	var first *KeyError
	nearest := [2]string{parts[0], parts[1]}
	for i, side := range s.sides {
		position, wrong := side.position(parts[i])
		positions[i] = position
		if wrong != nil {
			nearest[i] = wrong.Nearest
			if first == nil {
				first = &KeyError{Key: key, Set: s.String(), Reason: wrong.Reason}
			} else {
				first.Detail += "; "
			}
			first.Detail += fmt.Sprintf("%s %q: %s", s.of.names[i], parts[i], wrong.Detail)
		}
	}
	if first != nil {
		if nearest[0] != "" && nearest[1] != "" {
			first.Nearest = nearest[0] + gridSeparator + nearest[1]
		}
		return 0, first
	}
	return positions[0]*s.sides[1].count + positions[1], nil
}

// nearestKey is the key that is at most a third of its letters away; "" when none is, or the list is
// too long to look through.
func nearestKey(key string, keys []string) string {
	const mostKeys, longest = 10_000, 100
	if len(keys) > mostKeys || len(key) > longest {
		return ""
	}
	best, least := "", max(len(key)/3, 1)+1
	for _, candidate := range keys {
		if strings.EqualFold(candidate, key) {
			return candidate
		}
		if len(candidate) > longest || len(candidate)-len(key) >= least || len(key)-len(candidate) >= least {
			continue
		}
		if distance := levenshtein.ComputeDistance(key, candidate); distance < least {
			best, least = candidate, distance
		}
	}
	return best
}
