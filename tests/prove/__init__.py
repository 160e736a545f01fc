"""`make prove`: how silent the CPUs of an engine are, beside neighbours that are not."""
