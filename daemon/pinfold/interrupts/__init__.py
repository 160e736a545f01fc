"""Which CPUs are interrupted for devices, and how those that pods own are spared.

Pure: `affinities`, `masks`, `words`. The shell around them: `files`, `irqbalance`, `guard`.
"""
