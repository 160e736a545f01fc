"""A real kernel for the tests: virtual machines with any CPUs and NUMA nodes, and a Kubernetes node played in them.

Host side: `machine` boots a kernel and runs one command there (``python -m tests.vm --help``), `images` makes and
keeps what it boots, `host` finds the tools. Guest side: `node` plays the kubelet and the container runtime with real
processes in real cgroups and asks the kernel what came of it, `workloads` are its pods. No KVM is needed; the standard
library and, for systemd's bus, jeepney are enough.

What to know before writing a test here: the emulator translates code when it is first run, so the first of everything
is five times slower, and one machine for a whole test file is right. It is no clock: every wait gets a deadline in tens
of seconds, nothing asserts on times. CPU 0 cannot go offline. The kernels differ where it matters: run on all.
"""
