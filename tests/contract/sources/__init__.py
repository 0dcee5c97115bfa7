"""One module per kind of source, each with `CASES`: stores of that kind for the contract."""
