"""Transcripts of Claude Code's sessions as events: prompts, answers, tool calls, subagents, notes."""

from whence.sources.claude.sessions import ClaudeSource, open_source

__all__ = ["ClaudeSource", "open_source"]
