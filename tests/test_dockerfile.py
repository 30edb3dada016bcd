"""What can be known about the image without an engine to build it."""

import ast
import fnmatch
import re
import shlex
from pathlib import Path

import pytest

from deploy.release_settings import OfrepSettings
from deploy.settings import Settings, WebSettings

ROOT = Path(__file__).parents[1]
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) in order; continued lines joined, comments gone."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, its FROM first."""
    parts: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            parts.append([])
        parts[-1].append((word, rest))
    return parts


def arguments(word: str, stage: list[tuple[str, str]]) -> list[str]:
    return [rest for name, rest in stage if name == word]


def sent_to_the_engine(path: str) -> bool:
    """As .dockerignore decides it: the last line that matches the path or a folder above it wins."""
    parents = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    sent = True
    for line in IGNORED:
        pattern = line.removeprefix("!").removeprefix("**/")
        names = [Path(p).name for p in parents] if "**/" in line else parents
        if line and not line.startswith("#") and any(fnmatch.fnmatchcase(name, pattern) for name in names):
            sent = line.startswith("!")
    return sent


def copied() -> list[str]:
    """Every source that comes from the build context."""
    copies = [shlex.split(rest) for stage in stages() for rest in arguments("COPY", stage)]
    return [source for words in copies if not words[0].startswith("--from=") for source in words[:-1]]


@pytest.mark.parametrize("source", copied())
def test_every_copied_path_exists_and_is_sent(source: str) -> None:
    assert (ROOT / source).exists()
    assert sent_to_the_engine(source)


def test_every_package_of_the_wheel_is_copied() -> None:
    assert {"optimizer", "connectors", "gates", "deploy", "sandbox", "pyproject.toml", "README.md"} <= set(copied())


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".env",
        ".venv/bin/python",
        "secrets/key",
        "tracegrad.yaml",
        "deploy/__pycache__/x.pyc",
        "tests/node/package.json",
        ".node-tests/node_modules/x.js",
    ],
)
def test_private_and_derived_files_are_not_sent(path: str) -> None:
    assert not sent_to_the_engine(path)


def test_the_image_runs_the_daemon_as_a_user_without_rights() -> None:
    last = stages()[-1]
    assert arguments("USER", last)[-1].split(":")[0] not in ("0", "root")
    assert arguments("ENTRYPOINT", last) == ['["tracegrad"]']
    assert arguments("CMD", last) == ['["run"]']
    assert [word for word, _ in last].index("USER") < [word for word, _ in last].index("ENTRYPOINT")


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in arguments("ENV", stages()[-1]) for pair in shlex.split(rest))


def test_the_environment_is_safe_and_names_real_settings() -> None:
    variables = environment()
    assert variables["PYTHONSAFEPATH"] == "1"
    assert variables["PYTHONDONTWRITEBYTECODE"] == "1"
    assert variables["PATH"].startswith("/opt/tracegrad/venv/bin:")
    ours = {name.removeprefix("TRACEGRAD_").lower() for name in variables if name.startswith("TRACEGRAD_")}
    assert ours - {"config"} <= set(Settings.model_fields)
    assert "TRACEGRAD_CONFIG" in (ROOT / "deploy/cli/main.py").read_text()
    assert arguments("VOLUME", stages()[-1]) == [variables["TRACEGRAD_STATE_DIR"]]


def test_promptfoo_is_installed_where_the_settings_look_for_it() -> None:
    runs = " ".join(arguments("RUN", stages()[1]))
    assert f"tracegrad setup-node --prefix {environment()['TRACEGRAD_NODE_DIR']}" in runs
    assert '"setup-node"' in (ROOT / "deploy/cli/main.py").read_text()


def test_the_health_check_is_python_that_asks_the_right_port() -> None:
    last = stages()[-1]
    port = str(WebSettings().port)
    assert arguments("EXPOSE", last) == [f"{port} {OfrepSettings().port}"]
    command = ast.literal_eval(arguments("HEALTHCHECK", last)[0].partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "healthcheck", "exec")
    assert f"http://127.0.0.1:{port}/healthz" in command[2]
    assert '"/healthz"' in (ROOT / "deploy/web/app.py").read_text()


def test_what_is_installed_is_hashed_or_ours() -> None:
    pips = [run for stage in stages() for run in arguments("RUN", stage) if "pip install" in run]
    assert len(pips) == 3
    assert all("--require-hashes" in run or "--no-deps --no-index" in run for run in pips)


def test_images_are_tagged_nothing_is_fetched_by_add_and_no_apt_lists_stay() -> None:
    named = {rest.split(" AS ")[1] for word, rest in instructions() if word == "FROM" and " AS " in rest}
    for word, rest in instructions():
        if word == "FROM":
            image = rest.split()[0]
            assert image in named or re.fullmatch(r"[\w./-]+:(?!latest$)[\w.-]+", image)
        assert word != "ADD"
        if word == "RUN" and "apt-get install" in rest:
            assert "rm -rf /var/lib/apt/lists" in rest


def test_git_is_there_only_for_those_who_push_with_it() -> None:
    last = stages()[-1]
    assert arguments("ARG", last) == ["WITH_GIT="]
    (installs,) = [run for run in arguments("RUN", last) if "apt-get install" in run]
    assert installs.startswith('if [ -n "$WITH_GIT" ]; then')
    assert re.search(r"\bgit\b", installs)
    assert [word for word, _ in last].index("ARG") < [word for word, _ in last].index("USER")


def test_what_the_comments_tell_to_set_are_settings() -> None:
    said = re.findall(r"TRACEGRAD_([A-Z]+)__([A-Z]+)", (ROOT / "Dockerfile").read_text())
    assert {(group.lower(), key.lower()) for group, key in said} == {
        ("web", "host"),
        ("ofrep", "host"),
        ("ofrep", "token"),
    }
    assert {"host", "token"} <= set(OfrepSettings.model_fields)
    with pytest.raises(ValueError, match="set `token` as well"):
        OfrepSettings(host="0.0.0.0")
