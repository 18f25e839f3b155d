"""Rates the airports: flights come as JSON on standard input, the ratings leave as JSON on standard output."""

import json
import math
import statistics
import sys


def rate(airport, delays):
    delays.sort()
    on_time = sum(delay < 15 for delay in delays)
    return {
        "Airport": airport,
        "Flights": len(delays),
        "OnTimePercent": 100 * on_time / len(delays),
        "MedianDelay": statistics.median(delays),
        "NineInTen": delays[math.ceil(0.9 * len(delays)) - 1],
    }


delays_of = {}
for flight in json.load(sys.stdin):
    delays_of.setdefault(flight["Origin"], []).append(flight["DelayMinutes"])
print(f"rating {len(delays_of)} airports", file=sys.stderr)
json.dump([rate(airport, delays_of[airport]) for airport in sorted(delays_of)], sys.stdout)
