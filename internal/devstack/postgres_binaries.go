package devstack

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// minimumPostgres is the oldest major version that Perdure's schema is made for.
const minimumPostgres = 14

// postgresBinaries is one installation of PostgreSQL's server programs.
type postgresBinaries struct {
	dir   string
	major int
}

func (b postgresBinaries) path(program string) string {
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	return filepath.Join(b.dir, program)
}

// installedPostgres lists the machine's installations, best first: the one on PATH, then the newest.
func installedPostgres(ctx context.Context, path string) []postgresBinaries {
	var found []postgresBinaries
	for _, dir := range filepath.SplitList(path) {
		if binaries, ok := inspect(ctx, dir); ok {
			found = append(found, binaries)
		}
	}
	var others []postgresBinaries
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",              // Debian, Ubuntu
		"/usr/lib/postgresql*/bin",               // openSUSE, Alpine
		"/usr/libexec/postgresql*",               // Alpine
		"/usr/pgsql-*/bin",                       // PostgreSQL's own packages for Fedora and RHEL
		"/usr/local/pgsql/bin", "/usr/local/bin", // from source, the BSDs
		"/opt/homebrew/opt/postgresql*/bin", // Homebrew
		"/usr/local/opt/postgresql*/bin",    // Homebrew on Intel
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/opt/local/lib/postgresql*/bin", // MacPorts
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		`C:\Program Files\PostgreSQL\*\bin`,
	} {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			continue // the patterns are constants; a test parses them
		}
		for _, dir := range dirs {
			if binaries, ok := inspect(ctx, dir); ok {
				others = append(others, binaries)
			}
		}
	}
	slices.SortStableFunc(others, func(a, b postgresBinaries) int { return cmp.Compare(b.major, a.major) })
	return append(found, others...)
}

var postgresVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect says whether dir holds the programs of a server that is new enough.
func inspect(ctx context.Context, dir string) (postgresBinaries, bool) {
	binaries := postgresBinaries{dir: dir}
	if _, err := os.Stat(binaries.path("initdb")); err != nil {
		return binaries, false
	}
	output, err := exec.CommandContext(ctx, binaries.path("postgres"), "--version").Output()
	if err != nil {
		return binaries, false
	}
	match := postgresVersion.FindSubmatch(output)
	if match == nil {
		return binaries, false
	}
	binaries.major, err = strconv.Atoi(string(match[1]))
	return binaries, err == nil && binaries.major >= minimumPostgres
}

// matching picks the installation for the data folder: its own major version when it exists already, else the first.
// It returns false when there is none; the error is for data that no installation can open.
func matching(found []postgresBinaries, data string) (postgresBinaries, bool, error) {
	content, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		if len(found) == 0 {
			return postgresBinaries{}, false, nil
		}
		return found[0], true, nil
	}
	version := strings.TrimSpace(string(content))
	var have []string
	for _, binaries := range found {
		if strconv.Itoa(binaries.major) == version {
			return binaries, true, nil
		}
		have = append(have, strconv.Itoa(binaries.major))
	}
	if len(have) == 0 {
		have = []string{"none"}
	}
	return postgresBinaries{}, false, fmt.Errorf("the local stack's data in %s was made by PostgreSQL %s; installed: %s. "+
		"Install PostgreSQL %s, or delete that folder to begin anew", data, version, strings.Join(have, ", "), version)
}
