package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/partition"
)

// listedPartitions is the JSON of `asset partitions --status`.
type listedPartitions struct {
	Asset string            `json:"asset"`
	Rows  []listedPartition `json:"rows"`
	// Next is the cursor of the next page; "" after the last one.
	Next string `json:"next,omitempty"`
}

type listedPartition struct {
	assetstatus.Partition
	// Stale is why it is stale; absent when it is not, or nobody asked.
	Stale []assetstatus.Cause `json:"stale,omitempty"`
}

func (a *app) listOfStates(
	ctx context.Context, reader *assetstatus.Reader, status assetstatus.Status, outdated *partition.Subset, states []assetstatus.State, offset, limit int,
) error {
	wanted := status.Set.None()
	if outdated != nil {
		wanted = *outdated
	}
	for _, state := range states {
		wanted = wanted.Union(status.In(state))
	}
	page, err := reader.Page(ctx, status, wanted, offset, limit)
	if err != nil {
		return err
	}
	listed := listedPartitions{Asset: status.Asset, Rows: make([]listedPartition, len(page))}
	for i, one := range page {
		listed.Rows[i].Partition = one
		if outdated != nil && outdated.Has(one.PartitionDetail.Partition) {
			if listed.Rows[i].Stale, err = reader.Causes(ctx, status.Asset, one.PartitionDetail.Partition); err != nil {
				return err
			}
		}
	}
	if next := offset + len(page); next < wanted.Count() {
		listed.Next = strconv.Itoa(next)
	}
	if a.output == jsonFormat {
		return a.printJSON(listed)
	}
	if len(page) == 0 {
		return a.print("no partition matches\n")
	}
	rows := make([][]string, len(page))
	for i, one := range listed.Rows {
		rows[i] = append([]string{render.OneLine(one.PartitionDetail.Partition), string(one.State)}, a.partitionRemarks(one)...)
	}
	text := a.style().Table([]render.Column{
		{Title: "partition"},
		{Title: "status"},
		{Title: "materialized"},
		{Title: "rows", Right: true},
		{Title: "run"},
		{Title: "remark"},
	}, rows)
	if listed.Next != "" {
		text += fmt.Sprintf("\n%s of %s; next: --cursor %s\n", render.Number(int64(len(page))), render.Number(int64(wanted.Count())), listed.Next)
	}
	return a.print(text)
}

// partitionRemarks are the cells of what made a partition, and of what went wrong since.
func (a *app) partitionRemarks(one listedPartition) []string {
	at, rows, run, remark := "", "", "", ""
	if current := one.Current; current != nil {
		at, run = a.clock().Moment(current.At), current.Run
		if count, ok := current.Rows(); ok {
			rows = render.Number(count)
		}
		if run == "" {
			remark = "reported"
		}
	}
	if failure := one.Failure; failure != nil {
		run = failure.Run
		if remark = a.style().Red(render.OneLine(failure.Message)); failure.Upstream {
			remark = fmt.Sprintf("%s failed: %s", failure.Step, render.OneLine(failure.Message))
		}
	}
	for _, cause := range one.Stale {
		remark += "; stale: " + causeText(cause)
	}
	return []string{at, rows, run, strings.TrimPrefix(remark, "; ")}
}

// causeText is why a partition is stale: "has a new dependency materialization: flights [2001-01-01]".
func causeText(cause assetstatus.Cause) string {
	if cause.Dependency == "" || strings.Contains(cause.Reason, cause.Dependency) {
		return cause.Reason
	}
	text := cause.Reason + ": " + cause.Dependency
	if len(cause.Partitions) > 0 {
		text += " [" + strings.Join(cause.Partitions, ", ") + "]"
	}
	return text
}
