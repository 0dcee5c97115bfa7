"""Simulation runs: what went in and came out, kept so that somebody else can do it again."""
