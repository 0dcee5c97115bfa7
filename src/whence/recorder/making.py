"""From settings to the recorder that they ask for."""

from pathlib import Path
from typing import Any

from whence.journal.forks import loading
from whence.journal.place import Layout
from whence.recorder.payload import Payloads
from whence.recorder.privacy import RuledRecorder, Rules
from whence.recorder.recorder import Recorder
from whence.recorder.redact import Redactor
from whence.settings import Durability, JournalSettings, RedactionSettings, Settings


def make_recorder(folder: Path, settings: Settings, durability: Durability) -> Recorder:
    """Make the recorder of one log; ValueError if the settings name what is not there."""
    options: dict[str, Any] = {
        "durability": durability,
        "payloads": Payloads(_redactor(settings.redaction)),
        "layout": _layout(settings.journal),
    }
    if _is_following(settings):
        with loading:
            from whence.recorder.threads import follow_threads

        follow_threads()
    if not settings.privacy.rule:
        return Recorder(folder, **options)
    return RuledRecorder(folder, rules=Rules(settings.privacy.rule), **options)


def _is_following(settings: Settings) -> bool:
    """Whether `[tracing]` has threads take causes along; whether it is right, the tracer says."""
    tracing = settings.others.get("tracing")
    return isinstance(tracing, dict) and tracing.get("threads") is True


def _redactor(wanted: RedactionSettings) -> Any:
    if not wanted.enabled:
        return None
    return Redactor(keys=wanted.keys, patterns=wanted.patterns, allow=wanted.allow)


def _layout(wanted: JournalSettings) -> Layout:
    if wanted.group is None:
        return Layout(segment_bytes=wanted.segment_bytes)
    import grp

    try:
        group = grp.getgrnam(wanted.group).gr_gid
    except KeyError as error:
        raise ValueError(f"group {wanted.group!r} of [journal] does not exist") from error
    # The sticky bit: everyone of the group puts files there, and nobody takes away those of others.
    return Layout(
        wanted.segment_bytes, folder_mode=0o750, file_mode=0o640, group=group, root_mode=0o3770
    )
