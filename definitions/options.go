package definitions

import (
	"fmt"
	"time"
)

// An option is a value of a small named type. Which declarations take it is its method set: Queue on an
// External does not compile. One that is given twice to a declaration is a problem. On a multi-asset, what describes
// an asset is for the outputs that have none of their own.

// AssetOption is an option of [Asset] and [OptionalAsset].
type AssetOption interface{ applyAsset(*asset) }

// OutputOption is an option of [Output].
type OutputOption interface{ applyOutput(*asset) }

// ExternalOption is an option of [External].
type ExternalOption interface{ applyExternal(*asset) }

// MultiAssetOption is an option of [MultiAsset].
type MultiAssetOption interface{ applyMultiAsset(*compute) }

// Group is the asset's group, one for each asset: letters, digits, "_", "." and "-". Without it, "default".
type Group string

// Description is Markdown for people: of an asset, an op, a job, a schedule or a sensor.
type Description string

// CodeVersion names the version of the code that computes the asset. Given one, the same code over the same
// inputs gives the same data version; without it every run gives a new one.
type CodeVersion string

// Owners are e-mail addresses or team:<name>.
type Owners []string

// Tags are labels to select by, on an asset; labels of a job's runs, or, in [Job.Request], of one; on an op, what limits inside a run
// go by; on a schedule or sensor, its own, and not its runs'. A key is a name, or prefix/name; names,
// prefixes and values are at most 63 letters, digits, "_", "." and "-"; a value may be empty.
type Tags map[string]string

// Kinds say what an asset is made of or with, at most three: "postgres", "parquet", "image". Each is lower-case
// letters, digits, "_", "." and "-".
type Kinds []string

// Metadata are facts about the asset itself, not about one materialization; those are for [Context.Report]. A schedule or sensor may
// have some, too.
type Metadata []Metadatum

// Queue sends the step to workers of its own, for much memory or a GPU: those started with --queues NAME. Without
// it, the location's workers take it. Letters, digits, "_", "." and "-".
type Queue string

// Pool limits how many steps that name it run at once, across runs. Letters, digits, "_", "." and "-".
type Pool string

// Timeout bounds one attempt of the user's function. Its context ends then, and the attempt counts as failed.
// Without it, there is no bound. On a schedule or sensor it bounds one evaluation; without it, that is a minute.
type Timeout time.Duration

func (v Timeout) duration() time.Duration { return time.Duration(v) }

// CanSubset allows a multi-asset to be asked for some of its outputs; [Requested] says which.
type CanSubset struct{}

// Optional allows an output to be left out: what needs it is then skipped in this run.
type Optional struct{}

// optionNames are the options that a declaration was given.
type optionNames map[string]bool

// once remembers an option and a problem when it was there before.
func (n *optionNames) once(d *declared, field, option string) {
	if (*n)[option] {
		d.wrong(field, fmt.Sprintf("the option %s is given twice", option), "give it once")
	}
	n.add(option)
}

func (n *optionNames) add(option string) {
	if *n == nil {
		*n = optionNames{}
	}
	(*n)[option] = true
}

func (a *asset) setGroup(v Group) {
	a.options.once(&a.declared, "group", optionGroup)
	a.group = string(v)
	if v == "" {
		a.wrong("group", "the group is empty", `name a group, or leave Group out for "default"`)
	}
}

func (a *asset) setDescription(v Description) {
	a.options.once(&a.declared, "description", optionDescription)
	a.description = string(v)
}

func (a *asset) setCodeVersion(v CodeVersion) {
	a.options.once(&a.declared, "code_version", optionCodeVersion)
	a.codeVersion = string(v)
}

func (a *asset) setOwners(v Owners) {
	a.options.once(&a.declared, "owners", optionOwners)
	a.owners = v
}

func (a *asset) setTags(v Tags) {
	a.options.once(&a.declared, "tags", optionTags)
	a.tags = v
}

func (a *asset) setKinds(v Kinds) {
	a.options.once(&a.declared, "kinds", optionKinds)
	a.kinds = v
}

