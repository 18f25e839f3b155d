package definitions

import "slices"

// Options bundles what several assets have in common:
//
//	var insight = definitions.Options{definitions.Group("insights"), definitions.StoredBy(Tables)}
//
//	definitions.Asset("delays", …, insight, definitions.Description("…"))
//
// An option that the asset is given itself takes the place of the bundle's, wherever the two stand in its list.
// Two bundles that have an option in common are a problem. For the outputs of a multi-asset, give the options to it.
type Options []AssetOption

func (o Options) applyAsset(a *asset) { a.bundles = append(a.bundles, o) }

// applyAssetOptions applies a declaration's own options, and then what its bundles have besides.
func (a *asset) applyAssetOptions(opts []AssetOption) {
	for _, o := range opts {
		if o == nil {
			a.nilOption()
			continue
		}
		o.applyAsset(a)
	}
	if len(a.bundles) == 0 {
		return
	}
	at := declared{what: a.what, name: a.name, at: a.at}
	shared := &asset{declared: at, maker: &compute{declared: at}}
	for _, bundle := range a.bundles {
		shared.applyAssetOptions(bundle)
	}
	a.faults = append(a.faults, shared.faults...)
	a.inherit(shared)
	a.maker.inherit(shared.maker)
}

// The names of options, as they stand in problems.
const (
	optionGroup       = "Group"
	optionDescription = "Description"
	optionCodeVersion = "CodeVersion"
	optionOwners      = "Owners"
	optionTags        = "Tags"
	optionKinds       = "Kinds"
	optionMetadata    = "Metadata"
	optionStorage     = "StoredBy"
	optionQueue       = "Queue"
	optionPool        = "Pool"
	optionRetries     = "Retries"
	optionTimeout     = "Timeout"
	optionStall       = "StallTimeout"
	optionExecutor    = "ExecuteAs"
	optionOrder       = "Order"
	optionType        = "OfType"
	optionPartitions  = "PartitionedBy"
	optionBackfill    = "SingleRun or MultiRun"
)

// inherit takes over the options of another that this asset was not given itself, and says which.
func (a *asset) inherit(from *asset) (taken optionNames) {
	for option, take := range map[string]func(){
		optionGroup:       func() { a.group = from.group },
		optionDescription: func() { a.description = from.description },
		optionCodeVersion: func() { a.codeVersion = from.codeVersion },
		optionOwners:      func() { a.owners = from.owners },
		optionTags:        func() { a.tags = from.tags },
		optionKinds:       func() { a.kinds = from.kinds },
		optionMetadata:    func() { a.metadata = from.metadata },
		optionStorage:     func() { a.store = from.store },
		optionType:        func() { a.ofType = from.ofType },
		optionPartitions:  func() { a.partitions = from.partitions },
		optionBackfill:    func() { a.backfill = from.backfill },
	} {
		if option == optionStorage && a.isNothing() {
			continue // there is nothing to store, and this says nothing about it
		}
		if from.options[option] && !a.options[option] {
			take()
			a.options.add(option)
			taken.add(option)
		}
	}
	return taken
}

// inherit takes over the options of another that this compute was not given itself.
func (c *compute) inherit(from *compute) {
	for option, take := range map[string]func(){
		optionQueue:   func() { c.queue = from.queue },
		optionPool:    func() { c.pool = from.pool },
		optionRetries: func() { c.retries = from.retries },
		optionTimeout: func() { c.timeout = from.timeout },
	} {
		if from.options[option] && !c.options[option] {
			take()
			c.options.add(option)
		}
	}
	c.inheritControl(from)
	c.after = append(slices.Clone(c.after), from.after...)
}
