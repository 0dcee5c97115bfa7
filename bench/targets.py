"""The figures that Whence promises to reach, one row each, in the words of the table."""

from typing import NamedTuple


class Target(NamedTuple):
    """One promised figure: `value` must be at most `limit`, or at least where `is_least`."""

    key: str
    what: str
    peer: str
    limit: float
    unit: str
    is_least: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a measured value keeps the promise."""
        return value >= self.limit if self.is_least else value <= self.limit

    @property
    def wanted(self) -> str:
        """The limit as the table shows it."""
        return f"{'≥' if self.is_least else '≤'} {format_value(self.limit, self.unit)}"


def format_value(value: float, unit: str) -> str:
    """Write a figure with as many digits as mean something."""
    if abs(value) >= 1000:
        digits = f"{value:,.0f}"
    elif abs(value) >= 100:
        digits = f"{value:.0f}"
    elif unit == "×" or abs(value) < 1:
        digits = f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")
    else:
        digits = f"{value:.1f}".removesuffix(".0")
    return f"{digits}×" if unit == "×" else f"{digits} {unit}".rstrip()


def _at_ten_million(target: Target) -> Target:
    """In a journal ten times as large the same look-up may take three times its limit."""
    key = target.key.replace("ask.", "ask10.")
    return target._replace(key=key, what=f"{target.what}, 10M", limit=3 * target.limit)


_LOOK_UPS = (
    Target("ask.timeline", "timeline of 20 events", "", 1, "ms"),
    Target("ask.last", "last 100 events", "", 1, "ms"),
    Target("ask.id", "event by id", "", 1, "ms"),
    Target("ask.hour", "one agent's hour", "", 1, "ms"),
    Target("ask.causality", "causality tree of 100", "", 2, "ms"),
    Target("ask.statistics", "statistics over all", "", 40, "ms"),
    Target("ask.find", "find of a rare word", "", 1000, "ms"),
)

TARGETS = (
    Target("emit.caller.otel", "emit, CPU of the caller", "opentelemetry-sdk", 0.18, "×"),
    Target("emit.total.otel", "emit, CPU in total", "opentelemetry-sdk", 0.08, "×"),
    Target("emit.structlog", "emit, CPU", "structlog+orjson", 0.6, "×"),
    Target("emit.eliot", "emit, CPU", "eliot", 0.6, "×"),
    Target("emit.logging", "emit, CPU", "logging+json", 0.35, "×"),
    Target("threads.cpu", "emit by 8 threads, CPU", "by 1 thread", 1.3, "×"),
    Target("threads.p99", "emit by 8 threads, p99 of a call", "", 20, "µs"),
    Target("swarm.emit", "swarm.emit, CPU", "log.emit", 1.15, "×"),
    Target("swarm.claim", "claim_task finding its cause, CPU", "log.emit", 1.25, "×"),
    Target("span.caller.otel", "span, CPU of the caller", "opentelemetry-sdk", 0.18, "×"),
    Target("span.total.otel", "span, CPU in total", "opentelemetry-sdk", 0.08, "×"),
    Target("span.eliot", "span, CPU", "eliot's action", 0.5, "×"),
    Target("span.structlog", "span, CPU", "structlog+orjson", 0.6, "×"),
    Target("span.nothing", "span, CPU", "NoOpTracer", 1, "×"),
    Target("span.off", "step not traced, over an empty with", "", 0.3, "µs"),
    Target("span.p99", "span by 8 threads, p99", "1 thread, p50", 5, "×"),
    Target("spans.first", "tree of 100,000 spans, first screen", "", 300, "ms"),
    Target("spans.memory", "the same, peak memory", "", 100, "MB"),
    Target("durable.bare", "durable, 1 thread", "write+fdatasync", 0.8, "×", is_least=True),
    Target("durable.threads", "durable, 64 threads", "1 thread", 6, "×", is_least=True),
    Target("durable.asyncio", "durable, 64 asyncio tasks", "1 thread", 15, "×", is_least=True),
    Target("durable.sqlite", "durable, 64 threads", "SQLite FULL", 8, "×", is_least=True),
    Target("processes.2", "2 processes, one journal", "1 process", 0.9, "×", is_least=True),
    Target("processes.4", "4 processes, one journal", "1 process", 0.9, "×", is_least=True),
    Target("index.rate", "catch-up per CPU second", "seed's schema", 110_000, "events", True),
    Target("index.bytes", "index per event", "seed's schema", 130, "bytes"),
    Target("index.memory", "catch-up of 10M, peak memory", "", 400, "MB"),
    *_LOOK_UPS,
    *map(_at_ten_million, _LOOK_UPS),
    Target("source.task.indexed", "a task in databases, indexed", "journal", 100, "ms"),
    Target("source.task.bare", "a task in databases as they are", "journal", 2000, "ms"),
    Target("source.first.indexed", "first row of databases, indexed", "journal", 300, "ms"),
    Target("source.first.bare", "first row of databases as they are", "journal", 300, "ms"),
    Target("source.memory", "asking databases, peak memory", "journal", 200, "MB"),
    Target("run.save", "a run with a file of 100 KB", "json.dumps+write+fsync", 1.5, "×"),
    Target("run.step", "a step, over digesting its state", "", 10, "µs"),
    Target("replay.one", "a replay, over the runner's own time", "", 300, "ms"),
    Target("replay.many", "replays on all cores, per core", "on one", 0.85, "×", is_least=True),
    Target("audit.rate", "audit per CPU second", "", 2000, "files", is_least=True),
    Target("audit.memory", "audit of 10,000 files, memory over 1,000", "", 10, "MB"),
    Target("audit.many", "a file of 100,000, one simulation", "of 10,000", 1.3, "×"),
    Target("trust.update", "trust update, over one emit, CPU", "log.emit", 5, "µs"),
    Target("trust.report", "trust report over 100,000 keys", "", 1000, "ms"),
    Target("trust.open", "trust after a million updates", "", 200, "ms"),
    Target("decision.bare", "a durable decision", "write+fdatasync", 1.2, "×"),
    Target("decision.threads", "durable decisions, 64 threads", "1 thread", 6, "×", is_least=True),
    Target("bus.rate", "bus in one process, one listener", "", 100_000, "events", is_least=True),
    Target("bus.across", "from one process' emit to another's callback", "", 50, "ms"),
    Target("seal.rate", "sealing, events per CPU second", "", 200_000, "events", is_least=True),
    Target("seal.slows", "emit at 1,000 a second while it is sealed", "not sealed", 1.1, "×"),
    Target("verify.rate", "verifying, events per CPU second", "", 150_000, "events", is_least=True),
    Target("verify.two", "verifying on two cores", "on one", 1.7, "×", is_least=True),
    Target("proof.open", "opening what is sealed", "", 1000, "ms"),
    Target("proof.one", "proving one event", "", 5, "ms"),
    Target("proof10.open", "opening what is sealed, 10M", "", 1000, "ms"),
    Target("proof10.one", "proving one event, 10M", "", 5, "ms"),
    Target("tree.bytes", "tree and entries, per event", "", 41, "bytes"),
    Target("erase.one", "erasing one event of a million", "", 2000, "ms"),
    Target("erase.many", "erasing a thousand of a million", "", 10_000, "ms"),
    Target("command.version", "whence --version", "python -c pass", 5, "×"),
    Target("command.ref", "whence <ref>, 1M events", "python -c pass", 10, "×"),
)

BY_KEY = {target.key: target for target in TARGETS}
