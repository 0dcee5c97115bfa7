"""What `[proof]` in `whence.toml` may say.

`origin`: the log's name in its checkpoints; `keys`: the folder of the signing keys; `seal`: "auto" or "off".
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
    seal: Literal["auto", "off"] = "off"

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
