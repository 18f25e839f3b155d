package metadata

import (
	"context"
	"fmt"

	"github.com/lib/pq"
)

// Provenance is what the current materialization of a partition was computed from, held against what is current now.
type Provenance struct {
	Partition   string `json:"partition"`
	CodeVersion string `json:"code_version"`
	// Position is that of the materialization in the log.
	Position int64 `json:"position"`
	// Known says that it was computed by a step, which recorded its inputs; a report has none.
	Known bool `json:"known"`
	// Assets are the keys of its inputs, sorted; Changed are the inputs of which there is another data version since.
	Assets  []string         `json:"assets"`
	Changed []ProvenanceEdge `json:"changed"`
}

// ProvenanceEdge is one input of a materialization.
type ProvenanceEdge struct {
	Asset     string `json:"asset"`
	Partition string `json:"partition"`
}

const provenanceColumns = `
	jsonb_build_object('partition', c.partition, 'code_version', c.code_version, 'position', c.position, 'known', c.run_id <> '',
		'assets', (select jsonb_agg(distinct i->>'asset') from jsonb_array_elements(m.inputs) i),
		'changed', (
			select jsonb_agg(jsonb_build_object('asset', now.asset, 'partition', now.partition))
			from jsonb_array_elements(m.inputs) i
			join asset_partitions now on now.asset = i->>'asset' and now.partition = coalesce(i->>'partition', '')
			where now.position > (i->>'position')::bigint and now.data_version is distinct from coalesce(i->>'data_version', '')))
	from asset_partitions c join materializations m on m.id = c.materialization`

// MadeAt reads the log positions of the current materializations of some partitions of an asset; those that have none are left
// out. That of an asset without partitions is under "".
func (s *Store) MadeAt(ctx context.Context, asset string, partitions []string) (map[string]int64, error) {
	found, err := rows[struct {
		Partition string `json:"partition"`
		Position  int64  `json:"position"`
	}](ctx, s, fmt.Sprintf("read when asset %q was made", asset), `
		select jsonb_build_object('partition', partition, 'position', position)
		from asset_partitions where asset = $1 and partition = any ($2)`, asset, pq.Array(partitions))
	if err != nil {
		return nil, err
	}
	made := make(map[string]int64, len(found))
	for _, one := range found {
		made[one.Partition] = one.Position
	}
	return made, nil
}

// Provenances reads those of an asset's materialized partitions, in the order of their keys as Postgres has it: those behind
// after, or from the first when first is true. At most 1,000.
func (s *Store) Provenances(ctx context.Context, asset, after string, first bool) ([]Provenance, error) {
	return rows[Provenance](ctx, s, fmt.Sprintf("read what asset %q was computed from", asset),
		`select `+provenanceColumns+` where c.asset = $1 and ($3 or c.partition > $2) order by c.partition limit $4`, asset, after, first, maxLimit)
}

// Provenance reads that of one partition; nil when it has no materialization.
func (s *Store) Provenance(ctx context.Context, asset, partition string) (*Provenance, error) {
	found, err := rows[Provenance](ctx, s, fmt.Sprintf("read what asset %q was computed from", asset),
		`select `+provenanceColumns+` where c.asset = $1 and c.partition = $2`, asset, partition)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}
