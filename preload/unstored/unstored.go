// Package unstored has the reasons for which a good row is not stored, besides those of package record.
package unstored

import "memcached-backdoor/preload/record"

// Unwanted is the reason to skip a row that is not among those that were asked for.
const Unwanted record.Reason = "not among the items that were asked for"

// The reasons for which the cache does not store a row.
const (
	TooLarge record.Reason = "value too large for memcached's item size limit (-I)"
	NoMemory record.Reason = "out of memory in memcached"
	Exists   record.Reason = "key exists"
	Missing  record.Reason = "key does not exist"
)
