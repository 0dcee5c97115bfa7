"""Commits and tags as events. Pure, but for the clock that doubtful times are compared with.

| event | id | target | parent |
|---|---|---|---|
| `commit`, `merge` | the commit's hash | the branch it stands on | its first parent |
| `change`, one for each file | `path/<hash>/<number>` | the file's path | its commit |
| `tag` | `refs/tags/<name>` | the tag's name | the commit it names |

Commits that several people made in one second stand together, then their files, then tags: the ids
are such that their order is this.
"""

import re
import time
from typing import Any, NamedTuple

import msgspec

from whence.event import format_time
from whence.sources.git.commits import Change, Commit
from whence.sources.git.history import Row, Tag
from whence.sources.source import SourceEvent, check_clock

PRIMITIVE = "git"
CHANGE = "change"
TAG = "tag"

TEXT_MAX = 4_000
"""Characters of a message that are kept; its whole length is told beside it."""

FILES_MAX = 100
"""Files that a commit names in its payload; each has an event of its own as well."""

_CHANGE_ID = re.compile(r"path/([0-9a-f]+)/([0-9]{7,})").fullmatch


class Stories(NamedTuple):
    """Tells commits and tags of one source as events."""

    source: str

    def tell_commit(self, row: Row, commit: Commit) -> SourceEvent:
        """The commit itself, with the message and the names of its files."""
        subject, _, body = commit.message.strip("\n").partition("\n")
        data: dict[str, Any] = {"subject": subject[:TEXT_MAX]}
        if body := body.strip("\n"):
            data |= _cut("body", body)
        if commit.email:
            data["email"] = commit.email
        if commit.committer != row.agent:
            data["committer"] = commit.committer
        authored = _format_second(commit.authored)
        if authored and authored != format_time(row.second * 10**9):
            data["authored"] = authored
        if not row.is_cut:
            data["changed"] = len(commit.changes)
            data["files"] = {change.path: change.status for change in commit.changes[:FILES_MAX]}
        return SourceEvent(
            **self._envelope(row),
            id=row.id,
            type="merge" if row.is_merge else "commit",
            target=row.branch,
            parent=row.parent or None,
            links=commit.parents[1:],
            payload=msgspec.Raw(msgspec.json.encode(data)),
            fact=row.id,
        )

    def tell_changes(self, row: Row, commit: Commit, only: str | None = None) -> list[SourceEvent]:
        """Each file that the commit changed, or that one; none where its parents are not known."""
        if row.is_cut:
            return []
        subject = commit.message.strip("\n").partition("\n")[0][:TEXT_MAX]
        envelope = self._envelope(row)
        return [
            SourceEvent(
                **envelope,
                id=f"path/{row.id}/{number:07}",
                type=CHANGE,
                target=change.path,
                parent=row.id,
                payload=msgspec.Raw(msgspec.json.encode(_describe(change, subject))),
            )
            for number, change in enumerate(commit.changes)
            if only in (None, change.path)
        ]

    def tell_tag(self, tag: Tag, commit_second: int | None) -> SourceEvent | None:
        """The tag, given the time of the commit it names; None if neither says when it was made."""
        second = tag.second if tag.second is not None else commit_second
        if second is None:
            return None
        data = _cut("message", tag.message.strip("\n")) if tag.is_annotated else {}
        return SourceEvent(
            source=self.source,
            primitive=PRIMITIVE,
            id=tag.ref,
            type=TAG,
            time=format_time(second * 10**9),
            agent=tag.agent or None,
            target=tag.name,
            parent=tag.commit or None,
            payload=msgspec.Raw(msgspec.json.encode(data | {"annotated": tag.is_annotated})),
            inferred=("time",) if tag.is_undated else (),
            remark=check_clock(second * 10**9, time.time_ns()),
        )

    def _envelope(self, row: Row) -> dict[str, Any]:
        return {
            "source": self.source,
            "primitive": PRIMITIVE,
            "time": format_time(row.second * 10**9),
            "agent": row.agent or None,
            "inferred": ("time",) if row.is_undated else (),
            "remark": _remark(row),
        }


def commit_of(event_id: str) -> str:
    """The hash in the id of a commit or of a change; empty for other ids."""
    found = _CHANGE_ID(event_id)
    return found.group(1) if found else event_id if re.fullmatch("[0-9a-f]+", event_id) else ""


def _remark(row: Row) -> str | None:
    if row.is_cut:
        return "what it changed is not known: the clone is shallow"
    return check_clock(row.second * 10**9, time.time_ns())


def _describe(change: Change, subject: str) -> dict[str, Any]:
    data: dict[str, Any] = {"status": change.status, "subject": subject}
    return data | {"submodule": True} if change.is_submodule else data


def _cut(key: str, text: str) -> dict[str, Any]:
    if len(text) <= TEXT_MAX:
        return {key: text}
    return {key: text[:TEXT_MAX] + "…", f"{key}_length": len(text)}


def _format_second(text: bytes) -> str:
    try:
        return format_time(int(text) * 10**9)
    except ValueError:
        return ""
