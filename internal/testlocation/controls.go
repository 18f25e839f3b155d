package testlocation

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Controls are the files by which a test speaks with the functions of its location.
type Controls struct{ folder string }

// Instruction is what an asset's function is to do. The zero value returns the asset's value at once. A function that
// runs reads it again and again, so that what holds it may be taken back.
type Instruction struct {
	// Hold keeps the function from returning; HoldPublish keeps its value from being published.
	Hold        bool `json:"hold,omitempty"`
	HoldPublish bool `json:"hold_publish,omitempty"`
	// Deaf lets what is held ignore that its context has ended.
	Deaf bool `json:"deaf,omitempty"`
	// FailAttempts are the attempts that fail, counted from 1 as the function is told; FailAll fails every one.
	FailAttempts []int `json:"fail_attempts,omitempty"`
	FailAll      bool  `json:"fail_all,omitempty"`
	// Panic panics; Kill ends the whole process as the kernel would for want of memory.
	Panic bool `json:"panic,omitempty"`
	Kill  bool `json:"kill,omitempty"`
	// Takes is how long the function takes.
	Takes time.Duration `json:"takes,omitempty"`
	// Litter starts a process that would outlive the test by far, and never ends it.
	Litter bool `json:"litter,omitempty"`
}

// What a note says.
const (
	Called     = "called"     // the function was called
	Stopped    = "stopped"    // its context ended, and it gave up
	Ignored    = "ignored"    // its context ended, and it went on
	Publishing = "publishing" // its value is about to be published
	Published  = "published"  // and was
)

// Note is a line that a function has written.
type Note struct {
	What  string `json:"what"`
	Asset string `json:"asset"`
	// Partition is "" of an asset without partitions.
	Partition string `json:"partition,omitempty"`
	Run       string `json:"run"`
	// Attempt is as the function was told.
	Attempt int `json:"attempt"`
	// Call names one call of a function; Process is its process id.
	Call    string    `json:"call"`
	Process int       `json:"process"`
	At      time.Time `json:"at"`
	// Cause is why its context ended.
	Cause string `json:"cause,omitempty"`
}

// NewControls makes the files' folder.
func NewControls(folder string) (Controls, error) {
	if err := os.MkdirAll(filepath.Join(folder, "instructions"), 0o755); err != nil {
		return Controls{}, fmt.Errorf("make the folder of a test location: %w", err)
	}
	return Controls{folder: folder}, nil
}

// Folder is where the files are.
func (c Controls) Folder() string { return c.folder }

func (c Controls) instruction(asset string) string {
	const longest = 100 // of a file's name, which a partition's key may be longer than
	name := url.QueryEscape(asset)
	if len(name) > longest {
		name = name[:longest] + sumOf(asset, nil)
	}
	return filepath.Join(c.folder, "instructions", name+".json")
}

// Instruct tells an asset's function what to do, from now on.
func (c Controls) Instruct(asset string, instruction Instruction) error {
	data, err := json.Marshal(instruction)
	if err != nil {
		return fmt.Errorf("instruct %q: %w", asset, err)
	}
	path := c.instruction(asset)
	// A reader finds the old one or the new one.
	if err = os.WriteFile(path+".new", data, 0o600); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("instruct %q: %w", asset, err)
	}
	return nil
}

func (c Controls) read(asset string) (Instruction, error) {
	var instruction Instruction
	data, err := os.ReadFile(c.instruction(asset))
	if errors.Is(err, fs.ErrNotExist) {
		return instruction, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &instruction)
	}
	if err != nil {
		return instruction, fmt.Errorf("read what %q is to do: %w", asset, err)
	}
	return instruction, nil
}

// PartitionKey is by what one partition of an asset is told what to do.
func PartitionKey(asset, partition string) string { return asset + "@" + partition }

// readOf is what a partition is told to do, or else its asset.
func (c Controls) readOf(asset, partition string) (Instruction, error) {
	if partition != "" {
		if _, err := os.Stat(c.instruction(PartitionKey(asset, partition))); err == nil {
			return c.read(PartitionKey(asset, partition))
		}
	}
	return c.read(asset)
}

func (c Controls) notes() string { return filepath.Join(c.folder, "notes") }

// write adds a note: one write of one line, which other processes' writes do not tear.
func (c Controls) write(note Note) (err error) {
	note.Process, note.At = os.Getpid(), time.Now()
	line, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("note that %q was %s: %w", note.Asset, note.What, err)
	}
	file, err := os.OpenFile(c.notes(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("note that %q was %s: %w", note.Asset, note.What, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("note that %q was %s: %w", note.Asset, note.What, err)
	}
	return nil
}

// Notes are all notes of one kind about an asset, in the order in which they were written. "" is any asset.
func (c Controls) Notes(what, asset string) ([]Note, error) {
	data, err := os.ReadFile(c.notes())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the notes of a test location: %w", err)
	}
	var notes []Note
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		var note Note
		if err := json.Unmarshal(lines.Bytes(), &note); err != nil {
			return nil, fmt.Errorf("read the note %q: %w", lines.Text(), err)
		}
		if note.What == what && (asset == "" || note.Asset == asset) {
			notes = append(notes, note)
		}
	}
	return notes, lines.Err()
}
