"""Findings as SARIF 2.1.0 (OASIS, 2020), which code-scanning pages show. Written piece by piece.

A finding is about a file as a whole, so each is told at its first line.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from whence.runs.rules.rule import Rule, Severity

_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_HERE = "%results%"


def write_sarif(
    findings: Iterable[tuple[str, Severity, str, str]],
    rules: Sequence[Rule],
    *,
    version: str,
    locate: Callable[[str], str],
) -> Iterator[str]:
    """Give the document line by line, however many findings there are.

    A finding is rule, severity, file and message; `locate` gives the URI of a file.
    """
    indexes = {rule.id: index for index, rule in enumerate(rules)}
    driver = {
        "name": "whence",
        "version": version,
        "rules": [
            {
                "id": rule.id,
                "shortDescription": {"text": rule.sentence},
                "defaultConfiguration": {"level": _LEVELS[rule.severity]},
            }
            for rule in rules
        ],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": [_HERE]}
    whole = json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)
    before, after = whole.split(f'"{_HERE}"')
    *lines, indent = before.split("\n")
    yield from lines
    comma = ""
    for rule, severity, file, message in findings:
        if comma:
            yield comma
        result = _result(rule, indexes[rule], severity, locate(file), message)
        # The comma comes with the next one, when it is known that there is one.
        comma = f"{indent}{json.dumps(result)},"
    yield from [comma[:-1]] if comma else []
    yield from after.split("\n")[1:]


def _result(rule: str, index: int, severity: Severity, uri: str, message: str) -> dict[str, Any]:
    print_of = hashlib.sha256(f"{rule}\0{uri}".encode()).hexdigest()
    place = {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}
    return {
        "ruleId": rule,
        "ruleIndex": index,
        "level": _LEVELS[severity],
        "message": {"text": message},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"ruleAndFile/v1": print_of},
    }
