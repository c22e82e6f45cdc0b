module conformance

// Older than the runtime asks for, so that Go 1.19 reads this file; -mod=mod lets a later Go raise it.
go 1.19

require github.com/kaitai-io/kaitai_struct_go_runtime v0.11.0

require golang.org/x/text v0.28.0
