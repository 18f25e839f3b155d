package metadata

import (
	"context"
	"fmt"
)

// Provenance is what the current materialization of a partition was computed from, held against what is current now.
type Provenance struct {
	Partition   string `json:"partition"`
	CodeVersion string `json:"code_version"`
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
	jsonb_build_object('partition', c.partition, 'code_version', c.code_version, 'known', c.run_id <> '',
		'assets', (select jsonb_agg(distinct i->>'asset') from jsonb_array_elements(m.inputs) i),
		'changed', (
			select jsonb_agg(jsonb_build_object('asset', now.asset, 'partition', now.partition))
			from jsonb_array_elements(m.inputs) i
			join asset_partitions now on now.asset = i->>'asset' and now.partition = coalesce(i->>'partition', '')
			where now.position > (i->>'position')::bigint and now.data_version is distinct from coalesce(i->>'data_version', '')))
	from asset_partitions c join materializations m on m.id = c.materialization`

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