func (a *asset) setMetadata(v Metadata) {
	a.options.once(&a.declared, "metadata", optionMetadata)
	a.metadata = v
}

func (c *compute) setQueue(d *declared, v Queue) {
	c.options.once(d, "queue", optionQueue)
	c.queue = string(v)
	if v == "" {
		d.wrong("queue", "the queue is empty", "name a queue, or leave Queue out for the location's own")
	}
}

func (c *compute) setPool(d *declared, v Pool) {
	c.options.once(d, "pool", optionPool)
	c.pool = string(v)
	if v == "" {
		d.wrong("pool", "the pool is empty", "name a pool, or leave Pool out")
	}
}

func (c *compute) setRetries(d *declared, v Retries) {
	c.options.once(d, "retries", optionRetries)
	c.retries = &v
}

func (c *compute) setTimeout(d *declared, v Timeout) {
	c.options.once(d, "timeout", optionTimeout)
	c.timeout = &v
}

func (v Group) applyAsset(a *asset)        { a.setGroup(v) }
func (v Group) applyOutput(a *asset)       { a.setGroup(v) }
func (v Group) applyMultiAsset(c *compute) { c.defaults.setGroup(v) }
func (v Group) applyExternal(a *asset)     { a.setGroup(v) }

func (v Description) applyAsset(a *asset)    { a.setDescription(v) }
func (v Description) applyOutput(a *asset)   { a.setDescription(v) }
func (v Description) applyExternal(a *asset) { a.setDescription(v) }

func (v Owners) applyAsset(a *asset)        { a.setOwners(v) }
func (v Owners) applyOutput(a *asset)       { a.setOwners(v) }
func (v Owners) applyMultiAsset(c *compute) { c.defaults.setOwners(v) }
func (v Owners) applyExternal(a *asset)     { a.setOwners(v) }

func (v Tags) applyAsset(a *asset)        { a.setTags(v) }
func (v Tags) applyOutput(a *asset)       { a.setTags(v) }
func (v Tags) applyMultiAsset(c *compute) { c.defaults.setTags(v) }
func (v Tags) applyExternal(a *asset)     { a.setTags(v) }

func (v Kinds) applyAsset(a *asset)        { a.setKinds(v) }
func (v Kinds) applyOutput(a *asset)       { a.setKinds(v) }
func (v Kinds) applyMultiAsset(c *compute) { c.defaults.setKinds(v) }
func (v Kinds) applyExternal(a *asset)     { a.setKinds(v) }

func (v Metadata) applyAsset(a *asset)    { a.setMetadata(v) }
func (v Metadata) applyOutput(a *asset)   { a.setMetadata(v) }
func (v Metadata) applyExternal(a *asset) { a.setMetadata(v) }

func (v CodeVersion) applyAsset(a *asset)        { a.setCodeVersion(v) }
func (v CodeVersion) applyOutput(a *asset)       { a.setCodeVersion(v) }
func (v CodeVersion) applyMultiAsset(c *compute) { c.defaults.setCodeVersion(v) }

func (v Queue) applyAsset(a *asset)        { a.maker.setQueue(&a.declared, v) }
func (v Queue) applyMultiAsset(c *compute) { c.setQueue(&c.declared, v) }

func (v Pool) applyAsset(a *asset)        { a.maker.setPool(&a.declared, v) }
func (v Pool) applyMultiAsset(c *compute) { c.setPool(&c.declared, v) }

func (v Retries) applyAsset(a *asset)        { a.maker.setRetries(&a.declared, v) }
func (v Retries) applyMultiAsset(c *compute) { c.setRetries(&c.declared, v) }

func (v Timeout) applyAsset(a *asset)        { a.maker.setTimeout(&a.declared, v) }
func (v Timeout) applyMultiAsset(c *compute) { c.setTimeout(&c.declared, v) }

func (CanSubset) applyMultiAsset(c *compute) { c.canSubset = true }
func (Optional) applyOutput(a *asset)        { a.optional = true }
