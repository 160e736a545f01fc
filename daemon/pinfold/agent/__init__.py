"""The only place where sources, the core and the kernel meet: the loop, and the two commands that act without it."""
