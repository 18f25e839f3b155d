// Package azure lets [blob.Open] open azblob:// URLs. Import it for that effect alone:
//
//	import _ "github.com/perdure-io/perdure/storage/blob/azure"
//
// [blob.Open]: https://pkg.go.dev/github.com/perdure-io/perdure/storage/blob#Open
package azure

import (
	_ "gocloud.dev/blob/azureblob" // Azure Blob Storage
)
