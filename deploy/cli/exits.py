"""Exit codes, for scripts. `docs/cli.md` explains each; a code never changes its meaning."""

DONE = 0
BUG = 1
USAGE = 2
OUTSIDE = 3
REFUSED = 10
UNDECIDED = 11
COULD_NOT_RUN = 12
SPENT = 13
INTERRUPTED = 130
