"""Pinfold on a real kernel where things go wrong: it is killed at each of its writes, and somebody else writes too.

Host side: the tests. Guest side, each with its own opening: `crashes` and `hostile`.
"""
