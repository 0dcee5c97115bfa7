"""The history of a repository as events: commits, merges, tags, and each file that one changed."""

from whence.sources.git.repository import GitSource, open_source

__all__ = ["GitSource", "open_source"]
