"""Whence: what happened, why, and can you prove it? A flight recorder for agents and simulations."""

__version__ = "0.1.0"
