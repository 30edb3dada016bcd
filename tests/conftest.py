"""For all tests: Ctrl-C works, also where whoever started us has it ignored.

A shell ignores SIGINT in what it runs in the background, and children inherit that. Tests press Ctrl-C, here and in
processes that they start.
"""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
