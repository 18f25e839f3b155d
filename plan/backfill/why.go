package backfill

import (
	"fmt"
	"slices"
	"strings"
)

// maxWhy is how many assets a reason names.
const maxWhy = 5

// Why says why a run is one of its own, and after what it starts.
func (b *Backfill) Why(run Run) (string, error) {
	if run.Again != "" {
		return "what failed in run " + run.Again, nil
	}
	first := b.byKey[run.Assets[0]]
	var reason string
	switch {
	case !first.isPartitioned():
		reason = "not partitioned: made once"
	case !run.Ranged:
		reason = "one run for each partition"
	case first.most() == 0:
		reason = "one run for consecutive partitions"
	default:
		reason = fmt.Sprintf("a run for at most %d consecutive partitions", first.most())
	}
	var after []string
	for _, key := range run.Assets {
		for _, n := range b.byKey[key].up {
			if slices.Contains(run.Assets, n.up.Key) && !n.within() || slices.Contains(after, n.up.Key) {
				continue
			}
			needed, err := n.link.Upstream(run.Subset, n.up.Target.Set())
			if err != nil {
				return "", fmt.Errorf("what %q needs of %q: %w", key, n.up.Key, err)
			}
			open := needed.Subset.Intersection(n.up.Target)
			if slices.Contains(run.Assets, n.up.Key) {
				open = open.Difference(run.Subset)
			}
			if !open.IsEmpty() {
				after = append(after, n.up.Key)
			}
		}
	}
	if len(after) > maxWhy {
		after = append(after[:maxWhy], fmt.Sprintf("%d more", len(after)-maxWhy))
	}
	if len(after) > 0 {
		reason += ", after what it needs of " + strings.Join(after, ", ")
	}
	return reason, nil
}
