"""Questions to the log: time phrases, timelines, causes. Rules are pure; edges fetch."""
