"""Which version for this user: OpenFeature's remote evaluation protocol (OFREP), served by a process of its own.

A cycle may keep its process busy for seconds, and applications ask within a request of theirs. So the daemon only
starts this process and starts it again when it dies; the answers come from a copy of the split table, renewed every
second. It reads the database, knows no key of anything else, and ends when the daemon does.
"""
