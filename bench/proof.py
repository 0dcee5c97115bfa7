"""What a proof costs: sealing and verifying by CPU, verifying on two cores, one proof, the size of the tree, erasing.

All on one journal, whose events have a payload of about 80 bytes. How much the sealer slows who records is measured at a
thousand events a second, as the median of the rounds' medians of one call.
"""

import shutil
import statistics
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import whence
from bench.index import MILLION
from bench.measure import Benchmark, Finding, Plan, interleave, median_ratio, scratch
from whence.proof import keyring
from whence.proof.proving import Prover
from whence.proof.sealer import Sealer
from whence.proof.sealing import seal
from whence.proof.settings import ProofSettings
from whence.proof.verifying import verify
from whence.retention import owners_of

_TARGETS = 1_000
_PROVEN = 200
_PER_SECOND = 1_000
_MS = 1000


def record(folder: Path, events: int) -> None:
    """Have a journal of so many events."""
    with whence.open(folder) as log:
        for number in range(events):
            data = {"number": number, "text": "x" * 60}
            log.emit(
                "ops", "claim_task", agent="haiku-1", target=f"t{number % _TARGETS}", data=data
            )


def seal_anew(folder: Path) -> float:
    """Events that a seal of all takes in a second of CPU."""
    for name in ("tree", "keys"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("checkpoint", "checkpoints.jsonl"):
        (folder / name).unlink(missing_ok=True)
    signer = keyring.make_key(folder / "keys", folder, "whence/bench")
    start = time.process_time()
    sealed = seal(folder, signer)
    taken = time.process_time() - start
    if sealed is None:
        raise AssertionError("somebody else seals")
    return sealed.checkpoint.size / taken


def verify_by(folder: Path, workers: int) -> tuple[float, float]:
    """Events that a verification looks at in a second: of CPU of this process, and of time."""
    key = keyring.need_signer(folder / "keys", folder, "whence/bench").key.verifier()
    cpu, start = time.process_time(), time.perf_counter()
    report = verify(folder, keys=[key], workers=workers)
    taken, wall = time.process_time() - cpu, time.perf_counter() - start
    if not report.is_verified:
        raise AssertionError(report.problems)
    return report.size / taken, report.size / wall


def paced(seal_too: bool) -> float:
    """Microseconds of CPU of an emit at a thousand a second."""
    with scratch() as folder:
        (folder / ".whence").mkdir()
        keys = folder / "keys"
        said = f'[proof]\nkeys = "{keys}"\nseal = "{"on" if seal_too else "off"}"\n'
        (folder / ".whence" / "whence.toml").write_text(said, encoding="utf-8")
        taken = []
        with whence.open(folder / ".whence") as log:
            log.emit("ops", "warm")
            begun = time.perf_counter()
            for number in range(2 * _PER_SECOND):
                data = {"number": number, "text": "x" * 60}
                start = time.perf_counter_ns()
                log.emit("ops", "claim_task", agent="haiku-1", target="t", data=data)
                taken.append(time.perf_counter_ns() - start)
                time.sleep(max(0.0, begun + number / _PER_SECOND - time.perf_counter()))
        return statistics.median(taken) / 1000


def erase(folder: Path, target: str, limit: int | None) -> float:
    """Milliseconds to erase what is about a target."""
    with whence.open(folder) as log:
        settings = ProofSettings(keys=str(folder / "keys"), origin="whence/bench")
        sealer = Sealer(folder, settings, lambda: log.recorder, owners=owners_of(log))
        sealer.seal()
        events = list(log.events(whence.Query(target=target), limit=limit))
        start = time.perf_counter()
        erased = sealer.erase(events, reason="bench", by="bench")
        taken = time.perf_counter() - start
        if erased.size != len(events):
            raise AssertionError(erased)
    return taken * _MS


def run(plan: Plan) -> Iterator[Finding]:
    few = min(plan.rounds, 5)
    with scratch() as scratched:
        folder = scratched / ".whence"
        record(folder, plan.events)
        rates = interleave({"seal": partial(seal_anew, folder)}, few)["seal"]
        value = statistics.median(rates)
        yield Finding("seal.rate", value, f"{value:,.0f}/s", note=f"{plan.events:,} events")
        looked = interleave(
            {"one": partial(verify_by, folder, 1), "two": partial(verify_by, folder, 2)}, few
        )
        value = statistics.median(cpu for cpu, _ in looked["one"])
        yield Finding("verify.rate", value, f"{value:,.0f}/s", note=f"{plan.events:,} events")
        one, two = ([wall for _, wall in looked[name]] for name in ("one", "two"))
        yield Finding(
            "verify.two", median_ratio(two, one), f"{statistics.median(two):,.0f}/s",
            f"{statistics.median(one):,.0f}/s",
        )  # fmt: skip
        yield from run_proofs(folder, plan)
    if plan.is_full:
        yield from run_large()
    slowed = interleave({"sealing": partial(paced, True), "alone": partial(paced, False)}, few)
    yield Finding(
        "seal.slows", median_ratio(slowed["sealing"], slowed["alone"]),
        f"{statistics.median(slowed['sealing']):.2f} µs", f"{statistics.median(slowed['alone']):.2f} µs",
    )  # fmt: skip


def prove_some(folder: Path) -> tuple[int, dict[str, float]]:
    """How many are sealed, and milliseconds to open them and to prove one of them."""
    start = time.perf_counter()
    prover = Prover(folder)
    opened = (time.perf_counter() - start) * _MS
    size = prover.checkpoint.size
    taken = []
    for at in range(_PROVEN):
        start = time.perf_counter()
        prover.prove(at * (size // _PROVEN))
        taken.append((time.perf_counter() - start) * _MS)
    return size, {"open": opened, "one": statistics.median(taken)}


def run_large() -> Iterator[Finding]:
    with scratch() as scratched:
        folder = scratched / ".whence"
        record(folder, 10 * MILLION)
        seal_anew(folder)
        size, found = prove_some(folder)
        for key, value in found.items():
            yield Finding(f"proof10.{key}", value, f"{value:.2f} ms", note=f"{size:,} events")


def run_proofs(folder: Path, plan: Plan) -> Iterator[Finding]:
    size, found = prove_some(folder)
    for key, value in found.items():
        yield Finding(f"proof.{key}", value, f"{value:.2f} ms", note=f"{plan.events:,} events")
    stored = sum(path.stat().st_size for path in (folder / "tree").iterdir())
    yield Finding("tree.bytes", stored / size, f"{stored / size:.2f} bytes")
    value = erase(folder, "t7", 1)
    yield Finding("erase.one", value, f"{value:,.0f} ms", note=f"in {plan.events:,} events")
    value = erase(folder, "t8", None)
    many = plan.events // _TARGETS
    yield Finding(
        "erase.many", value, f"{value:,.0f} ms", note=f"{many:,} in {plan.events:,} events"
    )


PROOF = Benchmark(
    "proof",
    (
        "seal.rate", "verify.rate", "verify.two", "proof.open", "proof.one", "proof10.open",
        "proof10.one", "tree.bytes", "erase.one",
        "erase.many", "seal.slows",
    ),
    run,
)  # fmt: skip
