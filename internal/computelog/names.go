package computelog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

const (
	root = ".perdure/logs/"
	// endName is what ends an execution.
	endName = "end"
	// maxSegment keeps a name below the 255 bytes that file systems allow; cutSegment leaves room for "~" and a hash.
	maxSegment = 200
	cutSegment = 160
	// plainCharacters stand for themselves in names.
	plainCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
)

// Stream is one of the two that a step prints to.
type Stream string

// The streams.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Execution is one attempt of a step on one worker.
type Execution struct {
	Run, Step string
	// Attempt counts failures of the user's function, from 1.
	Attempt int
	// Token is the attempt's in the ledger: of two executions of one attempt the later has the greater one.
	Token int64
}

func (e Execution) compare(other Execution) int {
	return cmp.Or(cmp.Compare(e.Attempt, other.Attempt), cmp.Compare(e.Token, other.Token))
}

func runFolder(run string) string        { return root + escape(run) + "/" }
func stepFolder(run, step string) string { return runFolder(run) + escape(step) + "/" }

func (e Execution) folder() string {
	return stepFolder(e.Run, e.Step) + fmt.Sprintf("%d.%d/", e.Attempt, e.Token)
}

func (e Execution) chunk(stream Stream, number int) string {
	return fmt.Sprintf("%s%s/%08d", e.folder(), stream, number)
}

// executionIn reads the last part of an execution's folder.
func executionIn(run, step, segment string) (Execution, bool) {
	attempt, token, found := strings.Cut(segment, ".")
	number, err := strconv.Atoi(attempt)
	granted, tokenErr := strconv.ParseInt(token, 10, 64)
	return Execution{Run: run, Step: step, Attempt: number, Token: granted}, found && err == nil && tokenErr == nil
}

// escape makes a run's id or a step's key one segment of a name: without a dot at either end, where some stores do not keep it. It can be read back, but for one that is too long: of
// that a hash stays.
func escape(part string) string {
	var escaped strings.Builder
	for i := range len(part) {
		if c := part[i]; strings.IndexByte(plainCharacters, c) >= 0 && (c != '.' || i > 0 && i < len(part)-1) {
			escaped.WriteByte(c)
		} else {
			fmt.Fprintf(&escaped, "%%%02X", c)
		}
	}
	segment := escaped.String()
	switch {
	case segment == "":
		return "%" // no character escapes to a lone "%"
	case len(segment) <= maxSegment:
		return segment
	}
	sum := sha256.Sum256([]byte(part))
	return segment[:cutSegment] + "~" + hex.EncodeToString(sum[:12])
}

// unescape reads a segment back; one that was cut stays as it is.
func unescape(segment string) string {
	if segment == "%" {
		return ""
	}
	if part, err := url.PathUnescape(segment); err == nil && !strings.Contains(segment, "~") {
		return part
	}
	return segment
}
