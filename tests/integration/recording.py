"""A process that records, run as a script.

python -m tests.integration.recording FOLDER STREAM COUNT

Records COUNT events (0: until it is ended), says `begun` after the first, and closes by exiting.
"""

import sys
from itertools import count, islice
from pathlib import Path

from whence.journal.place import Layout
from whence.recorder.recorder import Recorder


def main() -> None:
    folder, stream, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    recorder = Recorder(folder, layout=Layout(segment_bytes=64 * 1024))
    for serial in islice(count(), number or None):
        recorder.emit("test", "happened", data={"key": f"{stream}:{serial}", "x": "x" * 200})
        if serial == 0:
            sys.stdout.write("begun\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
