"""What is shipped: names that are ours alone, a whole wheel, no addresses of registries, and the import law."""

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PACKAGES = ("optimizer", "connectors", "gates", "deploy", "sandbox")

# in pieces, because this file is committed too
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
    )
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The names inside the wheel that hatchling builds, offline."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return frozenset(archive.namelist())


def committed() -> list[str]:
    """Paths of all committed files, as git knows them."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in done.stdout.split("\0") if path]


@pytest.mark.parametrize("package", PACKAGES)
def test_nobody_else_owns_our_names(package: str) -> None:
    owners = importlib.metadata.packages_distributions().get(package, ["tracegrad"])
    assert set(owners) == {"tracegrad"}


def test_the_wheel_holds_every_committed_file_of_the_packages(wheel: frozenset[str]) -> None:
    ours = {path for path in committed() if path.split("/")[0] in PACKAGES and (ROOT / path).is_file()}
    assert ours - wheel == set()


@pytest.mark.parametrize(
    ("folder", "ending"),
    [
        ("deploy/web/static", ".css"),
        ("deploy/web/templates", ".html"),
        ("deploy/store/migrations", ".py"),
        ("connectors/promptfoo", ".js"),
        ("connectors/promptfoo/node", "package-lock.json"),
        ("optimizer", "py.typed"),
    ],
)
def test_the_wheel_holds_data(wheel: frozenset[str], folder: str, ending: str) -> None:
    assert any(name.startswith(f"{folder}/") and name.endswith(ending) for name in wheel)


def test_the_wheel_holds_nothing_else(wheel: frozenset[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert not [
        name for name in wheel if name.split("/")[-1].startswith(("test_", "conftest")) or "__pycache__" in name
    ]


def test_the_wheel_has_one_console_script() -> None:
    scripts = importlib.metadata.distribution("tracegrad").entry_points.select(group="console_scripts")
    assert [(script.name, script.value) for script in scripts] == [("tracegrad", "deploy.cli.main:main")]


def test_no_committed_file_names_a_registry() -> None:
    found = [
        (path, host)
        for path in committed()
        if (ROOT / path).is_file()
        for host in REGISTRIES
        if host.encode() in (ROOT / path).read_bytes()
    ]
    assert found == []


def test_the_import_law_holds() -> None:
    done = subprocess.run([BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
