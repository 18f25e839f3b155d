package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// NewFiles looks into a folder whenever its interval has passed: where files come from knows nothing of Perdure. Each file lists airports,
// which are watched from then on: their keys are added, and their delays made.
var (
	Watch     = definitions.AssetJob("watch", definitions.Assets(WatchedDelays), definitions.Description("Makes the delays of watched airports."))
	Watchlist = definitions.Resource("watchlist", definitions.Bind0(openWatchlist), definitions.NoClose)
	NewFiles  = definitions.Sensor("new_files", []*definitions.Job{Watch},
		definitions.Bind2(newFiles, Watchlist, definitions.CursorOf[listing]()), definitions.Every(5*time.Second),
		definitions.Owners{"team:network"}, definitions.Description("Watches the airports that files in the folder of watch lists name."))
)

// openWatchlist gives the folder that FLIGHTS_WATCHLIST names, or .perdure/watchlist where the program runs. It need not be there.
func openWatchlist(definitions.Context) (fs.FS, error) {
	return os.DirFS(cmp.Or(os.Getenv("FLIGHTS_WATCHLIST"), ".perdure/watchlist")), nil
}

// listing is the sensor's cursor: the files that were there, and when each was written. The time of the newest file would be shorter, and
// would lose the one that is moved here after a newer one was.
type listing map[string]time.Time

var airportCode = regexp.MustCompile(`^[A-Z]{3}$`)

func newFiles(ctx definitions.Context, folder fs.FS, before listing) (definitions.Tick[listing], error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return definitions.Tick[listing]{}, fmt.Errorf("look for watch lists: %w", err)
	}
	tick := definitions.Tick[listing]{Cursor: listing{}}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // it was removed just now, or is no file
		}
		written := info.ModTime().UTC()
		tick.Cursor[entry.Name()] = written
		if at, known := before[entry.Name()]; known && at.Equal(written) {
			continue
		}
		airports, err := readAirports(folder, entry.Name())
		if err != nil {
			return definitions.Tick[listing]{}, err
		}
		if len(airports) == 0 {
			ctx.Log().Warn("the file names no airports", "file", entry.Name())
			continue
		}
		tick.Partitions = append(tick.Partitions, Watched.Add(airports...))
		tick.Runs = append(tick.Runs, Watch.Request(definitions.RunKey(entry.Name()+" "+written.Format(time.RFC3339Nano)),
			definitions.ForPartitions(airports...), definitions.Title(entry.Name()), definitions.Tags{"file": entry.Name()}))
	}
	if len(tick.Runs) == 0 {
		tick.Skip = fmt.Sprintf("nothing new, files: %d", len(tick.Cursor))
	}
	return tick, nil
}

// readAirports are the words of a file that are codes of airports.
func readAirports(folder fs.FS, name string) ([]string, error) {
	text, err := fs.ReadFile(folder, name)
	if err != nil {
		return nil, fmt.Errorf("read the watch list %s: %w", name, err)
	}
	var airports []string
	for word := range strings.FieldsSeq(string(text)) {
		if airportCode.MatchString(word) {
			airports = append(airports, word)
		}
	}
	return airports, nil
}
