"""Every exception of Tracegrad, and whose turn it is when one is raised.

    TracegradError
    |-- Transient             nobody has to act; the caller may try again after `retry_after_s`
    |   |-- RateLimited       the other side asked us to slow down
    |   |-- Unreachable       no connection, or no answer in time
    |   `-- ServerFault       the other side failed (5xx); the effect may or may not have happened
    |-- Permanent             trying again changes nothing; the message ends with what a person can do
    |   |-- BadSettings       our own configuration
    |   |-- BadCredentials    keys missing or refused
    |   |-- NotFound          a prompt, dataset, cycle or file that does not exist
    |   |-- Unsupported       the other side is too old, or cannot do what is asked
    |   |-- BadInput          a file, value or graph that cannot be worked with
    |   |-- Declined          the other side refuses this one request; others may be fine
    |   `-- BadAnswer         the other side answered something that is not its contract
    |-- BadReply              a language model answered, and the answer cannot be used
    |   |-- CutOff            finish_reason=length
    |   |-- Refused           the model declined
    |   |-- EmptyReply        nothing came back
    |   `-- Garbled           not the structure that was asked for
    |-- OverBudget            the next call would spend more than was allowed
    `-- IllegalMove           a state machine was asked for a transition that its table does not hold: a bug

Connectors translate vendor exceptions into this tree at the border (`raise ... from error`); nothing above them
catches a vendor's type.
"""

from optimizer.usage import Usage


class TracegradError(Exception):
    """Root of the tree. Never raised itself."""


class Transient(TracegradError):
    """The same call may succeed later.

    Args:
        what: what happened, without a full stop.
        retry_after_s: the earliest moment worth trying, in seconds from now; 0 when the other side named none.
    """

    def __init__(self, what: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s


class RateLimited(Transient):
    """The other side asked us to slow down (HTTP 429)."""


class Unreachable(Transient):
    """No connection, or no answer within the timeout."""


class ServerFault(Transient):
    """HTTP 5xx. A write may have been committed all the same: look before repeating it."""


class Permanent(TracegradError):
    """A person must act.

    Args:
        what: what is wrong, without a full stop.
        fix: what to do about it, an imperative without a full stop.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}; {fix}.")
        self.what = what
        self.fix = fix


class BadSettings(Permanent):
    """A setting is missing, unknown or contradictory."""


class BadCredentials(Permanent):
    """Keys are missing or were refused (HTTP 401, 403)."""


class NotFound(Permanent):
    """The named prompt, dataset, cycle or file does not exist."""


class Unsupported(Permanent):
    """The other side is too old or lacks the feature."""


class BadInput(Permanent):
    """What a person handed in cannot be worked with: a broken row, bytes that are no image, a graph with a cycle."""


class Declined(Permanent):
    """The other side refuses this one request for what is in it (HTTP 400, 422).

    What is in it may be a stranger's doing, so it must never end more than the work on that one text.
    """


class BadAnswer(Permanent):
    """The other side broke its contract: HTML for JSON, a missing field, invalid UTF-8."""


class BadReply(TracegradError):
    """A model's answer that must not be used; the message says why, in words that fit into a repair request.

    Args:
        why: what is wrong with the reply.
        usage: what the reply cost all the same; nothing when the call that made it is accounted elsewhere.
    """

    def __init__(self, why: str, *, usage: Usage | None = None) -> None:
        super().__init__(why)
        self.usage = Usage() if usage is None else usage


class CutOff(BadReply):
    """The reply hit the token limit."""


class Refused(BadReply):
    """The model declined to answer."""


class EmptyReply(BadReply):
    """The reply holds no text."""


class Garbled(BadReply):
    """The reply is not the structure that was asked for."""


class OverBudget(TracegradError):
    """The next call would exceed the budget of its cycle."""


class IllegalMove(TracegradError):
    """A transition outside its table; nothing was changed."""
