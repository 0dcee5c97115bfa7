"""`ForecastMemory`: the newest forecasts and how far each can be trusted, as the seed's programs ask for them.

Each change is first an event, then a row of an SQLite file beside the journal. All memories of one
file share one open connection, so making one costs nothing; other processes may use it at the same
time. The file can be deleted: what is asked next rebuilds it from the journal.
"""

import atexit
import json
import logging
import math
import operator
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from whence.event import Event, check_text
from whence.log import Log, default
from whence.query import Query
from whence.runs.convert import plain
from whence.runs.forecasts import Forecasts

PRIMITIVE = "forecast"
STORE, TRUST, PRUNE = "store", "update_trust", "prune"

FILE_NAME = "forecasts.sqlite"
MAX_ENTRIES = 1000
NUMBERS = ("confidence", "fragility", "priority", "retrodiction_score")
"""What is kept as a float, however it was given."""

_NO_ID = (None, "", "unknown")
"""What the seed's programs wrote where a forecast had no id."""

logger = logging.getLogger(__name__)

# The lock guards the files that are open.
_files_lock = threading.RLock()
_files: dict[Path, Forecasts] = {}


class ForecastMemory:
    """The newest `max_entries` forecasts. Safe for threads, processes and forks.

    Kept in `persist_dir`, or in the folder of `log`, which is the process's default one if none is
    given. Every method raises StoreError where the file cannot be used.
    """

    def __init__(
        self,
        persist_dir: str | os.PathLike[str] | None = None,
        *,
        max_entries: int = MAX_ENTRIES,
        log: Log | None = None,
    ) -> None:
        if operator.index(max_entries) < 1:
            raise ValueError(f"max_entries is {max_entries}, want 1 or more")
        self.max_entries = max_entries
        self._folder = None if persist_dir is None else Path(persist_dir).absolute()
        self._given_log = log

    @property
    def path(self) -> Path:
        """The file that holds it."""
        return (self._folder or self._log.folder) / FILE_NAME

    def store(self, forecast: dict[str, Any]) -> str:
        """Keep a forecast and return its id: its own `forecast_id`, its `trace_id`, or a new one.

        One of the same id is replaced. Confidence, fragility, priority and retrodiction score become
        floats where they can. `forecast` itself is left as it is.

        Raises:
            TypeError: it is not a dict.
        """
        if not isinstance(forecast, dict):
            raise TypeError(f"forecast is {type(forecast).__name__}, want dict")
        entry = plain(_with_floats(forecast))
        forecast_id = _choose_id(entry)
        entry["forecast_id"] = forecast_id
        data = self._named({"forecast_id": forecast_id, "forecast": entry})
        with self._file().change(self._fill) as db:
            self._record(STORE, _trace_id(entry) or forecast_id, data)
            _put(db, entry)
            self._trim(db)
        return forecast_id

    def get_recent(self, n: int = 10, domain: str | None = None) -> list[dict[str, Any]]:
        """Give the newest `n` forecasts, of one domain if it is named, the newest last."""
        size = max(0, operator.index(n))
        if domain is None:
            rows = self._read("SELECT entry FROM forecasts ORDER BY place DESC LIMIT ?", size)
        else:
            rows = self._read(
                "SELECT entry FROM forecasts WHERE domain = ? ORDER BY place DESC LIMIT ?",
                domain, size,
            )  # fmt: skip
        return [json.loads(entry) for (entry,) in reversed(rows)]

    def find_by_trace_id(self, trace_id: str) -> dict[str, Any] | None:
        """Give the newest forecast of a trace, or the one that has this id itself; None for neither."""
        if not _can_be_id(trace_id):
            return None
        rows = self._read(f"SELECT entry FROM forecasts WHERE {_OF_ID}", trace_id, trace_id)
        return json.loads(rows[0][0]) if rows else None

    def update_trust(self, trace_id: str, data: Mapping[str, Any]) -> bool:
        """Put what became known of a forecast into it; False if there is none of this id.

        Raises:
            TypeError: `data` is not a mapping.
        """
        if not isinstance(data, Mapping):
            raise TypeError(f"data is {type(data).__name__}, want a mapping")
        news = plain(_with_floats(data))
        # The id says which forecast this is; it is not news about it.
        news.pop("forecast_id", None)
        if not (_can_be_id(trace_id) and self._is_there()):
            return False
        with self._file().change(self._fill) as db:
            found = db.execute(
                f"SELECT forecast_id FROM forecasts WHERE {_OF_ID}", (trace_id, trace_id)
            ).fetchone()
            if found is None:
                return False
            self._record(TRUST, trace_id, self._named({"forecast_id": found[0], "trust": news}))
            _merge(db, found[0], news)
        return True

    def prune(self, min_confidence: float = 0.5) -> int:
        """Forget the forecasts whose confidence is lower, for good; return how many.

        Those that say nothing of their confidence stay.
        """
        lowest = float(min_confidence)
        if not self._is_there():
            return 0
        with self._file().change(self._fill) as db:
            rows = db.execute(
                "SELECT forecast_id FROM forecasts WHERE confidence < ? ORDER BY place", (lowest,)
            ).fetchall()
            if rows:
                gone = [forecast_id for (forecast_id,) in rows]
                data = {"min_confidence": lowest, "count": len(gone), "forecast_ids": gone}
                self._record(PRUNE, None, self._named(data))
                _drop(db, gone)
        return len(rows)

    def rebuild(self) -> int:
        """Make the memory anew from the journal, and return how many forecasts it holds.

        What is private or erased in the journal is not in it any more, and what was redacted there
        is redacted here.
        """
        with self._file().change(self._fill) as db:
            db.execute("DELETE FROM forecasts")
            self._fill(db)
            size: int = db.execute("SELECT size FROM counted").fetchone()[0]
        return size

    def close(self) -> None:
        """Give the file back, also for others that share it; the next use opens it again."""
        self._file().close()

    def __len__(self) -> int:
        """How many forecasts it holds."""
        rows = self._read("SELECT size FROM counted")
        return rows[0][0] if rows else 0

    def __bool__(self) -> bool:
        """A memory is there also while it is empty."""
        return True

    def __repr__(self) -> str:
        return f"ForecastMemory({str(self.path)!r}, max_entries={self.max_entries})"

    # -- the file and the journal ------------------------------------------------------------------

    @property
    def _log(self) -> Log:
        return self._given_log or default()

    def _file(self) -> Forecasts:
        path = self.path
        file = _files.get(path)
        if file is None:
            with _files_lock:
                file = _files.setdefault(path, Forecasts(path))
        return file

    def _read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._file().read(statement, values, self._fill) if self._is_there() else []

    def _is_there(self) -> bool:
        """Whether anything may have been stored; where nothing was, asking makes no file."""
        return os.path.exists(self.path) or self._log.exists()

    def _named(self, data: dict[str, Any]) -> dict[str, Any]:
        """Say which memory an event is about, where it is not the one of its log."""
        return data if self._folder is None else {**data, "memory": str(self._folder)}

    def _record(self, type: str, target: str | None, data: dict[str, Any]) -> None:
        # Before the row: a kill between the two costs no forecast, a rebuild brings it.
        self._log.emit(PRIMITIVE, type, target=target, data=data)

    def _fill(self, db: sqlite3.Connection) -> None:
        """Do again what the journal says was done."""
        for event in self._events():
            data = event.data
            if not isinstance(data, dict) or data.get("memory") != (
                None if self._folder is None else str(self._folder)
            ):
                continue
            try:
                self._redo(db, event.type, data)
            except (KeyError, TypeError, AttributeError) as error:
                logger.warning("event %s is no change of a memory: %r", event.id, error)

    def _events(self) -> Iterator[Event]:
        log = self._log
        if log.exists():
            yield from log.events(Query(primitive=PRIMITIVE))

    def _redo(self, db: sqlite3.Connection, type: str, data: dict[str, Any]) -> None:
        if type == STORE:
            _put(db, {**data["forecast"], "forecast_id": data["forecast_id"]})
            self._trim(db)
        elif type == TRUST:
            _merge(db, data["forecast_id"], data["trust"])
        elif type == PRUNE:
            _drop(db, data["forecast_ids"])

    def _trim(self, db: sqlite3.Connection) -> None:
        size: int = db.execute("SELECT size FROM counted").fetchone()[0]
        if size > self.max_entries:
            db.execute(
                "DELETE FROM forecasts WHERE place IN"
                " (SELECT place FROM forecasts ORDER BY place LIMIT ?)",
                (size - self.max_entries,),
            )


