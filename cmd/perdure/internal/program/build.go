package program

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Program is the Go program of a code location.
type Program struct {
	// Dir is the folder of its package main.
	Dir string
	// Binary is the path that it is built to. Its folder is made when absent.
	Binary string
	// Folder is where it runs: the current one of whoever started it, as with `go run`.
	Folder string
	// Environ is its environment, and that of the go command.
	Environ []string
}

// BuildError is a program that does not build, or whose definitions are not valid.
type BuildError struct {
	// Output is what the go command or the program said.
	Output string
	// Compiled says that it builds: Output is about its definitions.
	Compiled bool
	Cause    error
}

func (e *BuildError) Error() string {
	output := strings.TrimSpace(e.Output)
	if output == "" {
		return e.Cause.Error()
	}
	return output
}

func (e *BuildError) Unwrap() error { return e.Cause }

// source is what the program is built from.
type source struct {
	// folders hold the packages of the program's own module, and what they embed.
	folders []string
	// embedded are the files that packages embed; embedFolders those folders that hold nothing but such files.
	embedded     map[string]bool
	embedFolders map[string]bool
}

// listedPackage is what `go list` says of a package.
type listedPackage struct {
	Name       string
	Dir        string
	Standard   bool
	EmbedFiles []string
	Module     *struct {
		Main    bool
		Dir     string
		Replace *struct{ Version string }
	}
}

// local says whether the package's source is the developer's own, and not a dependency's at a fixed version.
func (p listedPackage) local() bool {
	return !p.Standard && p.Module != nil && (p.Module.Main || (p.Module.Replace != nil && p.Module.Replace.Version == ""))
}

// source asks the go command what the program consists of. A *BuildError says that the folder has no package main.
func (p Program) source(ctx context.Context) (source, error) {
	if info, err := os.Stat(p.Dir); err != nil || !info.IsDir() {
		return source{}, fmt.Errorf("there is no folder %s: name the one that holds the location's package main", p.Dir)
	}
	list := p.command(ctx, "go", "list", "-e", "-deps", "-json=Name,Dir,Standard,EmbedFiles,Module", ".")
	list.Dir = p.Dir
	var output, complaint bytes.Buffer
	list.Stdout, list.Stderr = &output, &complaint
	if err := list.Run(); err != nil {
		return source{}, p.failed(ctx, err, complaint.String())
	}
	found := source{embedded: map[string]bool{}, embedFolders: map[string]bool{}}
	packages, modules := map[string]bool{}, map[string]bool{}
	var last listedPackage
	for decoder := json.NewDecoder(&output); ; {
		last = listedPackage{}
		if err := decoder.Decode(&last); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return source{}, fmt.Errorf("read the answer of go list: %w", err)
		}
		if last.Dir == p.Dir && last.Name != "main" {
			return source{}, &BuildError{Cause: notMain(p.Dir, last.Name)}
		}
		if !last.local() {
			continue
		}
		packages[last.Dir], modules[last.Module.Dir] = true, true
		for _, file := range last.EmbedFiles {
			path := filepath.Join(last.Dir, filepath.FromSlash(file))
			found.embedded[path] = true
			found.embedFolders[filepath.Dir(path)] = true
		}
	}
	for folder := range packages {
		delete(found.embedFolders, folder)
	}
	for _, some := range []map[string]bool{packages, modules, found.embedFolders} {
		for folder := range some {
			found.folders = append(found.folders, folder)
		}
	}
	slices.Sort(found.folders)
	found.folders = slices.Compact(found.folders)
	return found, nil
}

func notMain(dir, name string) error {
	if name == "" {
		return fmt.Errorf("%s holds no Go program: name the folder of the location's package main, as in `perdure dev ./location`", dir)
	}
	return fmt.Errorf("%s holds package %s, not a program: its package main calls worker.Main", dir, name)
}

// Inspect says, within moments, whether there is a program at all. A *BuildError says that there is none.
func (p Program) Inspect(ctx context.Context) error {
	_, err := p.source(ctx)
	return err
}

// Compile compiles the program. A *BuildError holds what the compiler says.
func (p Program) Compile(ctx context.Context) error {
	if _, err := p.source(ctx); err != nil {
		return err
	}
	return p.compile(ctx, p.Binary)
}

