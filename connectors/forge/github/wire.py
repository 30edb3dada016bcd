"""What we read of GitHub's answers, and nothing else of them."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Wire(BaseModel):
    """Ignores what we do not use."""

    model_config = ConfigDict(frozen=True)


class User(Wire):
    """An account; `type` is User, Bot or Organization."""

    login: str
    type: str = "User"


class Object(Wire):
    """What a ref points to."""

    sha: str


class Ref(Wire):
    """A branch."""

    object: Object


class Signature(Wire):
    """Author or committer of a commit."""

    email: str = ""


class CommitFields(Wire):
    """The commit itself, inside a listed one."""

    author: Signature | None
    committer: Signature | None
    message: str


class ListedCommit(Wire):
    """A commit of a pull request."""

    sha: str
    commit: CommitFields


class GitCommit(Wire):
    """A commit of the git data API."""

    sha: str
    tree: Object


class Side(Wire):
    """One of the two branches of a pull request."""

    ref: str
    sha: str


class Label(Wire):
    """A label's name."""

    name: str


class Pull(Wire):
    """A pull request, listed or read; only one that is read says `merged`."""

    number: int
    html_url: str
    state: str
    title: str
    body: str | None
    user: User | None
    head: Side
    base: Side
    labels: tuple[Label, ...] = ()
    merged: bool = False
    merged_by: User | None = None
    merge_commit_sha: str | None = None


class Issue(Wire):
    """The issue that every pull request is, too."""

    closed_by: User | None = None


class Comment(Wire):
    """A comment on a pull request."""

    id: int
    body: str = ""
    user: User | None
    created_at: datetime
    author_association: str = "NONE"


class Review(Wire):
    """A review's summary; one that is not sent yet has no date."""

    body: str
    user: User | None
    submitted_at: datetime | None = None
    author_association: str = "NONE"


class Status(Wire):
    """One commit status."""

    context: str
    state: str
    description: str | None


class Content(Wire):
    """A file at a commit. Above 1 MB the encoding is `none` and the text is only in the blob."""

    type: str
    sha: str
    size: int
    encoding: str = "none"
    content: str = ""

    @model_validator(mode="before")
    @classmethod
    def a_folder(cls, value: Any) -> Any:
        """A folder is answered as the list of what is in it."""
        return {"type": "dir", "sha": "", "size": 0} if isinstance(value, list) else value


class Blob(Wire):
    """The bytes of a file."""

    encoding: str
    content: str


class Made(Wire):
    """The id of what was made."""

    sha: str


class Anything(Wire):
    """An answer of which nothing is used."""
