package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// AddFlags adds the flags of the named keys, such as temporal.address, or of all keys when none is named, but for lists of
// sections, which have none. A flag is
// called like its key with hyphens: --temporal-address. It panics on a name that is no key, as pflag does on a flag that
// is there twice: both are mistakes of the program, not of its user.
func AddFlags(flags *pflag.FlagSet, names ...string) {
	if len(names) == 0 {
		for _, every := range keys() {
			if every.hasFlag() {
				names = append(names, every.name)
			}
		}
	}
	for _, name := range names {
		known := findKey(name)
		if known == nil {
			panic(fmt.Sprintf("config: no key %q", name))
		}
		usage := known.usage
		switch {
		case known.computed != "":
			usage += " (default: " + known.computed + ")"
		case known.fallback != "":
			usage += " (default: " + known.fallback + ")"
		}
		// The zero defaults keep pflag from printing one; a flag that is not given does not count.
		switch known.kind {
		case number:
			flags.Int(known.flag(), 0, usage)
		case boolean:
			flags.Bool(known.flag(), false, usage)
		case duration:
			flags.Duration(known.flag(), 0, usage)
		case list:
			flags.StringSlice(known.flag(), nil, usage)
		default:
			flags.String(known.flag(), "", usage)
		}
	}
}
