"""A small assistant of layers, in which every transition, gate check and memory operation is traced."""
