package plan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

// ReservedTagPrefix begins the keys of the tags that Perdure itself sets, and of those that it reads.
const ReservedTagPrefix = "perdure/"

// The tags of runs and jobs that Perdure reads: each goes before the setting of the job or the instance.
const (
	// TagMaxRuntime is how long the run may take: in seconds, or a duration such as 90m; 0 is no bound.
	TagMaxRuntime = ReservedTagPrefix + "max_runtime"
	// TagMaxRetries is how often the run is started again by itself when it fails; 0 is never.
	TagMaxRetries = ReservedTagPrefix + "max_retries"
	// TagRetryStrategy says what of it is executed again then: failure, the default, or all (a wire.RetryFrom).
	TagRetryStrategy = ReservedTagPrefix + "retry_strategy"
	// TagRetryOnStepFailure says whether that is so too when it failed because of a step: true or false.
	TagRetryOnStepFailure = ReservedTagPrefix + "retry_on_asset_or_op_failure"
)

// The tags by which a run says what it is for.
const (
	// TagPartition is the key of the one partition that a run makes; of a grid's, TagPartition/DIMENSION are its parts.
	TagPartition = ReservedTagPrefix + "partition"
	// TagPartitionRangeStart and TagPartitionRangeEnd are the first and the last of several that are consecutive.
	TagPartitionRangeStart = TagPartition + "_range_start"
	TagPartitionRangeEnd   = TagPartition + "_range_end"
	// TagBackfill is the id of the backfill that the run belongs to.
	TagBackfill = ReservedTagPrefix + "backfill"
)

// settingTags say what each of those tags may be; what max_runtime may be is said when the run's bound is worked out.
var settingTags = map[string]struct {
	allowed func(value string) bool
	fix     string
}{
	TagMaxRuntime: {func(string) bool { return true }, ""},
	TagMaxRetries: {func(value string) bool { _, err := strconv.ParseUint(value, 10, 16); return err == nil }, "give a number, 0 for no retries"},
	TagRetryStrategy: {func(value string) bool {
		return value == string(wire.RetryFailure) || value == string(wire.RetryAll)
	}, "give failure or all"},
	TagRetryOnStepFailure: {func(value string) bool { return value == "true" || value == "false" }, "give true or false"},
}

// RunTagProblems says what is wrong with tags that a person gives to a run or a job: beside their own, these may have the
// tags that Perdure reads.
func RunTagProblems(path string, tags map[string]string) wire.Problems {
	own := map[string]string{}
	var problems wire.Problems
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		setting, known := settingTags[key]
		if !known {
			own[key] = tags[key]
			continue
		}
		if !setting.allowed(tags[key]) {
			problems = append(problems, wire.Problem{
				Path: wire.FieldPath(path, key), Code: wire.CodeInvalid, Message: fmt.Sprintf("tag %s has the value %q", key, tags[key]), Fix: setting.fix,
			})
		}
	}
	return append(TagProblems(path, own), problems...)
}

// withoutRunTags are a run's tags without those that Perdure set for that one run.
func withoutRunTags(tags map[string]string) map[string]string {
	kept := map[string]string{}
	for key, value := range tags {
		if _, isSetting := settingTags[key]; isSetting || !strings.HasPrefix(key, ReservedTagPrefix) {
			kept[key] = value
		}
	}
	return kept
}

var (
	tagKey   = regexp.MustCompile(`^([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}$`)
	tagValue = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,63}$`)
)

// TagProblems says what is wrong with tags that a person gives to an asset or an op; path is where they stand.
func TagProblems(path string, tags map[string]string) wire.Problems {
	var problems wire.Problems
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		at := wire.FieldPath(path, key)
		switch value := tags[key]; {
		case strings.HasPrefix(key, ReservedTagPrefix):
			problems = append(problems, wire.Problem{
				Path: at, Code: wire.CodeInvalid,
				Message: fmt.Sprintf("tag key %q is reserved: only Perdure sets tags that begin with %s", key, ReservedTagPrefix), Fix: "choose another key",
			})
		case !tagKey.MatchString(key):
			problems = append(problems, wire.Problem{
				Path: at, Code: wire.CodeInvalid, Message: fmt.Sprintf("tag key %q is not allowed", key),
				Fix: `use 1 to 63 letters, digits, ".", "_" or "-", after at most one prefix of the same with a "/"`,
			})
		case !tagValue.MatchString(value):
			problems = append(problems, wire.Problem{
				Path: at, Code: wire.CodeInvalid, Message: fmt.Sprintf("tag value %q is not allowed", value),
				Fix: `use at most 63 letters, digits, ".", "_" or "-"`,
			})
		}
	}
	return problems
}
