// Package blob keeps the values of assets as files in a folder or as objects in a bucket.
//
// Each value is one object whose name carries the token of the attempt that wrote it:
//
//	<asset key>/<token>.<extension>
//	<asset key>/partition=<partition>/<token>.<extension>
//
// An object is written whole or not at all, straight under its last name, and is never written a second time by
// another attempt. Only a materialization that Perdure recorded names its token, so until then nobody asks for
// it: staging costs one write and publishing one look, without a copy.
//
// The form follows from the type: []byte and string are stored as they are (.bin and .txt, or what the type's method
// Extension says), slices of structs in the format of [Tables], all else as JSON.
//
// Files (file://) and memory (mem://) are built in. Import storage/blob/s3, storage/blob/gcs or storage/blob/azure for
// s3://, gs:// and azblob:// URLs.
package blob
