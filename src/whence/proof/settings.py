"""What `[proof]` and `[retention]` in `whence.toml` may say.

`[retention]` may say `keep`: a span such as "180 days", after which `whence prune` takes payloads away.

`policy`: a file with the witnesses to ask, in the form of C2SP's tlog-policy. `origin`: the log's name in its checkpoints; `keys`: the folder of the signing keys; `seal`: "auto", "on" or "off".
"""

from pathlib import Path
from typing import Literal

import msgspec

from whence.proof.keyring import find_folder
from whence.settings import Settings


class ProofSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table as it was read."""

    origin: str | None = None
    keys: str | None = None
    policy: str | None = None
    seal: Literal["auto", "on", "off"] = "auto"

    @property
    def key_folder(self) -> Path:
        """Where the signing keys are."""
        return find_folder({"keys": self.keys})


def read_proof_settings(settings: Settings) -> ProofSettings:
    """Read the table; ValueError says what is wrong in it."""
    try:
        return msgspec.convert(settings.others.get("proof", {}), ProofSettings)
    except msgspec.ValidationError as error:
        raise ValueError(f"{settings.file}: [proof]: {error}") from error


class _Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keep: str | None = None


def read_keep(settings: Settings) -> str | None:
    """How long payloads are kept, as a phrase; None where nothing is said."""
    try:
        return msgspec.convert(settings.others.get("retention", {}), _Retention).keep
    except msgspec.ValidationError as error:
        raise ValueError(f"{settings.file}: [retention]: {error}") from error
