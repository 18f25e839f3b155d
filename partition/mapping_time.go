package partition

// identity gives the partitions of the same keys, of sets that are not both grids.
func identity(from Subset, to *Set) Upstream {
	switch {
	case from.set == to:
		return Upstream{Subset: from}
	case from.set.of.kind == KindStatic && from.set.of.fingerprint == to.of.fingerprint:
		return Upstream{Subset: Subset{set: to, spans: from.spans}}
	case from.set.of.kind == KindTime && to.of.kind == KindTime && from.set.of.windows.sameKeys(to.of.windows):
		var wanted []span
		var missing KeyRanges
		a, b := from.set.of.windows, to.of.windows
		for _, numbers := range from.spans {
			for start, end := range a.runs(numbers) {
				wanted = append(wanted, b.beginning(start, end))
				missing = append(missing, b.excludedBetween(start, end)...)
			}
		}
		existing := to.existing(spansOf(wanted))
		existing.Missing = append(existing.Missing, missing...)
		return existing
	default:
		var keys []string
		for key := range from.Keys() {
			keys = append(keys, key)
		}
		return to.named(keys)
	}
}

// existing splits numbers of windows into those that exist and those that do not.
func (s *Set) existing(numbers spans) Upstream {
	all := span{0, s.count}
	outside := numbers.combine(spans(nil).with(all), onlyLeft)
	if all.size() == 0 {
		outside = numbers
	}
	result := Upstream{Subset: Subset{set: s, spans: numbers.clip(all)}}
	for _, one := range outside {
		result.Missing = append(result.Missing, s.rangeOf(one))
	}
	return result
}

// excludedBetween are the windows that begin in [start, end) and are excluded.
func (w *windows) excludedBetween(start, end int64) KeyRanges {
	if w.all == w.kept {
		return nil
	}
	var missing KeyRanges
	report := func(from, to int64) {
		first, last := w.all.index(from), w.all.index(to)-1
		if last < first {
			return
		}
		firstTick, _ := w.all.at(first)
		lastTick, _ := w.all.at(last)
		missing = append(missing, KeyRange{w.keyOf(firstTick), w.keyOf(lastTick), last - first + 1})
	}
	at := start
	for keptStart, keptEnd := range w.runs(w.beginning(start, end)) {
		report(at, keptStart)
		at = keptEnd
	}
	report(at, end)
	return missing
}

// timeUpstream maps a subset of downstream windows: each needs the upstream windows that overlap the
// downstream windows from StartOffset to EndOffset beside it.
func (m Mapping) timeUpstream(from Subset, to *Set) Upstream {
	a, b := from.set.of.windows, to.of.windows
	var needed []span
	for _, numbers := range from.spans {
		shifted := span{numbers.low + m.StartOffset, numbers.high + m.EndOffset}
		needed = append(needed, overlaps(a, shifted, b)...)
	}
	numbers := spansOf(needed)
	if to.count > 0 {
		// A shift does not push out of the upstream's partitions.
		if m.StartOffset < 0 {
			numbers = numbers.combine(spans{{lowest, 0}}, onlyLeft)
		}
		if m.EndOffset > 0 {
			numbers = numbers.combine(spans{{to.count, highest}}, onlyLeft)
		}
	}
	result := to.existing(numbers)
	if m.AllowNonexistent {
		result.Missing = nil
	}
	return result
}

// Beyond any number of a window.
const (
	lowest  = -1 << 60
	highest = 1 << 60
)

// timeDownstream is the converse of timeUpstream, of partitions that exist.
func (m Mapping) timeDownstream(from Subset, to *Set) Subset {
	a, b := from.set.of.windows, to.of.windows
	var affected []span
	for _, numbers := range from.spans {
		for _, one := range overlaps(a, numbers, b) {
			affected = append(affected, span{one.low - m.EndOffset, one.high - m.StartOffset})
		}
	}
	return Subset{set: to, spans: spansOf(affected).clip(span{0, to.count})}
}

// overlaps gives the windows of b that overlap those of a range of a's numbers.
func overlaps(a *windows, numbers span, b *windows) []span {
	if a.sameKeys(b) && a.exclusions == b.exclusions {
		first, firstOK := a.startOf(numbers.low)
		last, lastOK := a.startOf(numbers.high - 1)
		if firstOK && lastOK {
			return []span{{b.kept.index(first), b.kept.index(last) + 1}}
		}
	}
	var found []span
	for start, end := range a.runs(numbers) {
		if one := b.overlapping(start, end); one.size() > 0 {
			found = append(found, one)
		}
	}
	return found
}
