package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// SVG is a picture. Its Extension makes the store call the file <token>.svg, so that a browser opens it.
type SVG string

// Extension is what the file's name ends in.
func (SVG) Extension() string { return "svg" }

type bar struct {
	label string
	Delays
}

const (
	chartWidth, chartHeight = 760.0, 320.0
	chartTop, chartBottom   = 60.0, 40.0
)

// chart draws a bar for each mean delay; bars for fewer than minFlights flights are left out.
func chart(title string, minFlights int, bars []bar) SVG {
	bars = slices.DeleteFunc(bars, func(b bar) bool { return b.Flights < minFlights })
	low, high := 0.0, 1.0
	for _, b := range bars {
		low, high = min(low, b.MeanDelay), max(high, b.MeanDelay)
	}
	scale := (chartHeight - chartTop - chartBottom) / (high - low)
	zero := chartTop + high*scale

	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12" text-anchor="middle">`+"\n", chartWidth, chartHeight)
	fmt.Fprintf(&svg, `<rect width="100%%" height="100%%" fill="white"/><text x="20" y="28" font-size="16" text-anchor="start">%s</text>`+"\n", html.EscapeString(title))
	for i, b := range bars {
		step := (chartWidth - 40) / float64(len(bars))
		left, middle := 20+step*float64(i), 20+step*(float64(i)+0.5)
		top, color := zero-max(b.MeanDelay, 0)*scale, "#c0392b"
		if b.MeanDelay < 0 {
			color = "#2e7d6b"
		}
		fmt.Fprintf(&svg, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%d flights</title></rect>`, left+2, top, step-4, max(b.MeanDelay, -b.MeanDelay)*scale, color, b.Flights)
		fmt.Fprintf(&svg, `<text x="%.1f" y="%.1f">%.1f</text><text x="%.1f" y="%.1f" fill="#555">%s</text>`+"\n", middle, top-5, b.MeanDelay, middle, chartHeight-12, html.EscapeString(b.label))
	}
	fmt.Fprintf(&svg, `<line x1="20" x2="%g" y1="%.1f" y2="%.1f" stroke="#555"/>`+"\n</svg>\n", chartWidth-20, zero, zero)
	return SVG(svg.String())
}
