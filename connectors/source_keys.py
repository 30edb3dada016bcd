"""Who was behind a trace, as a keyed hash: the one form in which a person goes further than a connector."""

import hmac


def source_key(user_id: str, session_id: str, *, secret: bytes) -> str:
    """Keyed hash of the user, or else of the session; empty when neither was recorded."""
    if not user_id and not session_id:
        return ""
    source = f"user:{user_id}" if user_id else f"session:{session_id}"
    return hmac.digest(secret, source.encode("utf-8", "surrogatepass"), "sha256").hex()
