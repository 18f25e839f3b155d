package partition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// SubsetVersion is the version of the JSON that [Subset.MarshalJSON] writes.
const SubsetVersion = 1

// subsetJSON is a subset by keys, so that it survives what changes positions: a later start, a key
// that is added or removed, a new zone database.
type subsetJSON struct {
	V    int        `json:"v"`
	Kind subsetKind `json:"kind"`
	// Of describes time windows; for a grid, each of its dimensions.
	Of []sideJSON `json:"of,omitempty"`
	sideKeys
	// Blocks are a grid's rectangles, one part for each dimension.
	Blocks [][2]sideKeys `json:"blocks,omitempty"`
}

type subsetKind string

const (
	subsetOfKeys    subsetKind = "keys" // static, dynamic, and "" of an asset without partitions
	subsetOfWindows subsetKind = "time"
	subsetOfGrid    subsetKind = "grid"
)

// sideJSON is what gives keys their meaning.
type sideJSON struct {
	Name string     `json:"name,omitempty"` // of a grid's dimension
	Kind subsetKind `json:"kind,omitempty"` // of a grid's dimension
	// The rest is of time windows.
	Cron    string     `json:"cron,omitempty"`
	Zone    string     `json:"zone,omitempty"`
	Format  string     `json:"format,omitempty"`
	Exclude Exclusions `json:"exclude,omitzero"`
}

// sideKeys are some keys of a set that is no grid.
type sideKeys struct {
	// Ranges are first and last keys of time windows; excluded ones between them do not count.
	Ranges [][2]string `json:"ranges,omitempty"`
	Keys   []string    `json:"keys,omitempty"`
}

// MarshalJSON writes the subset by its keys, time windows by ranges of them. Equal subsets of sets of
// one definition are written alike. [Set.Decode] reads it.
func (b Subset) MarshalJSON() ([]byte, error) {
	text := subsetJSON{V: SubsetVersion, Kind: subsetOfKeys}
	switch {
	case b.set == nil:
	case b.set.of.kind == KindGrid:
		text.Kind = subsetOfGrid
		for i, side := range b.set.of.dimensions {
			described := side.described()
			described.Name, described.Kind = b.set.of.names[i], side.subsetKind()
			text.Of = append(text.Of, described)
		}
		for _, one := range b.rows {
			text.Blocks = append(text.Blocks, [2]sideKeys{
				b.set.sides[0].written(spans{one.outer}), b.set.sides[1].written(one.inner),
			})
		}
	default:
		text.Kind = b.set.of.subsetKind()
		if text.Kind == subsetOfWindows {
			text.Of = []sideJSON{b.set.of.described()}
		}
		text.sideKeys = b.set.written(b.spans)
	}
	return json.Marshal(text)
}

func (p *Partitions) subsetKind() subsetKind {
	switch p.kind {
	case KindTime:
		return subsetOfWindows
	case KindGrid:
		return subsetOfGrid
	default:
		return subsetOfKeys
	}
}

func (p *Partitions) described() sideJSON {
	if p.kind != KindTime {
		return sideJSON{}
	}
	t := p.windows.normalized
	return sideJSON{Cron: t.Cron, Zone: t.Zone, Format: t.Format, Exclude: t.Exclude}
}

func (s *Set) written(positions spans) sideKeys {
	var keys sideKeys
	if s.of.kind == KindTime {
		for _, one := range positions {
			keys.Ranges = append(keys.Ranges, [2]string{s.keyOf(one.low), s.keyOf(one.high - 1)})
		}
		return keys
	}
	for position := range positions.all() {
		keys.Keys = append(keys.Keys, s.keys[position])
	}
	return keys
}

// ChangedError says that a stored subset is of a definition whose keys meant something else.
type ChangedError struct {
	// Set describes the set as it is now.
	Set string
	// Detail says what has changed.
	Detail string
}

// Error names the set and what has changed.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("the partitions have changed since the subset was stored: %s; they are now %s", e.Detail, e.Set)
}

// ErrBadSubset is returned for text that is not a stored subset, or one of a later version.
var ErrBadSubset = errors.New("not a stored subset of partitions")

// Decode reads what [Subset.MarshalJSON] wrote, checked against the set. Gone are the stored
// partitions that do not exist in it: removed keys, windows before a later start, after an earlier
// end, or newly excluded. The error is a [*ChangedError] when the definition has another kind, cron,
// zone, key format or other dimensions, so that keys do not mean what they meant, and wraps
// [ErrBadSubset] for anything else.
func (s *Set) Decode(data []byte) (subset Subset, gone KeyRanges, err error) {
	text, err := readSubset(data)
	if err != nil {
		return s.None(), nil, err
	}
	isEmpty := len(text.Keys)+len(text.Ranges)+len(text.Blocks) == 0
	if isEmpty && text.Kind == subsetOfKeys {
		return s.None(), nil, nil // also what the zero Subset is written as
	}
	if now := s.of.subsetKind(); text.Kind != now {
		return s.None(), nil, &ChangedError{s.String(), fmt.Sprintf("they were of kind %s", text.Kind)}
	}
	if text.Kind == subsetOfGrid {
		return s.decodeGrid(text)
	}
	described := sideJSON{}
	if text.Kind == subsetOfWindows {
		described = text.Of[0]
	}
	side, err := s.decodeSide(described, text.sideKeys)
	if err != nil {
		return s.None(), nil, err
	}
	return side.Subset, side.Missing, nil
}

