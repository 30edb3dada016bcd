"""What `docs/pull-requests.md` shows can be used as it stands, and the limits that it names are the real ones."""

import re
from pathlib import Path

import yaml

from connectors.forge import git
from connectors.forge.github import talk
from connectors.forge.github.border import SCOPES
from connectors.forge.github.forge import CONTEXT
from deploy.offline.promptfile import parsed
from deploy.release_settings import ForgeSettings, ReleaseSettings
from deploy.web.hooks import LARGEST, PATH
from optimizer.prompts import Message, Placeholder

TEXT = (Path(__file__).parent.parent / "docs" / "pull-requests.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.S)


def test_the_settings_are_settings() -> None:
    github, chat, plain = BLOCKS
    shown = yaml.safe_load(github)
    assert ForgeSettings.model_validate(shown["forge"]).kind == "github"
    assert ReleaseSettings.model_validate(shown["prompts"][0]["release"]).ask == "pull-request"
    assert ForgeSettings.model_validate(yaml.safe_load(plain)["forge"]).kind == "git"
    body = parsed(chat, Path("support.yaml"))
    assert [type(part) for part in body] == [Message, Placeholder]


def test_the_limits_and_names_are_the_real_ones() -> None:
    assert (talk.MOST_WORDS, talk.LONGEST) == (git.MOST_WORDS, git.LONGEST) == (50, 2_000)
    assert "The newest 50 are kept,\n2,000 characters of each" in TEXT
    assert f"`{CONTEXT}`" in TEXT
    assert PATH in TEXT
    assert LARGEST == 1_000_000
    assert set(re.findall("`(.*?)`", SCOPES)) == {"Contents", "Pull requests", "Issues", "Commit statuses"}
    assert "Contents, Pull requests, Issues, Commit statuses" in TEXT
    for topic in (git.PROPOSAL, git.REPORT, git.CLOSED):
        assert f"`{topic}.md`" in TEXT
