"""A rule about ids: the file, the run and its output are one and the same. Pure."""

from collections.abc import Iterator
from pathlib import Path

from whence.runs.files import SUFFIX, path_of
from whence.runs.rules.rule import Limits, rule
from whence.runs.rules.subject import AuditedRun, show


@rule("id-agreement", "error", "A file is named by its `trace_id`, and ids inside are the same.")
def id_agreement(run: AuditedRun, _limits: Limits) -> Iterator[str]:
    """Tell ids that differ."""
    own = run.trace_id
    if not isinstance(own, str) or not own:
        return
    # The original named files by ids as they are.
    if f"{own}{SUFFIX}" != run.file:
        try:
            wanted = path_of(Path(), own).name
        except ValueError as error:
            yield str(error)
        else:
            if wanted != run.file:
                yield f"trace_id is {show(own)}, which belongs into {show(wanted)}"
    for path, holder in (("input", run.input), ("output", run.output)):
        inner = holder.get("trace_id")
        if inner is not None and inner != own:
            yield f"{path}.trace_id is {show(inner)}, but trace_id is {show(own)}"