func readSubset(data []byte) (subsetJSON, error) {
	var version struct{ V int }
	if err := json.Unmarshal(data, &version); err != nil {
		return subsetJSON{}, fmt.Errorf("%w: %w", ErrBadSubset, err)
	}
	if version.V != SubsetVersion {
		return subsetJSON{}, fmt.Errorf("%w: version %d is not %d, which this program reads", ErrBadSubset, version.V, SubsetVersion)
	}
	var text subsetJSON
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&text); err != nil {
		return subsetJSON{}, fmt.Errorf("%w: %w", ErrBadSubset, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return subsetJSON{}, fmt.Errorf("%w: more follows the JSON object", ErrBadSubset)
	}
	described := map[subsetKind]int{subsetOfKeys: 0, subsetOfWindows: 1, subsetOfGrid: 2}
	wanted, known := described[text.Kind]
	if !known || len(text.Of) != wanted {
		return subsetJSON{}, fmt.Errorf("%w: kind %q with %d descriptions", ErrBadSubset, text.Kind, len(text.Of))
	}
	return text, nil
}

func (s *Set) decodeGrid(text subsetJSON) (Subset, KeyRanges, error) {
	for i, side := range s.of.dimensions {
		if was := text.Of[i]; was.Name != s.of.names[i] || was.Kind != side.subsetKind() {
			return s.None(), nil, &ChangedError{s.String(), fmt.Sprintf("dimension %d was %q of kind %s", i+1, was.Name, was.Kind)}
		}
	}
	var parts []rows
	var gone KeyRanges
	for _, block := range text.Blocks {
		outer, err := s.sides[0].decodeSide(text.Of[0], block[0])
		if err != nil {
			return s.None(), nil, err
		}
		inner, err := s.sides[1].decodeSide(text.Of[1], block[1])
		if err != nil {
			return s.None(), nil, err
		}
		parts = append(parts, rowsOf(outer.Subset.spans, inner.Subset.spans))
		gone = append(gone, missingInProduct(outer, inner)...)
	}
	return Subset{set: s, rows: uniteRows(parts)}, uniqueRanges(gone), nil
}

// decodeSide reads the keys of a set that is no grid.
func (s *Set) decodeSide(was sideJSON, keys sideKeys) (Upstream, error) {
	if s.of.kind != KindTime {
		if len(keys.Ranges) > 0 {
			return Upstream{}, fmt.Errorf("%w: it has ranges of keys that are no time windows", ErrBadSubset)
		}
		return s.named(keys.Keys), nil
	}
	if len(keys.Keys) > 0 {
		return Upstream{}, fmt.Errorf("%w: it has single keys of time windows", ErrBadSubset)
	}
	w := s.of.windows
	is := s.of.described()
	for _, field := range []struct{ name, was, is string }{{"cron", was.Cron, is.Cron}, {"zone", was.Zone, is.Zone}, {"key format", was.Format, is.Format}} {
		if field.was != field.is {
			return Upstream{}, &ChangedError{s.String(), fmt.Sprintf("the %s was %q and is %q", field.name, field.was, field.is)}
		}
	}
	old := w
	if !slices.Equal(was.Exclude.Keys, is.Exclude.Keys) || !slices.Equal(was.Exclude.Crons, is.Exclude.Crons) {
		then := w.normalized
		then.Exclude, then.End = was.Exclude, ""
		var problems Problems
		if old = compileWindows(then, &problems); old == nil {
			return Upstream{}, fmt.Errorf("%w: %w", ErrBadSubset, problems)
		}
	}
	return s.decodeRanges(old, keys.Ranges)
}

// decodeRanges finds the windows of ranges that were written by old, which has the same keys.
func (s *Set) decodeRanges(old *windows, ranges [][2]string) (Upstream, error) {
	var wanted []span
	var excluded KeyRanges
	w := s.of.windows
	for _, one := range ranges {
		var ends [2]int
		for i, key := range one {
			tick, _, _ := old.parse(key)
			if tick == beyond {
				return Upstream{}, fmt.Errorf("%w: %q is not a key of %s", ErrBadSubset, key, s)
			}
			number, kept := old.numberOf(tick)
			if !kept {
				return Upstream{}, fmt.Errorf("%w: %q was excluded", ErrBadSubset, key)
			}
			ends[i] = number
		}
		numbers := span{ends[0], ends[1] + 1}
		if numbers.size() == 0 {
			return Upstream{}, fmt.Errorf("%w: the range %q to %q is reversed", ErrBadSubset, one[0], one[1])
		}
		if old == w {
			wanted = append(wanted, numbers)
			continue
		}
		for start, end := range old.runs(numbers) {
			wanted = append(wanted, w.beginning(start, end))
			excluded = append(excluded, w.excludedBetween(start, end)...)
		}
	}
	result := s.existing(spansOf(wanted))
	result.Missing = append(result.Missing, excluded...)
	return result, nil
}
