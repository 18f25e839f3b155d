package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/perdure-io/perdure/definitions"
)

const (
	// maxSegment keeps a name below the 255 bytes that file systems allow.
	maxSegment = 200
	// cutSegment leaves room for "~" and the hash.
	cutSegment = 160
	// plainCharacters stand for themselves in names. "=" and "~" are not among them: they mark a partition and a cut.
	plainCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+,@"
)

// runsFolder holds the outputs of ops. No asset's folder has its name, for "~" does not begin one.
const runsFolder = "~runs"

// stem is the name of a slot's object without its extension, which starts with a dot. Two slots never share one.
func stem(at definitions.Slot) string {
	if at.Asset == "" {
		return stepName(at) + "/" + strconv.FormatInt(at.Token, 10)
	}
	name := assetName(at.Asset)
	if at.Partition != "" {
		name += "/partition=" + escape(at.Partition, maxSegment-len("partition="))
	}
	return name + "/" + strconv.FormatInt(at.Token, 10)
}

// stepName is the folder of the output of an op's step.
func stepName(at definitions.Slot) string {
	name := runsFolder + "/" + escape(at.Run, maxSegment) + "/" + escape(at.Step, maxSegment)
	if at.Key != "" {
		name += "/" + escape(at.Key, maxSegment)
	}
	return name
}

// assetName is the folder of an asset.
func assetName(asset string) string {
	parts := strings.Split(asset, "/")
	for i, part := range parts {
		parts[i] = escape(part, maxSegment)
	}
	return strings.Join(parts, "/")
}

// escape makes a part of a key one segment of a name. It can be read back with [net/url.PathUnescape], but for a part
// that is too long: of that a hash stays.
func escape(part string, limit int) string {
	var escaped strings.Builder
	for i := range len(part) {
		c := part[i]
		// A leading dot would hide the file or lead to another folder, and so would one at the end, which some stores do not keep as
		// it is; digits and a dot would read as the name of a value.
		dot := c == '.' && (i == len(part)-1 || strings.Trim(part[:i], "0123456789") == "")
		if dot || strings.IndexByte(plainCharacters, c) < 0 {
			fmt.Fprintf(&escaped, "%%%02X", c)
			continue
		}
		escaped.WriteByte(c)
	}
	segment := escaped.String()
	switch {
	case segment == "":
		// An empty segment would vanish in a path. No character escapes to a lone "%".
		return "%"
	case len(segment) <= limit:
		return segment
	}
	sum := sha256.Sum256([]byte(part))
	return segment[:cutSegment] + "~" + hex.EncodeToString(sum[:12])
}
