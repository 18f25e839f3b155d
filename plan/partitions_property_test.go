package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func days(start, end string) *partition.Definition {
	return &partition.Definition{Time: &partition.TimeWindows{Every: partition.Daily, Start: start, End: end}}
}

// sliced are the partitions that drawn assets have; nil is none.
func sliced() []*partition.Definition {
	return []*partition.Definition{
		nil,
		{Static: []string{"a", "b", "c"}},
		{Static: []string{"b", "c", "x"}},
		days("2024-01-01", ""),
		days("2024-01-03", "2024-01-09"),
		{Time: &partition.TimeWindows{Every: partition.Weekly, Start: "2023-12-24"}},
		{Dynamic: "sites"},
		{Grid: []partition.Dimension{
			{Name: "day", Time: &partition.TimeWindows{Every: partition.Daily, Start: "2024-01-06"}},
			{Name: "band", Static: []string{"a", "b"}},
		}},
	}
}

var (
	partitionNow   = time.Date(2024, 1, 11, 7, 0, 0, 0, time.UTC)
	partitionSites = map[string][]string{"sites": {"s2", "s1", "b"}}
)

// drawPartitioned draws a location of partitioned assets, most of them, with mappings that fit.
func drawPartitioned(t *rapid.T) *plan.Snapshot {
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "drawn"}
	compiled := func(d *partition.Definition) *partition.Partitions {
		if d == nil {
			d = &partition.Definition{}
		}
		parts, err := partition.New(*d)
		require.NoError(t, err)
		return parts
	}
	for e := range 2 {
		s.Assets = append(s.Assets, plan.Asset{Key: fmt.Sprintf("e%d", e), Partitions: rapid.SampledFrom(sliced()).Draw(t, "external")})
	}
	for c := range rapid.IntRange(1, 6).Draw(t, "computes") {
		definition := rapid.SampledFrom(sliced()).Draw(t, "definition")
		known := len(s.Assets)
		var inputs []plan.Input
		for range rapid.IntRange(0, 2).Draw(t, "inputs") {
			upstream := &s.Assets[rapid.IntRange(0, known-1).Draw(t, "asset")]
			mapping := rapid.SampledFrom([]partition.Mapping{
				{},
				{},
				{Kind: partition.MapAll},
				{Kind: partition.MapLast},
				{Kind: partition.MapIdentity},
				{Kind: partition.MapTime, StartOffset: -1},
				{Kind: partition.MapTime, StartOffset: -1, EndOffset: -1},
				{Kind: partition.MapTime, AllowNonexistent: true},
				{Kind: partition.MapSpecific, Keys: []string{"b"}},
			}).Draw(t, "mapping")
			if _, err := mapping.Between(compiled(upstream.Partitions), compiled(definition), nil); err != nil {
				mapping = partition.Mapping{Kind: partition.MapAll}
			}
			input := plan.Input{Kind: rapid.SampledFrom([]plan.InputKind{plan.InputValue, plan.InputValue, plan.InputAfter}).Draw(t, "kind"), Assets: []string{upstream.Key}}
			if upstream.Partitions != nil || definition != nil {
				input.Parts = []plan.InputPart{{Mapping: mapping, Take: plan.TakePartitionsByKey}}
			}
			inputs = append(inputs, input)
		}
		name := fmt.Sprintf("%c%d", 'a'+rapid.IntRange(0, 2).Draw(t, "letter"), c)
		outputs := []string{name}
		if rapid.IntRange(0, 2).Draw(t, "multi-asset") == 0 {
			outputs = []string{name + "/0", name + "/1"}
		}
		if definition != nil && (definition.Time != nil || definition.Grid != nil) && rapid.Bool().Draw(t, "on its own") {
			mapping := partition.Mapping{Kind: partition.MapTime, StartOffset: -2, EndOffset: -1}
			if definition.Grid != nil {
				mapping = partition.Mapping{Kind: partition.MapGrid, Dimensions: []partition.DimensionMapping{{Upstream: "day", Downstream: "day", Mapping: mapping}}}
			}
			inputs = append(inputs, plan.Input{
				Kind: plan.InputValue, Assets: outputs[:1], Parts: []plan.InputPart{{Mapping: mapping, Take: plan.TakePartitionsByKey}},
			})
		}
		compute := add(s, name, outputs, inputs...)
		compute.CanSubset = rapid.Bool().Draw(t, "can subset")
		compute.Ranged = definition != nil && rapid.IntRange(0, 3).Draw(t, "ranged") == 0
		for i := range outputs {
			s.Assets[len(s.Assets)-1-i].Partitions = definition
		}
	}
	return s
}

