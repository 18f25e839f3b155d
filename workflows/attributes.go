package workflows

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

const (
	// maxKeyword is what a Keyword takes, in bytes: the column of a visibility store in SQL has 255 characters.
	maxKeyword = 255
	// maxKeywords is how much JSON a list of them may be, in bytes. Temporal takes 2,048 for one attribute, and
	// terminates a workflow that sets more.
	maxKeywords = 1900
)

// describe sets the search attributes that the namespace has; an unknown one would hang the workflow.
func (r *run) describe(ctx workflow.Context) error {
	var updates []temporal.SearchAttributeUpdate
	for _, name := range r.walkPlan.Attributes {
		key := temporal.NewSearchAttributeKeyKeyword(name)
		switch name {
		case wire.SearchJob:
			if r.walkPlan.Job != "" {
				updates = append(updates, key.ValueSet(keyword(r.walkPlan.Job)))
			}
		case wire.SearchPartition:
			if r.walkPlan.Partition != "" {
				updates = append(updates, key.ValueSet(keyword(r.walkPlan.Partition)))
			}
		case wire.SearchBackfill:
			if r.walkPlan.Backfill != "" {
				updates = append(updates, key.ValueSet(keyword(r.walkPlan.Backfill)))
			}
		case wire.SearchCause:
			updates = append(updates, key.ValueSet(keyword(r.walkPlan.Cause)))
		case wire.SearchStatus:
			updates = append(updates, key.ValueSet(string(r.status)))
		case wire.SearchAssets:
			updates = append(updates, temporal.NewSearchAttributeKeyKeywordList(name).ValueSet(keywords(r.walkPlan.Assets)))
		}
	}
	if len(updates) == 0 {
		return nil
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, updates...); err != nil {
		return fmt.Errorf("set the search attributes of run %q: %w", r.id, err)
	}
	return nil
}

func (r *run) markStatus(ctx workflow.Context) error {
	for _, name := range r.walkPlan.Attributes {
		if name == wire.SearchStatus {
			return workflow.UpsertTypedSearchAttributes(ctx, temporal.NewSearchAttributeKeyKeyword(name).ValueSet(string(r.status)))
		}
	}
	return nil
}

// keyword is as much of a text as a Keyword takes.
func keyword(text string) string { return cut(text, maxKeyword) }

// keywords are the first of the texts, as many as one attribute takes.
func keywords(texts []string) []string {
	list, size := make([]string, 0, len(texts)), len("[]")
	for _, text := range texts {
		text = keyword(text)
		data, err := json.Marshal(text)
		if size += len(data) + len(","); err != nil || size > maxKeywords {
			break
		}
		list = append(list, text)
	}
	return list
}

// cut is the beginning of a text, at most that many bytes; it ends with a whole character.
func cut(text string, most int) string {
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}
