"""Record a little work, then ask what happened and why.

Run it, then ask again from the shell: `whence report-7`.
"""

import whence

log = whence.open()  # ./.whence, unless WHENCE_DIR or whence.toml says otherwise

request = log.emit(
    "bridge", "send", agent="ana", target="reports", data={"content": "we need the report"}
)
task = log.emit(
    "ops",
    "create_task",
    agent="planner",
    target="report-7",
    parent=request,
    data={"title": "Write the weekly report"},
)
# What is recorded inside names the task as its cause, and the span as the cause of what is in it.
with log.cause(task), log.span("report.write", agent="writer", target="report-7") as span:
    log.emit("memory", "add_entry", agent="writer", data={"content": "sales are up"})
    span.output("3 pages", pages=3)
log.emit("ops", "complete_task", agent="writer", target="report-7", parent=span.id)

print("What happened?")
for row in log.timeline("report-7").rows:
    print(f"  {row.event.primitive}: {row.text}")

print("Why?")
for depth, node in log.causality("report-7").nodes():
    print("  " + "  " * depth + node.text)
