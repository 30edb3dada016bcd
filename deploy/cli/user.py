"""Who gives an order: recorded, and not proved."""

import getpass

from optimizer.errors import BadSettings


def user(given: str) -> str:
    """Who is recorded: the name that was given, or the user of this machine. Raises BadSettings for nobody."""
    try:
        return given or getpass.getuser()
    except (OSError, KeyError) as error:  # no such user, as in a container; which of the two depends on the version
        raise BadSettings("this machine does not say who you are", "name yourself with --as") from error
