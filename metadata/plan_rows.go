package metadata

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// plannedRow is a row of plan_steps.
type plannedRow struct {
	Step  string `json:"step"`
	Index int    `json:"idx"`
	// Place is a mapped step's among those of its template, from 1.
	Place int    `json:"place,omitempty"`
	Type  string `json:"type"`
	Shape string `json:"shape"`
	// Assets and Partitions are what it writes, in the order in which every claim locks it.
	Assets     []string          `json:"assets"`
	Partitions []string          `json:"partitions"`
	Inputs     []plan.StepInput  `json:"inputs,omitempty"`
	Values     []plan.ValueInput `json:"op_values,omitempty"`
	MadeOf     []string          `json:"made_of,omitempty"`
	MaxLost    int               `json:"max_lost"`
	Pool       string            `json:"pool,omitempty"`
	// Body is nil of a mapped step, which has its template's.
	Body          json.RawMessage  `json:"body,omitempty"`
	Over          string           `json:"over,omitempty"`
	Template      string           `json:"template,omitempty"`
	MappingKey    string           `json:"mapping_key,omitempty"`
	InheritedFrom string           `json:"inherited_from,omitempty"`
	Result        *wire.StepResult `json:"result,omitempty"`
}

func rowOf(p *plan.Plan, index int) (plannedRow, error) {
	step := p.Steps[index]
	writes := writesOf(step)
	body, err := json.Marshal(step)
	if err != nil {
		return plannedRow{}, err
	}
	row := plannedRow{
		Step: step.Key, Index: index, Type: step.Type, Shape: step.Shape, Assets: make([]string, len(writes)),
		Partitions: make([]string, len(writes)), Inputs: step.Inputs, Values: step.Values, MadeOf: step.MadeOf, MaxLost: max(step.MaxLostWorkers, 1),
		Body: body, Over: step.Over,
	}
	if index < len(p.Walk.Steps) {
		row.Pool = p.Walk.Kinds[p.Walk.Steps[index].Kind].Pool
	}
	for i, write := range writes {
		row.Assets[i], row.Partitions[i] = write.asset, write.partition
	}
	return row, nil
}

type assetPartition struct{ asset, partition string }

// writesOf is what a step writes, sorted as bytes.
func writesOf(step plan.Step) []assetPartition {
	partitions := step.Partitions
	if partitions == nil {
		partitions = []string{step.Partition}
	}
	writes := make([]assetPartition, 0, len(step.Outputs)*len(partitions))
	for _, output := range step.Outputs {
		for _, partition := range partitions {
			writes = append(writes, assetPartition{output.Asset, partition})
		}
	}
	slices.SortFunc(writes, func(a, b assetPartition) int {
		return cmp.Or(strings.Compare(a.asset, b.asset), strings.Compare(a.partition, b.partition))
	})
	return writes
}

// plannedRows are the rows of a plan's steps. Of a run that takes steps over from an earlier one these are also the mapped
// steps that are known by now; what it neither does nor inherits has no row.
func plannedRows(p *plan.Plan) ([]plannedRow, error) {
	rows := make([]plannedRow, 0, len(p.Steps))
	if p.Walk.Start == nil {
		for i := range p.Steps {
			row, err := rowOf(p, i)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
		return rows, nil
	}

	progress := plan.NewProgress(&p.Walk)
	static := make(map[string]plannedRow, len(p.Steps))
	for i, step := range p.Steps {
		row, err := rowOf(p, i)
		if err != nil {
			return nil, err
		}
		static[step.Key] = row
		if row.inherit(p, progress, i) {
			rows = append(rows, row)
		}
	}
	places := map[string]int{}
	for i := len(p.Steps); i < progress.Len(); i++ {
		template, key, _ := plan.SplitMappedKey(progress.Key(i))
		places[template]++
		row := static[template]
		row.Step, row.Place, row.Body, row.Over = progress.Key(i), places[template], nil, ""
		row.Template, row.MappingKey = template, key
		if row.inherit(p, progress, i) {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// inherit says whether the step is one of the run, and marks one that the run does not do itself.
func (r *plannedRow) inherit(p *plan.Plan, progress *plan.Progress, step int) bool {
	if !progress.Inherited(step) {
		return true
	}
	inherited, ok := p.Inherited[r.Step]
	if ok {
		r.InheritedFrom, r.Result = inherited.Run, &inherited.Result
	}
	return ok
}

// poolsOf are the pools in which steps run, sorted, each once. Those of steps that are taken over do not count.
func poolsOf(rows []plannedRow) []string {
	var pools []string
	for _, row := range rows {
		if row.Pool != "" && row.InheritedFrom == "" && !slices.Contains(pools, row.Pool) {
			pools = append(pools, row.Pool)
		}
	}
	slices.Sort(pools)
	return pools
}
