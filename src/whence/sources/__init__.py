"""Other programs' stores, read in place: one module per kind, each turning rows into events.

Nothing is copied and nothing is written. What every kind promises is `source.Source`.
"""
