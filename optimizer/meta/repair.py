"""What is said to a model whose reply could not be used; must never quote the data that the reply was about."""

VERSION = 1

NO_REPLY = "(no usable reply)"
"""Stands for a reply that was cut off, empty or a refusal."""

REQUEST = """\
Your reply cannot be used: {reason}.
Reply again to the same request, with one JSON object and nothing else. What you were told before still holds.
"""
