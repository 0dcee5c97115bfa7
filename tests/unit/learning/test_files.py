"""Files for others are there as a whole, or nothing of them is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from whence.learning.files import write_whole


@pytest.mark.parametrize("raised", [OverflowError, KeyboardInterrupt])
def test_whatever_ends_the_writing_no_half_file_stays(
    tmp_path: Path, raised: type[BaseException]
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise raised

    with pytest.raises(raised):
        write_whole(tmp_path / "plot.svg", pieces())
    assert list(tmp_path.iterdir()) == []
