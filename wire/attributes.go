package wire

import (
	"encoding/json"
	"strings"
)

const (
	// maxKeyword is what a Keyword takes, in bytes: the column of a visibility store in SQL has 255 characters.
	maxKeyword = 255
	// maxKeywords is how much JSON a list of them may be, in bytes. Temporal takes 2,048 for one attribute, and
	// terminates a workflow that sets more.
	maxKeywords = 1900
	// mostKeywords is how many a list may have: a workflow is found by some of its assets, and not all of 10,000.
	mostKeywords = 20
)

// Keyword is as much of a text as a search attribute of type Keyword takes: 255 bytes, whole characters.
func Keyword(text string) string {
	if len(text) > maxKeyword {
		text = strings.ToValidUTF8(text[:maxKeyword], "")
	}
	return text
}

// Keywords are the first of the texts, each cut as by [Keyword], as many as one search attribute of type KeywordList takes, and 20 at
// most.
func Keywords(texts []string) []string {
	list, size := make([]string, 0, len(texts)), len("[]")
	for _, text := range texts[:min(len(texts), mostKeywords)] {
		text = Keyword(text)
		data, err := json.Marshal(text)
		if size += len(data) + len(","); err != nil || size > maxKeywords {
			break
		}
		list = append(list, text)
	}
	return list
}
