package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/build"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
)

const (
	// temporalModule is what is built when no binary is found.
	temporalModule = "github.com/temporalio/cli/cmd/temporal@v1.5.1"
	// minimumServerMinor is the oldest 1.x server that Perdure is built for.
	minimumServerMinor = 29
	// reachBound is how long the SDK's download may take to begin: somebody offline does not want to wait for it.
	reachBound = 5 * time.Second
	// downloadBound is how long the SDK's download may take.
	downloadBound = 5 * time.Minute
)

// temporalSearch is where a temporal binary is looked for.
type temporalSearch struct {
	path  string // as in the variable PATH
	temp  string // where the SDK's own cache is by default
	cache string // our own cache folder
	log   func(string, ...any)
}

// find returns a temporal binary with a server that is new enough: PATH, Go's own folders, our cache, the SDK's cached
// download, the SDK's download, and last a build from source.
func (s temporalSearch) find(ctx context.Context) (string, error) {
	for _, candidate := range s.candidates(ctx) {
		if err := checkTemporal(ctx, candidate); err != nil {
			s.log("%s is not used: %v", candidate, err)
			continue
		}
		return candidate, nil
	}
	if err := context.Cause(ctx); err != nil { // every candidate failed for that reason
		return "", fmt.Errorf("look for a temporal binary: %w", err)
	}
	bin := filepath.Join(s.cache, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	if downloaded, ok := downloadTemporal(ctx, bin); ok && checkTemporal(ctx, downloaded) == nil {
		return downloaded, nil
	}
	return s.build(ctx, bin)
}

// candidates are the existing files that could be it.
func (s temporalSearch) candidates(ctx context.Context) []string {
	var dirs []string
	dirs = append(dirs, filepath.SplitList(s.path)...)
	dirs = append(dirs, goFolders(ctx)...)
	dirs = append(dirs, filepath.Join(s.cache, "bin"))
	var found []string
	for _, dir := range dirs {
		candidate := filepath.Join(dir, executable("temporal"))
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && !slices.Contains(found, candidate) {
			found = append(found, candidate)
		}
	}
	for _, dir := range []string{filepath.Join(s.cache, "bin"), s.temp} {
		candidate := sdkDownload(dir)
		// The temporary folder is everybody's: another user's file there is not run.
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && trusted(info) {
			found = append(found, candidate)
		}
	}
	return found
}

// goFolders are the folders that `go install` puts programs into.
func goFolders(ctx context.Context) []string {
	bin, paths := "", build.Default.GOPATH
	if output, err := exec.CommandContext(ctx, "go", "env", "GOBIN", "GOPATH").Output(); err == nil {
		first, second, _ := strings.Cut(strings.ReplaceAll(string(output), "\r", ""), "\n")
		bin, paths = strings.TrimSpace(first), strings.TrimSpace(second)
	}
	var folders []string
	if bin != "" {
		folders = append(folders, bin)
	}
	for _, path := range filepath.SplitList(paths) {
		folders = append(folders, filepath.Join(path, "bin"))
	}
	return folders
}

func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// sdkDownload is the name that the SDK's test suite gives its download.
func sdkDownload(dir string) string {
	return filepath.Join(dir, executable("temporal-cli-go-sdk-"+temporal.SDKVersion))
}

var serverVersion = regexp.MustCompile(`\(Server (\d+)\.(\d+)\.[^,)]*`)

// checkTemporal fails for a binary that does not run or whose server is too old.
func checkTemporal(ctx context.Context, binary string) error {
	command := exec.CommandContext(ctx, binary, "--version")
	command.Env = environWithout("TEMPORAL_")
	output, err := command.Output()
	if err != nil {
		return fmt.Errorf("it does not run: %w", err)
	}
	match := serverVersion.FindSubmatch(output)
	if match == nil {
		return fmt.Errorf("it does not say which server it has: %q", bytes.TrimSpace(output))
	}
	major, majorErr := strconv.Atoi(string(match[1]))
	minor, minorErr := strconv.Atoi(string(match[2]))
	if err := errors.Join(majorErr, minorErr); err != nil {
		return fmt.Errorf("unreadable version %q: %w", match[0], err)
	}
	if major < 1 || major == 1 && minor < minimumServerMinor {
		return fmt.Errorf("its server is %d.%d, older than 1.%d", major, minor, minimumServerMinor)
	}
	return nil
}

// downloadTemporal has the SDK download its dev server into bin, when that begins within moments. The SDK downloads only
// on its way to a running server; with --help that one prints a page and ends, and the wait for it is called off once
// the file is there.
func downloadTemporal(ctx context.Context, bin string) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, downloadBound)
	defer cancel()
	work, err := os.MkdirTemp(bin, "download-")
	if err != nil {
		return "", false
	}
	defer func() { _ = os.RemoveAll(work) }()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// Whether it worked is seen by the file.
		_, _ = testsuite.StartDevServer(ctx, testsuite.DevServerOptions{
			CachedDownload: testsuite.CachedDownload{DestDir: work},
			ClientOptions:  &client.Options{Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))},
			ExtraArgs:      []string{"--help"}, Stdout: io.Discard, Stderr: io.Discard,
		})
	}()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	reach := time.NewTimer(reachBound)
	defer reach.Stop()
	for waiting := true; waiting; {
		select {
		case <-ended:
			waiting = false
		case <-reach.C:
			if entries, err := os.ReadDir(work); err != nil || len(entries) == 0 {
				cancel()
			}
		case <-ticker.C:
			if _, err := os.Stat(sdkDownload(work)); err == nil {
				cancel()
			}
		}
	}
	return sdkDownload(bin), os.Rename(sdkDownload(work), sdkDownload(bin)) == nil
}

// build compiles the temporal binary with the Go tool.
func (s temporalSearch) build(ctx context.Context, bin string) (string, error) {
	const fix = "install Temporal's CLI so that `temporal` is on PATH"
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("no temporal binary found and no Go to build one: %w; %s", err, fix)
	}
	s.log("no temporal binary found: building %s once, into %s; this takes a few minutes", temporalModule, bin)
	install := exec.CommandContext(ctx, goTool, "install", temporalModule)
	install.Dir = bin
	install.Env = append(environWithout("GOBIN=", "GOFLAGS=", "GOOS=", "GOARCH="), "GOBIN="+bin, "GOFLAGS=")
	var output bytes.Buffer
	install.Stdout, install.Stderr = &output, &output
	begun := time.Now()
	if err := install.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w; %s. What the Go tool said:\n%s", temporalModule, err, fix,
			strings.TrimSpace(output.String()))
	}
	s.log("built in %s", time.Since(begun).Round(time.Second))
	built := filepath.Join(bin, executable("temporal"))
	if err := checkTemporal(ctx, built); err != nil {
		return "", fmt.Errorf("%s, just built: %w; %s", built, err, fix)
	}
	return built, nil
}
