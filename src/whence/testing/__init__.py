"""Fakes that work, for our own tests and for those of programs that record with Whence.

`clock` has a clock that stands still until told to move; `faults` a disk that fails on cue;
`power` a disk in memory that forgets what was not synced. A good fake also complains when it is
misused: see `faults.MisuseError`.
"""
