// Package s3 lets [blob.Open] open s3:// URLs. Import it for that effect alone:
//
//	import _ "github.com/perdure-io/perdure/storage/blob/s3"
//
// [blob.Open]: https://pkg.go.dev/github.com/perdure-io/perdure/storage/blob#Open
package s3

import (
	_ "gocloud.dev/blob/s3blob" // S3
)