// partitionReading works a target and a plan out key by key.
type partitionReading struct {
	s        *plan.Snapshot
	existing *plan.Existing
	planner  *plan.Planner
	target   map[string]map[string]bool
}

func (r *partitionReading) asset(key string) *plan.Asset {
	return &r.s.Assets[slices.IndexFunc(r.s.Assets, func(a plan.Asset) bool { return a.Key == key })]
}

func (r *partitionReading) compute(name string) *plan.Compute {
	return &r.s.Computes[slices.IndexFunc(r.s.Computes, func(c plan.Compute) bool { return c.Name == name })]
}

// needs are the keys of an upstream asset that one partition of a downstream one needs, and whether some do not exist.
func (r *partitionReading) needs(t *rapid.T, edge plan.Edge, key string) (map[string]bool, bool) {
	one, err := r.existing.Set(edge.Downstream).Of(key)
	require.NoError(t, err)
	upstream, err := edge.Link.Upstream(one, r.existing.Set(edge.Upstream))
	require.NoError(t, err)
	found := map[string]bool{}
	for key := range upstream.Subset.Keys() {
		found[key] = true
	}
	return found, len(upstream.Missing) > 0
}

// choose finds the target of a request for some keys of what is partitioned; ok says whether there is a common root.
func (r *partitionReading) choose(t *rapid.T, selected map[string]bool, keysOf func(asset string) map[string]bool) bool {
	r.target = map[string]map[string]bool{}
	fingerprint := func(key string) string { return r.planner.Partitions(key).Fingerprint() }
	distinct := func(assets []string) int {
		prints := map[string]bool{}
		for _, key := range assets {
			prints[fingerprint(key)] = true
		}
		return len(prints)
	}
	var parted, roots []string
	for _, key := range slices.Sorted(maps.Keys(selected)) {
		if r.asset(key).Partitions == nil {
			r.target[key] = map[string]bool{"": true}
			continue
		}
		parted = append(parted, key)
		isRoot := true
		for _, edge := range r.planner.Parents(key) {
			isRoot = isRoot && (!selected[edge.Upstream] || r.asset(edge.Upstream).Partitions == nil || r.asset(edge.Upstream).Compute == r.asset(key).Compute)
		}
		if isRoot {
			roots = append(roots, key)
		}
	}
	if distinct(parted) == 1 {
		roots = parted
	}
	if distinct(roots) > 1 {
		return false
	}
	for _, asset := range r.s.Assets { // upstream first
		key := asset.Key
		switch {
		case !selected[key] || asset.Partitions == nil:
			continue
		case slices.Contains(roots, key):
			r.target[key] = keysOf(key)
			continue
		}
		r.target[key] = map[string]bool{}
		for _, edge := range r.planner.Parents(key) {
			if r.asset(edge.Upstream).Compute == asset.Compute || r.asset(edge.Upstream).Partitions == nil {
				continue
			}
			for own := range r.existing.Set(key).All().Keys() {
				needed, _ := r.needs(t, edge, own)
				for up := range needed {
					if r.target[edge.Upstream][up] {
						r.target[key][own] = true
					}
				}
			}
		}
	}
	return true
}

