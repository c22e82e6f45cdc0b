"""The grammar `vhdx.ksy` and what it compiles to; `make generated` writes all but this module."""
