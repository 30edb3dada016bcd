"""Files that the owner hands in, as text. Every fault is one sentence that names the file and what to do."""

from pathlib import Path

from optimizer.errors import BadInput


def read(path: Path) -> str:
    """The text of a file that must be there, be UTF-8 and hold something. Raises BadInput."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {path}", "correct the path") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})", "name a file that you may read") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    if not text.strip():
        raise BadInput(f"{path} is empty", "write something into it")
    if "\0" in text:
        raise BadInput(f"{path} holds a zero byte, so it is no text", "name a text file")
    return text


def whole(text: str) -> bool:
    """False when it holds half a character, which JSON can spell and nothing can send."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
