package metadata

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// escapeLength is the length of \u0000 in JSON.
const escapeLength = 6

// storable replaces in JSON what jsonb refuses, by U+FFFD: the character NUL, halves of surrogate
// pairs, and bytes that are not UTF-8. A user's error message may hold any of them, and recording it
// must not fail for that.
func storable(data []byte) []byte {
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	if !bytes.Contains(data, []byte(`\u`)) {
		return data
	}
	clean := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		if data[i] != '\\' || i+1 >= len(data) {
			clean = append(clean, data[i])
			i++
			continue
		}
		length := 2
		if data[i+1] == 'u' {
			length = escapeLength
			switch first := escaped(data[i:]); {
			case first == 0, isLowSurrogate(first):
				clean = append(clean, "\uFFFD"...)
				i += length
				continue
			case isHighSurrogate(first):
				if !isLowSurrogate(escaped(data[min(i+length, len(data)):])) {
					clean = append(clean, "\uFFFD"...)
					i += length
					continue
				}
				length = 2 * escapeLength
			}
		}
		end := min(i+length, len(data))
		clean = append(clean, data[i:end]...)
		i = end
	}
	return clean
}

// escaped is the code unit of the \uXXXX that data begins with, -1 when it begins with something else.
func escaped(data []byte) int64 {
	if len(data) < escapeLength || data[0] != '\\' || data[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(data[2:escapeLength]), 16, 16)
	if err != nil {
		return -1
	}
	return int64(unit)
}

func isHighSurrogate(unit int64) bool { return unit >= 0xD800 && unit <= 0xDBFF }

func isLowSurrogate(unit int64) bool { return unit >= 0xDC00 && unit <= 0xDFFF }
