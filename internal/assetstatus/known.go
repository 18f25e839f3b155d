package assetstatus

import (
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
)

// known is what the log says of an asset's partitions up to some position.
type known struct {
	set                                  *partition.Set
	materialized, failed, upstreamFailed partition.Subset
	// dropped are keys of the log that do not exist.
	dropped []partition.KeyRange
	// gone are the keys that dropped has; made at the first one.
	gone map[string]bool
	// latest are the keys that were read since the subsets were made, with what was read last of each: [known.settle] brings
	// them into the subsets, all at once.
	latest map[string]latest
}

// latest is what was read last of a key.
type latest struct {
	made    change
	failure change
	// upstream says which failure it is.
	upstream bool
}

type change int8

const (
	unchanged change = iota
	set
	cleared
)

func begin(of *partition.Set) *known {
	return &known{set: of, materialized: of.None(), failed: of.None(), upstreamFailed: of.None(), latest: map[string]latest{}}
}

// decode reads what is stored; nil when that is nothing that goes on.
func decode(of *partition.Set, stored metadata.StoredStatus) (*known, error) {
	if !stored.Cached {
		return nil, nil //nolint:nilnil // nothing is stored: that is no error
	}
	k := begin(of)
	k.dropped = stored.Dropped
	for _, keys := range stored.Dropped {
		if of.Has(keys.First) || of.Has(keys.Last) {
			return nil, nil //nolint:nilnil // keys exist again, and the subsets do not have them
		}
	}
	var gone partition.KeyRanges
	var err error
	for _, part := range []struct {
		subset *partition.Subset
		data   []byte
	}{{&k.materialized, stored.Materialized}, {&k.failed, stored.Failed}, {&k.upstreamFailed, stored.UpstreamFailed}} {
		if *part.subset, gone, err = of.Decode(part.data); err != nil {
			return nil, err
		}
		k.dropped = append(k.dropped, gone...)
	}
	return k, nil
}

// read brings in all that is known of the asset.
func (k *known) read(history metadata.AssetHistory, external bool) {
	k.find(history.Made)
	if external {
		k.find(history.Observed)
	}
	for _, end := range history.Ends {
		k.ended(end)
	}
}

// find brings in keys of which something was made.
func (k *known) find(keys []string) {
	found, gone := k.set.Find(keys)
	k.materialized = k.materialized.Union(found)
	for _, key := range gone {
		k.dropped = append(k.dropped, partition.KeyRange{First: key, Last: key, Count: 1})
	}
}

func (k *known) apply(event metadata.StatusEvent, external bool) {
	switch event.Type {
	case metadata.EventMaterialization:
		k.made(event.Partition)
	case metadata.EventObservation:
		if external {
			k.made(event.Partition)
		}
	case metadata.EventFailedToMaterialize:
		k.ended(event.Body)
	case metadata.EventWiped:
		if event.Body.All {
			fresh := begin(k.set)
			*k = *fresh
		}
		for _, key := range event.Body.Wiped {
			k.change(key, latest{made: cleared, failure: cleared})
		}
	default:
	}
}

func (k *known) made(key string) { k.change(key, latest{made: set, failure: cleared}) }

// ended brings in what a run left undone.
func (k *known) ended(end metadata.StatusEventBody) {
	for _, key := range end.Skipped {
		k.change(key, latest{failure: cleared})
	}
	for _, key := range end.UpstreamFailed {
		k.change(key, latest{failure: set, upstream: true})
	}
	for _, key := range end.Failed {
		k.change(key, latest{failure: set})
	}
}

func (k *known) change(key string, now latest) {
	if !k.set.Has(key) {
		if now.made == set || now.failure == set {
			k.drop(key)
		}
		return
	}
	if now.made == unchanged {
		now.made = k.latest[key].made
	}
	k.latest[key] = now
}

// drop remembers that the log has something of a key that does not exist.
func (k *known) drop(key string) {
	if k.gone == nil {
		k.gone = make(map[string]bool, len(k.dropped))
		for _, keys := range k.dropped {
			k.gone[keys.First], k.gone[keys.Last] = true, true
		}
	}
	if k.gone[key] {
		return
	}
	k.gone[key] = true
	k.dropped = append(k.dropped, partition.KeyRange{First: key, Last: key, Count: 1})
}

// settle brings what was read into the subsets.
func (k *known) settle() error {
	var made, unmade, failed, upstream, fine []string
	for key, now := range k.latest {
		switch now.made {
		case set:
			made = append(made, key)
		case cleared:
			unmade = append(unmade, key)
		default:
		}
		switch {
		case now.failure == cleared:
			fine = append(fine, key)
		case now.failure == set && now.upstream:
			upstream = append(upstream, key)
		case now.failure == set:
			failed = append(failed, key)
		default:
		}
	}
	clear(k.latest)
	subsets := make([]partition.Subset, 0, 5)
	for _, keys := range [][]string{made, unmade, failed, upstream, fine} {
		subset, err := k.set.Of(keys...)
		if err != nil {
			return err
		}
		subsets = append(subsets, subset)
	}
	k.materialized = k.materialized.Union(subsets[0]).Difference(subsets[1])
	k.failed = k.failed.Difference(subsets[4]).Difference(subsets[3]).Union(subsets[2])
	k.upstreamFailed = k.upstreamFailed.Difference(subsets[4]).Difference(subsets[2]).Union(subsets[3])
	return nil
}
