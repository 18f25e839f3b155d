package definitions

import (
	"net/url"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
)

// ownPackages are skipped when the place of a declaration is looked for: what they declare is
// declared by whoever calls them.
var ownPackages = []string{
	"github.com/perdure-io/perdure/definitions.",
	"github.com/perdure-io/perdure/storage/",
}

// place is where the user's code calls this package: folder/file.go:line. The folder is the last element of
// the package's import path, so that two builds in different directories agree.
func place() string {
	callers := make([]uintptr, 16)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for {
		frame, more := frames.Next()
		if !own(frame.Function) {
			file := filepath.Base(filepath.ToSlash(frame.File))
			return folderOf(frame.Function, file) + "/" + file + ":" + strconv.Itoa(frame.Line)
		}
		if !more {
			return "unknown"
		}
	}
}

func own(function string) bool {
	for _, prefix := range ownPackages {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}

// folderOf takes the folder from a function's full name, github.com/acme/flights.init, because the
// path of the file says where the program was built.
func folderOf(function, file string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	name, _, _ := strings.Cut(function[slash:], ".")
	if plain, err := url.PathUnescape(name); err == nil { // "yaml%2ev3" is yaml.v3
		name = plain
	}
	if strings.HasSuffix(file, "_test.go") {
		name = strings.TrimSuffix(name, "_test")
	}
	if function[:slash] == "" && name == "main" {
		return mainFolder()
	}
	return name
}

// mainFolder is the folder of the program's main package, which calls itself only "main".
var mainFolder = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Path == "" || info.Path == "command-line-arguments" {
		return "main"
	}
	return path.Base(info.Path)
})
