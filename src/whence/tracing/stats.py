"""`python -m whence.tracing.stats` is `whence stats`, under the seed's name."""

import sys

from whence.cli import main

if __name__ == "__main__":
    sys.exit(main("stats"))
