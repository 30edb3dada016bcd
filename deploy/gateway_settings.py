"""The owner's settings for the reading gateway: where it listens, and the keys that a proposer is given for it."""

from pydantic import Field, SecretStr

from deploy.section import Section


class GatewaySettings(Section):
    """The address and the keys of the reading gateway; the keys are its own, not Langfuse's."""

    host: str = "127.0.0.1"
    port: int = Field(default=8323, ge=0, le=65535)
    public_key: str = ""
    secret_key: SecretStr = SecretStr("")