// Build compiles the program, asks it for its definitions, and puts it in its place, where changed says whether it
// differs from what was there; a process that runs the last build goes on. location is the name of the code location.
// A *BuildError holds what the compiler says, or everything that is wrong with the definitions; then the last build
// stays in its place.
func (p Program) Build(ctx context.Context) (location string, changed bool, err error) {
	_, location, changed, err = p.build(ctx)
	return location, changed, err
}

// build also returns what the program is made of, as far as that is known.
func (p Program) build(ctx context.Context) (found source, location string, changed bool, err error) {
	if found, err = p.source(ctx); err != nil {
		return source{}, "", false, err
	}
	next := p
	next.Binary = p.Binary + ".next" + ExecutableSuffix
	if err := p.compile(ctx, next.Binary); err != nil {
		return found, "", false, err
	}
	if location, err = next.definitions(ctx); err != nil {
		return found, "", false, err
	}
	same, err := sameContent(p.Binary, next.Binary)
	if err != nil {
		return found, "", false, fmt.Errorf("compare with the last build: %w", err)
	}
	if same {
		return found, location, false, os.Remove(next.Binary)
	}
	if err := os.Rename(next.Binary, p.Binary); err != nil {
		return found, "", false, fmt.Errorf("put the build in its place: %w", err)
	}
	return found, location, true, nil
}

func (p Program) compile(ctx context.Context, binary string) error {
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return fmt.Errorf("make the folder for the build: %w", err)
	}
	// VCS data would make a new build of every commit that changes no code.
	build := p.command(ctx, "go", "build", "-buildvcs=false", "-o", binary, ".")
	build.Dir = p.Dir
	var complaint bytes.Buffer
	build.Stdout, build.Stderr = &complaint, &complaint
	if err := build.Run(); err != nil {
		return p.failed(ctx, err, complaint.String())
	}
	return nil
}

// printed is what is read here of a program's definitions.
type printed struct {
	Location string `json:"location"`
	Assets   []struct {
		Compute    string          `json:"compute"`
		Partitions json.RawMessage `json:"partitions"`
	} `json:"assets"`
}

// Partitioned asks the program, which was built, whether it makes assets that are partitioned.
func (p Program) Partitioned(ctx context.Context) (bool, error) {
	snapshot, err := p.print(ctx)
	for _, asset := range snapshot.Assets {
		if asset.Compute != "" && len(asset.Partitions) > 0 {
			return true, err
		}
	}
	return false, err
}

// definitions asks the program for its location's name.
func (p Program) definitions(ctx context.Context) (location string, err error) {
	snapshot, err := p.print(ctx)
	return snapshot.Location, err
}

func (p Program) print(ctx context.Context) (snapshot printed, err error) {
	ask := p.command(ctx, p.Binary, "definitions")
	ask.Dir = p.Folder
	var output, complaint bytes.Buffer
	ask.Stdout, ask.Stderr = &output, &complaint
	if err := ask.Run(); err != nil {
		err = p.failed(ctx, err, strings.TrimPrefix(complaint.String(), "Error: "))
		if wrong := (*BuildError)(nil); errors.As(err, &wrong) {
			wrong.Compiled = true
		}
		return snapshot, err
	}
	if err := json.Unmarshal(output.Bytes(), &snapshot); err != nil || snapshot.Location == "" {
		return printed{}, &BuildError{Cause: fmt.Errorf("the program in %s does not print its definitions when it is asked to: let its main call worker.Main", p.Dir)}
	}
	return snapshot, nil
}

// Check runs the program's own check, with its output to the writers. An *exec.ExitError says that it failed.
func (p Program) Check(ctx context.Context, out, errors io.Writer) error {
	check := p.command(ctx, p.Binary, "check")
	check.Dir, check.Stdout, check.Stderr = p.Folder, out, errors
	return check.Run()
}

func (p Program) command(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Env = p.Environ
	return cmd
}

func (p Program) failed(ctx context.Context, err error, output string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("the go command is not on PATH: install Go from https://go.dev/dl: %w", err)
	}
	return &BuildError{Output: output, Cause: err}
}

// sameContent says whether both files hold the same bytes; a missing first one does not.
func sameContent(before, after string) (bool, error) {
	old, err := hashOf(before)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	made, err := hashOf(after)
	return bytes.Equal(old, made), err
}

func hashOf(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return hash.Sum(nil), err
}