// narrow draws what is materialized, and takes it out of the target.
func (r *partitionReading) narrow(t *rapid.T) map[string]plan.PartitionStates {
	states := map[string]plan.PartitionStates{}
	elsewhere := r.planner.Existing(partitionNow, partitionSites) // as of whoever reads them
	for _, asset := range r.s.Assets {
		var done []string
		for _, key := range slices.Sorted(maps.Keys(r.target[asset.Key])) {
			if rapid.Bool().Draw(t, "materialized") {
				done = append(done, key)
			}
		}
		materialized, err := elsewhere.Set(asset.Key).Of(done...)
		require.NoError(t, err)
		states[asset.Key] = plan.PartitionStates{Materialized: materialized}
		for _, key := range done {
			delete(r.target[asset.Key], key)
		}
	}
	for _, compute := range r.s.Computes {
		if compute.CanSubset {
			continue
		}
		for _, one := range compute.Outputs {
			for _, other := range compute.Outputs {
				if r.target[one] != nil {
					maps.Copy(r.target[one], r.target[other])
				}
			}
		}
	}
	return states
}

// missing says whether any step needs a partition that does not exist.
func (r *partitionReading) missing(t *rapid.T) bool {
	for key, own := range r.target {
		for _, edge := range r.planner.Parents(key) {
			for one := range own {
				if _, lacks := r.needs(t, edge, one); lacks {
					return true
				}
			}
		}
	}
	return false
}

// partitionsOf are the keys that a step makes.
func partitionsOf(step plan.Step) []string {
	if step.Partitions != nil {
		return step.Partitions
	}
	return []string{step.Partition}
}

func TestAPlanOverPartitionsAgreesWithAReading(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawPartitioned(t)
		planner, err := plan.NewPlanner(s, nil)
		require.NoError(t, err)
		selected := drawSelection(t, s)
		if len(selected) == 0 {
			t.Skip("nothing selected")
		}
		r := &partitionReading{s: s, planner: planner, existing: planner.Existing(partitionNow, partitionSites)}
		request := keys(slices.Sorted(maps.Keys(selected))...)
		given := rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 1, 4, rapid.ID).Draw(t, "given")
		keysOf := func(asset string) map[string]bool {
			chosen := map[string]bool{}
			for _, n := range given {
				if all := r.existing.Set(asset).All(); all.Count() > 0 {
					key, _ := all.Nth(n % all.Count())
					chosen[key] = true
				}
			}
			return chosen
		}
		common := r.choose(t, selected, keysOf)
		if root := r.first(selected); root != "" {
			request.Partitions = slices.Sorted(maps.Keys(keysOf(root)))
		}
		facts := plan.Facts{RunID: "r", Now: partitionNow, Dynamic: partitionSites}
		if common && rapid.Bool().Draw(t, "narrowed") {
			request.Only, facts.States = wire.OnlyMissing, r.narrow(t)
		}
		got, err := planner.Plan(request, facts)
		if problems := wire.ProblemsOf(err); len(problems) > 0 && problems[0].Code == wire.CodeNothingLeft {
			for asset, left := range r.target {
				require.Empty(t, left, asset)
			}
			return
		}
		if !common || r.missing(t) {
			require.Error(t, err)
			require.NotEmpty(t, wire.ProblemsOf(err))
			return
		}
		require.NoError(t, err)
		r.check(t, got)
	})
}

// first is the first selected asset that is partitioned; "" when none is. It is made from no other one.
func (r *partitionReading) first(selected map[string]bool) string {
	for _, asset := range r.s.Assets {
		if selected[asset.Key] && asset.Partitions != nil {
			return asset.Key
		}
	}
	return ""
}

// check compares a plan with the target, step by step and key by key.
func (r *partitionReading) check(t *rapid.T, got *plan.Plan) {
	makes := map[string]map[string]int{} // asset, partition: step
	seen := map[string]bool{}
	for i, step := range got.Steps {
		require.False(t, seen[step.Key], "the key %s is there once", step.Key)
		seen[step.Key] = true
		compute := r.compute(step.Type)
		require.Equal(t, step.Type, got.Walk.Steps[i].ActivityType())
		require.Equal(t, compute.Ranged, step.Partitions != nil)
		require.NotEmpty(t, step.Outputs)
		for _, output := range step.Outputs {
			for _, key := range partitionsOf(step) {
				if makes[output.Asset] == nil {
					makes[output.Asset] = map[string]int{}
				}
				_, twice := makes[output.Asset][key]
				require.False(t, twice, "%s of %s is made once", key, output.Asset)
				makes[output.Asset][key] = i
			}
		}
	}
	count := map[string]int{}
	for _, step := range got.Steps {
		count[step.Type]++
	}
	for _, step := range got.Steps {
		require.Equal(t, count[step.Type] == 1, step.Key == step.Type, step.Key)
	}
	var made []string
	for asset, own := range r.target {
		require.Len(t, makes[asset], len(own), asset)
		for key := range own {
			require.Contains(t, makes[asset], key)
		}
		if len(own) > 0 {
			made = append(made, asset)
			if r.asset(asset).Partitions != nil {
				require.Equal(t, len(own), got.Targets[asset].Count())
			}
		}
	}
	slices.Sort(made)
	require.Equal(t, made, got.Assets)
	for _, step := range got.Steps {
		if !step.Op && len(step.Partitions) > 1 {
			r.consecutive(t, step)
		}
	}
	r.checkNeeds(t, got, makes)
	data, err := plan.EncodeWalk(&got.Walk)
	require.NoError(t, err)
	_, err = plan.DecodeWalk(data)
	require.NoError(t, err)
}

