// Package definitions is what users of Perdure write.
package definitions
