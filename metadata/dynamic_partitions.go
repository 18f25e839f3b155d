package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// PartitionChange adds keys to a dynamic partition set, or removes some.
type PartitionChange struct {
	// Name is the set's; sets need not be made before keys are added.
	Name string   `json:"name"`
	Keys []string `json:"keys"`
	// Who changes it, and Why, for people; the event keeps them.
	Who string `json:"who"`
	Why string `json:"why"`
}

// PartitionsChanged says which of the keys a change changed: Unchanged ones were there already, or were not there.
type PartitionsChanged struct {
	Changed   []string `json:"changed"`
	Unchanged []string `json:"unchanged"`
}

// AddPartitions adds keys to a dynamic set, in the order given, behind those that it has. Those that it has stay where they are.
func (s *Store) AddPartitions(ctx context.Context, change PartitionChange) (PartitionsChanged, error) {
	change.Keys = orEmpty(change.Keys)
	return call[PartitionsChanged](ctx, s, fmt.Sprintf("add %d keys to the partition set %q", len(change.Keys), change.Name), "add_partitions_v1", change)
}

// RemovePartitions removes keys from a dynamic set. What was made of them stays, and counts again when they are added again.
func (s *Store) RemovePartitions(ctx context.Context, change PartitionChange) (PartitionsChanged, error) {
	change.Keys = orEmpty(change.Keys)
	return call[PartitionsChanged](ctx, s, fmt.Sprintf("remove %d keys from the partition set %q", len(change.Keys), change.Name), "remove_partitions_v1", change)
}

// DynamicKeys returns all keys of each of the sets, in the order in which they were added; a set without keys is left out.
func (s *Store) DynamicKeys(ctx context.Context, names []string) (map[string][]string, error) {
	keys := make(map[string][]string, len(names))
	if len(names) == 0 {
		return keys, nil
	}
	found, err := rows[struct {
		Name string   `json:"name"`
		Keys []string `json:"keys"`
	}](ctx, s, "read the keys of dynamic partition sets", `
		select json_build_object('name', name, 'keys', json_agg(key order by place)) from dynamic_partitions
		where name = any ($1) group by name`, pq.Array(names))
	if err != nil {
		return nil, err
	}
	for _, set := range found {
		keys[set.Name] = set.Keys
	}
	return keys, nil
}

// DynamicPartition is a key of a dynamic set.
type DynamicPartition struct {
	Key string `json:"key"`
	// Place grows in the order in which keys were added; those that are removed leave gaps.
	Place   int64     `json:"place"`
	AddedAt time.Time `json:"added_at"`
}

// DynamicPartitions lists the keys of a dynamic set in the order in which they were added.
func (s *Store) DynamicPartitions(ctx context.Context, name, cursor string, limit int) (Page[DynamicPartition], error) {
	operation := fmt.Sprintf("list the partition set %q", name)
	after, err := cursorOf[int64](cursor)
	if err != nil {
		return Page[DynamicPartition]{}, fmt.Errorf("%s: %w", operation, err)
	}
	found, err := rows[DynamicPartition](ctx, s, operation, `
		select to_jsonb(page) from (
			select key, place, added_at from dynamic_partitions where name = $1 and place > $2 order by place limit $3) page`,
		name, after, pageSize(limit)+1)
	if err != nil {
		return Page[DynamicPartition]{}, err
	}
	return pageOf(found, pageSize(limit), func(last DynamicPartition) int64 { return last.Place })
}

// DynamicSet is a dynamic set that has keys.
type DynamicSet struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// DynamicSets lists the dynamic sets that have keys, by name.
func (s *Store) DynamicSets(ctx context.Context) ([]DynamicSet, error) {
	return rows[DynamicSet](ctx, s, "list the dynamic partition sets", `
		select json_build_object('name', name, 'count', count(*)) from dynamic_partitions group by name order by name`)
}
