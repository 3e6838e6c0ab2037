"""The core: standard library and numpy, no I/O, no clock, no async."""
