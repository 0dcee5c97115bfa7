"""The rules of the audit, and what those need who write their own.

```python
from whence.runs.rules import AuditedRun, Limits, number, rule


@rule("no-debt", "error", "Capital is never below zero.", floor=0)
def no_debt(run: AuditedRun, limits: Limits) -> Iterator[str]:
    for asset, value in run.output_capital.items():
        if (number(value) or 0) < limits["floor"]:
            yield f"output.capital.{asset} is {value}"
```
"""

from whence.runs.rules.rule import Check, Limits, Rule, Severity, rule
from whence.runs.rules.subject import AuditedRun, number, show

__all__ = ["AuditedRun", "Check", "Limits", "Rule", "Severity", "number", "rule", "show"]
