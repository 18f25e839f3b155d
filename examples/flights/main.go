// Command flights is Perdure's example: 20,000 flights become tables of delays and a chart.
package main

import "github.com/perdure-io/perdure/worker"

func main() { worker.Main(Location) }
