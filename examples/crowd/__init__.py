"""A crowd whose feelings spread: a simulation that records itself, and can be done again."""
