"""The refusals of a Langfuse server, in its words and shapes. Raising one must leave the database as it was."""

from typing import Any

Issue = dict[str, Any]


class Refusal(Exception):
    """An answer other than success: its status, its JSON body, its headers."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(body.get("message", body.get("error")))
        self.status = status
        self.body = body
        self.headers = headers or {}


def invalid(*issues: Issue) -> Refusal:
    """400: the request does not have the shape that the endpoint takes."""
    return Refusal(400, {"message": "Invalid request data", "error": list(issues)})


def refused(message: str) -> Refusal:
    """400: the request is well formed but asks for something impossible."""
    return Refusal(400, {"message": message, "error": "InvalidRequestError"})


def missing(message: str) -> Refusal:
    """404: the thing itself is not there (an unknown route answers HTML instead)."""
    return Refusal(404, {"message": message, "error": "LangfuseNotFoundError"})


def wrong_type(expected: str, received: str, *path: str | int) -> Issue:
    """One validation issue: a value of another type, or none."""
    message = f"Invalid input: expected {expected}, received {received}"
    return {"expected": expected, "code": "invalid_type", "path": list(path), "message": message}


def wrong_option(options: list[str], *path: str | int) -> Issue:
    """One validation issue: a value outside an enumeration."""
    if len(options) == 1:
        message = f'Invalid input: expected "{options[0]}"'
    else:
        message = "Invalid option: expected one of " + "|".join(f'"{option}"' for option in options)
    return {"code": "invalid_value", "values": options, "path": list(path), "message": message}


def custom(message: str, *path: str | int) -> Issue:
    """One validation issue with a message of its own."""
    return {"code": "custom", "path": list(path), "message": message}
