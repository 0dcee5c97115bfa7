"""What proves a journal: keys and signed notes, the tree, and what others can check. Modules are imported by name."""
