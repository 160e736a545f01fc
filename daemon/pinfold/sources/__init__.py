"""Who wakes the loop: each source holds the newest immutable picture of what it watches, and decides nothing.

A source with a file descriptor gives ``fileno()`` and ``drain()`` to the loop's selector; a blocking one has one thread
of its own and calls the ``wake`` it was given. A picture is replaced whole, by one assignment: no locks.
"""
