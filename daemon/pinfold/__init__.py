"""Pinfold: pod-level exclusive CPUs and NUMA-local memory, enforced by the kernel."""

__version__ = "0.1.0"
