"""The recorder: context, redaction, ids and salts, from a call to a line. Knows no index."""
