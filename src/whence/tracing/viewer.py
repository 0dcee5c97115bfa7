"""`python -m whence.tracing.viewer` is `whence spans`, under the seed's name."""

import sys

from whence.cli import main

if __name__ == "__main__":
    sys.exit(main("spans"))