// consecutive checks that a range has all partitions between its ends.
func (r *partitionReading) consecutive(t *rapid.T, step plan.Step) {
	whole, err := r.existing.Set(step.Outputs[0].Asset).Range(step.Partitions[0], step.Partitions[len(step.Partitions)-1])
	require.NoError(t, err)
	require.Equal(t, slices.Collect(whole.Keys()), step.Partitions)
}

func (r *partitionReading) checkNeeds(t *rapid.T, got *plan.Plan, makes map[string]map[string]int) {
	type entry struct {
		asset, key string
		inRun      bool
	}
	outside := map[string]map[string]bool{}
	for i, step := range got.Steps {
		compute := r.compute(step.Type)
		needs := map[int]bool{}
		loads := map[entry]bool{}
		for _, input := range compute.Inputs {
			upstream := input.Assets[0]
			mapping := partition.Mapping{}
			if input.Parts != nil {
				mapping = input.Parts[0].Mapping
			}
			link, err := mapping.Between(r.planner.Partitions(upstream), r.planner.Partitions(compute.Outputs[0]), nil)
			require.NoError(t, err)
			edge := plan.Edge{Upstream: upstream, Downstream: compute.Outputs[0], Link: link}
			for _, own := range partitionsOf(step) {
				needed, _ := r.needs(t, edge, own)
				for key := range needed {
					maker, inRun := makes[upstream][key]
					if inRun && maker == i {
						continue
					}
					if inRun {
						needs[maker] = true
					}
					if input.Kind == plan.InputAfter {
						continue
					}
					loads[entry{upstream, key, inRun}] = true
					if !inRun && !r.asset(upstream).External() {
						if outside[upstream] == nil {
							outside[upstream] = map[string]bool{}
						}
						outside[upstream][key] = true
					}
				}
			}
		}
		for j := range got.Steps {
			require.Equal(t, needs[j], slices.Contains(got.Walk.Steps[j].Next, i), "%s → %s", got.Steps[j].Key, step.Key)
		}
		listed := map[entry]bool{}
		for _, input := range step.Inputs {
			require.Equal(t, r.asset(input.Asset).External(), input.External)
			partitions := input.Partitions
			if r.asset(input.Asset).Partitions == nil {
				require.Nil(t, partitions)
				partitions = []string{""}
			} else {
				r.inOrder(t, input)
			}
			for _, key := range partitions {
				listed[entry{input.Asset, key, input.InRun}] = true
			}
		}
		require.Equal(t, loads, listed, step.Key)
	}
	require.Len(t, got.Outside, len(outside))
	for _, of := range got.Outside {
		if r.asset(of.Asset).Partitions == nil {
			require.True(t, of.Partitions.IsEmpty())
			continue
		}
		require.Equal(t, len(outside[of.Asset]), of.Partitions.Count())
		for key := range of.Partitions.Keys() {
			require.True(t, outside[of.Asset][key])
		}
	}
}

func (r *partitionReading) inOrder(t *rapid.T, input plan.StepInput) {
	last := -1
	for _, key := range input.Partitions {
		position, err := r.existing.Set(input.Asset).Position(key)
		require.NoError(t, err)
		require.Greater(t, position, last)
		last = position
	}
}
