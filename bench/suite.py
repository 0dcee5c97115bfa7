"""All benchmarks, in the order of the table."""

from bench.ask import ASK
from bench.audit import AUDIT
from bench.commands import COMMANDS
from bench.decide import DECIDE
from bench.durable import DURABLE
from bench.emit import EMIT, THREADS
from bench.index import INDEX
from bench.processes import PROCESSES
from bench.proof import PROOF
from bench.runs import RUNS
from bench.sources import SOURCES
from bench.swarm import SWARM
from bench.trace import TRACE
from bench.trust import TRUST

BENCHMARKS = (
    EMIT,
    THREADS,
    SWARM,
    TRACE,
    DURABLE,
    PROCESSES,
    INDEX,
    ASK,
    SOURCES,
    RUNS,
    AUDIT,
    TRUST,
    DECIDE,
    PROOF,
    COMMANDS,
)
