"""A swarm's own databases, in every era they had: one package, since it is one store.

`source` is the face; `eras` says what columns mean, `clocks` what times mean, `feeds` which events there are,
`statements` how they are asked for, `names` what ids stand for, `tell` what a row says, `reading` merges.
"""

from whence.sources.space.source import SpaceSource, open_source

__all__ = ["SpaceSource", "open_source"]
