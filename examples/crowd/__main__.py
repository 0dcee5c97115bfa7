"""`python -m examples.crowd` lets both crowds live, and says how to go on."""

import whence
from examples.crowd.model import SETTINGS
from examples.crowd.simulation import crowd, hasty_crowd


def main() -> None:
    """Record a run of each crowd."""
    crowd(SETTINGS)
    hasty_crowd(SETTINGS)
    whence.close()
    print("Recorded two runs. Go on with:")
    print("  whence runs")
    print("  whence replay --name crowd          IDENTICAL")
    print(
        "  whence replay --name hasty-crowd    NOT_DETERMINISTIC: it depends on the order of a set"
    )
    print("  whence audit")


if __name__ == "__main__":
    main()
