package wire

import (
	"strconv"
	"strings"
)

// FieldPath is the path of a field or of a map's entry below path: "tags.team"; a name that would not read as one
// word is quoted: `config.assets["a.b"]`.
func FieldPath(path, name string) string {
	if name == "" || strings.ContainsAny(name, ".[]\" \t\n:") {
		return path + "[" + strconv.Quote(short(name)) + "]"
	}
	if path == "" {
		return short(name)
	}
	return path + "." + short(name)
}

// ItemPath is the path of a list's item below path: "assets[2]".
func ItemPath(path string, index int) string { return path + "[" + strconv.Itoa(index) + "]" }

// below puts a path in front of a relative one.
func below(path, relative string) string {
	if path == "" || relative == "" || strings.HasPrefix(relative, "[") {
		return path + relative
	}
	return path + "." + relative
}

const maxShown = 60 // characters of a value from outside that a message repeats

// short is text, cut when it is too long for a message.
func short(text string) string {
	if len(text) <= maxShown {
		return text
	}
	characters := []rune(text)
	if len(characters) <= maxShown {
		return text
	}
	return string(characters[:maxShown]) + "…"
}