def close_all() -> None:
    """Close the files of all memories of this process; the next use opens them again."""
    with _files_lock:
        for file in _files.values():
            file.close()


atexit.register(close_all)


def _renew_files_lock() -> None:
    global _files_lock
    _files_lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_files_lock)


# -- rows ------------------------------------------------------------------------------------------

_OF_ID = (
    "place = coalesce((SELECT max(place) FROM forecasts WHERE trace_id = ?),"
    " (SELECT place FROM forecasts WHERE forecast_id = ?))"
)


def _put(db: sqlite3.Connection, entry: dict[str, Any]) -> None:
    """Make an entry the newest; it replaces one of the same id."""
    _drop(db, [entry["forecast_id"]])
    db.execute(
        "INSERT INTO forecasts (forecast_id, trace_id, domain, confidence, entry)"
        " VALUES (?, ?, ?, ?, ?)",
        (entry["forecast_id"], *_columns(entry)),
    )


def _merge(db: sqlite3.Connection, forecast_id: str, news: dict[str, Any]) -> None:
    found = db.execute(
        "SELECT entry FROM forecasts WHERE forecast_id = ?", (forecast_id,)
    ).fetchone()
    if found is not None:
        entry = {**json.loads(found[0]), **news}
        db.execute(
            "UPDATE forecasts SET trace_id = ?, domain = ?, confidence = ?, entry = ?"
            " WHERE forecast_id = ?",
            (*_columns(entry), forecast_id),
        )


