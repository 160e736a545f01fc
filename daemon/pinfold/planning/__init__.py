"""Who gets which CPUs and memory: decisions as pure functions. No file, no clock, no log."""
