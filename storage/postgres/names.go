package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/perdure-io/perdure/definitions"
)

const (
	// maxIdentifier is PostgreSQL's limit for names, in bytes.
	maxIdentifier = 63
	// reserved begins the names of tables that are not assets'.
	reserved     = "perdure_"
	stagedPrefix = reserved + "staged_"
	// partitionColumn says which partition a row of a partitioned asset is of, and rowColumn where in its value it stands.
	partitionColumn = reserved + "partition"
	rowColumn       = reserved + "row"
)

// tableOf is the table of an asset: the parts of its key joined by "__", in lower case, with "_" for other characters. Where
// that loses something, or is too long, "$" and a hash follow: names without one hold no "$", so no two assets share a table.
func tableOf(asset string) string {
	var table strings.Builder
	exact := !strings.HasPrefix(asset, reserved)
	parts := strings.Split(asset, "/")
	for i, part := range parts {
		if i > 0 {
			table.WriteString("__")
		}
		if part == "" || strings.HasPrefix(part, "_") || strings.HasSuffix(part, "_") || strings.Contains(part, "__") {
			exact = false
		}
		for _, r := range strings.ToLower(part) {
			if r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
				exact, r = false, '_'
			}
			table.WriteRune(r)
		}
		exact = exact && strings.ToLower(part) == part
	}
	name := table.String()
	if exact && len(name) <= maxIdentifier {
		return name
	}
	hash := "$" + hashOf(asset)[:12]
	return name[:min(len(name), maxIdentifier-len(hash))] + hash
}

// stagedPrefixOf begins the names of all staged tables of one table, or of one of its partitions.
func stagedPrefixOf(table, partition string) string {
	if partition != "" {
		table += "|" + partition
	}
	return stagedPrefix + hashOf(table)[:16] + "_"
}

// stagedOf is the table of a value that is not yet published.
func stagedOf(table, partition string, token int64) string {
	return fmt.Sprintf("%s%d", stagedPrefixOf(table, partition), token)
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// errNoOps is why outputs of ops are not kept here: a table has one last value, and two runs would take it from each
// other; a table for each step of each run would fill the schema with what nobody queries.
var errNoOps = errors.New("a table holds the last value of an asset, and an op's output belongs to its run: store it with storage/blob, or make it an asset")

// AcceptsOps says why outputs of ops are not kept here.
func (*Storage) AcceptsOps() error { return errNoOps }

// check refuses a slot that a table cannot hold.
func check(at definitions.Slot) error {
	if at.Asset == "" {
		return fmt.Errorf("%s: %w", at, errNoOps)
	}
	return nil
}