def _drop(db: sqlite3.Connection, forecast_ids: list[str]) -> None:
    db.executemany(
        "DELETE FROM forecasts WHERE forecast_id = ?", [(each,) for each in forecast_ids]
    )


def _columns(entry: dict[str, Any]) -> tuple[str | None, str | None, float | None, str]:
    domain, confidence = entry.get("domain"), entry.get("confidence")
    is_number = isinstance(confidence, float) and math.isfinite(confidence)
    return (
        _trace_id(entry),
        domain if isinstance(domain, str) else None,
        confidence if is_number else None,
        json.dumps(entry, separators=(",", ":")),
    )


# -- forecasts as they are given -------------------------------------------------------------------


def _with_floats(given: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which what should be a number is one; what cannot be stays, and is told."""
    entry = dict(given)
    for name in NUMBERS:
        value = entry.get(name)
        if value is None or isinstance(value, float):
            continue
        try:
            entry[name] = float(value)
        except (TypeError, ValueError, OverflowError):
            logger.warning("%s of a forecast is no number: %.80r", name, value)
    return entry


def _choose_id(entry: dict[str, Any]) -> str:
    for name in ("forecast_id", "trace_id"):
        value = entry.get(name)
        if value not in _NO_ID:
            return check_text(name, value if isinstance(value, str) else json.dumps(value))
    return str(uuid.uuid4())


def _can_be_id(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= sign <= "\udfff" for sign in value)


def _trace_id(entry: dict[str, Any]) -> str | None:
    value = entry.get("trace_id")
    return value if isinstance(value, str) and value else None
