"""What the daemon tells the process that answers, in one line on its standard input.

The same pipe then stays open and silent: its end means that the daemon is gone, however it went. Secrets travel here
and not as arguments, which every user of the machine could read.
"""

from pydantic import BaseModel, ConfigDict


class Order(BaseModel):
    """All that the process knows.

    Attributes:
        listener: file descriptor of the socket to accept from, inherited.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: str
    prompts: tuple[str, ...]
    token: str
    listener: int
