// Package gcs lets [blob.Open] open gs:// URLs. Import it for that effect alone:
//
//	import _ "github.com/perdure-io/perdure/storage/blob/gcs"
//
// [blob.Open]: https://pkg.go.dev/github.com/perdure-io/perdure/storage/blob#Open
package gcs

import (
	_ "gocloud.dev/blob/gcsblob" // Google Cloud Storage
)
