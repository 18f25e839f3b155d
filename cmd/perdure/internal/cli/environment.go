package cli

import (
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"
)

// Environment is what surrounds a command. Every field is required.
type Environment struct {
	// Program is how the CLI was called, for commands that a message shows.
	Program string
	// Args are the arguments without the program's name.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Environ is the environment, each entry NAME=value.
	Environ []string
	// Folder is the current folder, absolute.
	Folder string
	// User is who calls it, for what is recorded of a change.
	User string
	Now  func() time.Time
	// Zone is the zone in which times are shown.
	Zone *time.Location
	// Terminal says how large the terminal behind a writer is; ok is false when there is none.
	Terminal func(io.Writer) (width, height int, ok bool)
}

// System is the environment of this process.
func System() Environment {
	folder, err := os.Getwd()
	if err != nil {
		folder = "." // deleted under us: what needs it says so
	}
	return Environment{
		Program: programName(os.Args[0]), Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Environ: os.Environ(), Folder: folder, User: userName(), Now: time.Now, Zone: time.Local, Terminal: terminal,
	}
}

// userName is the account's name; where there is no such account, as in a container, its number.
func userName() string {
	current, err := user.Current()
	if err != nil {
		return strconv.Itoa(os.Getuid())
	}
	return current.Username
}

// programName is the path that was typed, so that it can be typed again; that of `go run` will be gone.
func programName(typed string) string {
	if !strings.ContainsRune(typed, filepath.Separator) || strings.HasPrefix(typed, os.TempDir()) {
		return "perdure"
	}
	return typed
}

func terminal(w io.Writer) (width, height int, ok bool) {
	file, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(file.Fd()))
	return width, height, err == nil
}

// lookup reads an environment variable.
func (e Environment) lookup(name string) (string, bool) {
	// The last one of a name counts, as in package exec.
	for _, entry := range slices.Backward(e.Environ) {
		if key, value, _ := strings.Cut(entry, "="); key == name {
			return value, true
		}
	}
	return "", false
}

// path makes a path absolute that was typed in the current folder.
func (e Environment) path(typed string) string {
	if filepath.IsAbs(typed) {
		return filepath.Clean(typed)
	}
	return filepath.Join(e.Folder, typed)
}

// shown is the path as people in the current folder would type it.
func (e Environment) shown(path string) string {
	relative, err := filepath.Rel(e.Folder, path)
	if err != nil || strings.HasPrefix(relative, "..") {
		return path
	}
	return relative
}
