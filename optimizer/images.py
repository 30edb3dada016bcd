"""An image as a value: its bytes, and what they say they are. Must never fetch, decode or render one."""

import hashlib
from dataclasses import dataclass, field

from optimizer.errors import BadInput

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


@dataclass(frozen=True, slots=True)
class Image:
    """PNG, JPEG, GIF or WebP bytes.

    Raises:
        BadInput: the bytes are none of these.
    """

    data: bytes = field(repr=False)
    media_type: str = field(init=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "media_type", _media_type(self.data))
        object.__setattr__(self, "sha256", hashlib.sha256(self.data).hexdigest())


def _media_type(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    for signature, media_type in _SIGNATURES:
        if data.startswith(signature):
            return media_type
    raise BadInput(f"{len(data)} bytes are no image", "give the bytes of a PNG, JPEG, GIF or WebP file")
