"""Ask the assistant a few things: `python -m examples.four_layers --trace`."""

import argparse

from examples.four_layers.assistant import Assistant
from whence import tracing

_REQUESTS = (
    "zoom in: what should I do today?",
    "remember that the report is due on Friday",
    "zoom out: why am I doing all this?",
    "send the report to everyone",
    "remember that Ada reads it first",
    "remember that the printer is broken",
    "when is the report due?",
    "who reads it first?",
)


def main() -> None:
    """Answer the requests that are given, or those that show every layer."""
    parser = argparse.ArgumentParser(prog="four_layers", description=__doc__)
    tracing.add_argument(parser)
    parser.add_argument("--ask", action="append", metavar="TEXT", help="ask this instead")
    options = parser.parse_args()
    assistant = Assistant()
    for request in options.ask or _REQUESTS:
        print(f"you: {request}\njar: {assistant.answer(request)}", flush=True)


if __name__ == "__main__":
    main()
