"""The one console script: `tracegrad`.

Commands import what they need when they run: `tracegrad --help` must answer at once, and the libraries behind the
commands take seconds to import. This folder is the one place where imports stand inside functions.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from deploy.cli.exits import BUG, COULD_NOT_RUN, DONE, INTERRUPTED, OUTSIDE, USAGE
from deploy.cli.options import Options
from deploy.cli.release_commands import releases
from optimizer.errors import BadInput, BadSettings, Permanent, TracegradError, Transient

EPILOG = """Exit codes: 0 done, or nothing to do; 1 a bug in Tracegrad; 2 wrong usage, settings or input; 3 Langfuse,
the model or another outside system refused or could not be reached; 10 the gate refused the candidate; 11 the gate is
undecided; 12 the cycle or its gate could not run; 13 the budget of task calls ended without a result; 75 another
process took over, start again; 130 interrupted."""

app = typer.Typer(
    name="tracegrad",
    help="Keeps production prompts improving: from low-scored traces to proven, explained prompt versions.",
    epilog=EPILOG,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def say_version(asked: bool) -> None:
    """Print the installed version and end."""
    if asked:
        from importlib.metadata import version

        print(f"tracegrad {version('tracegrad')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="TRACEGRAD_CONFIG", help="The settings file.")
    ] = Path("tracegrad.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and log in detail.")] = False,
    version: Annotated[  # noqa: ARG001  # answered by its callback
        bool, typer.Option("--version", callback=say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options for every command."""
    if debug:
        logging.basicConfig(level=logging.INFO)
    else:  # what a person needs to know is said by the commands
        logging.getLogger().addHandler(logging.NullHandler())
    context.obj = Options(config=config, as_json=as_json, debug=debug)


PromptArgument = Annotated[str, typer.Argument(help="Name of a registered prompt.")]


@app.command()
def init(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the file instead of writing it.")] = False,
) -> None:
    """Write a commented tracegrad.yaml to start from."""
    from deploy.cli.init import command

    command(context.obj, force=force, show=show)


@app.command()
def doctor(context: typer.Context) -> None:
    """Check that everything is in place.

    Keys, versions, clock, prompt links, replayable inputs, datasets, prices, models, promptfoo, and what releases need.
    """
    from deploy.cli.doctor import command

    raise typer.Exit(command(context.obj))


@app.command()
def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its state.")] = Path(".tracegrad/demo"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what an earlier demo did.")] = False,
) -> None:
    """Watch the whole loop in a simulated world."""
    from deploy.cli.demo import command

    raise typer.Exit(command(context.obj, folder=folder, fresh=fresh))


@app.command()
def once(
    context: typer.Context,
    prompt: PromptArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but publish.")] = False,
) -> None:
    """Run one cycle now, as the daemon would."""
    from deploy.cli.once import command

    raise typer.Exit(command(context.obj, prompt, dry_run=dry_run))


@app.command()
def gate(
    context: typer.Context,
    prompt: Annotated[str, typer.Option(help="Name of a registered prompt.", metavar="NAME")],
    candidate: Annotated[Path, typer.Option(help="The new text, or a chat in a .json or .yaml file.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Compare with this file instead of the version that production reads.")
    ] = None,
    claim: Annotated[bool, typer.Option("--claim", help="Prove it; uses up sealed cases and error budget.")] = False,
    attacks: Annotated[
        bool | None, typer.Option("--attacks/--no-attacks", help="Try attacks; by default what the settings say.")
    ] = None,
    report: Annotated[
        list[Path] | None, typer.Option(help="Also write the report: .md, .html, .json or .txt; may be repeated.")
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="Show what was asked and answered, except in .md and .json: for your eyes.")
    ] = False,
) -> None:
    """Judge a prompt that a person wrote.

    Exit code 0 pass, 10 fail, 11 undecided, 12 could not run. Nothing is published.
    """
    from deploy.cli.gate import Wanted, command

    wanted = Wanted(
        prompt=prompt,
        candidate=candidate,
        baseline=baseline,
        claim=claim,
        attacks=attacks,
        reports=tuple(report or ()),
        texts=texts,
    )
    try:
        code = command(context.obj, wanted)
    except TracegradError as error:
        if context.obj.debug:
            raise
        complain(error)
        code = COULD_NOT_RUN  # a check of a pull request has a verdict, or it has none
    raise typer.Exit(code)


@app.command()
def redteam(
    context: typer.Context,
    purpose: Annotated[str, typer.Option(help="What your assistant is for, in a sentence.")],
    out: Annotated[Path, typer.Option(help="Where the attacks go, one JSON object a line.")],
    number: Annotated[int, typer.Option(help="Attacks of each kind.", min=1, max=50)] = 5,
) -> None:
    """Let your own model think up attacks on your assistant.

    promptfoo asks, your critic model answers. Read the file, then name it in `gate.attack_files`.
    """
    from deploy.cli.redteam import Wanted, command

    command(context.obj, Wanted(purpose=purpose, out=out, number=number))


@app.command()
def optimize(
    context: typer.Context,
    prompt: Annotated[Path, typer.Option(help="The prompt: text, or a chat in a .json or .yaml file.")],
    train: Annotated[Path, typer.Option(help="Rows to learn from, one JSON object a line.")],
    val: Annotated[Path, typer.Option(help="Other rows, to choose the prompt by.")],
    evaluator: Annotated[
        str, typer.Option(help="python:module:function, http://host/path or judge:rubric.md.", metavar="SPEC")
    ],
    max_task_calls: Annotated[int, typer.Option(help="Runs of a prompt on a row, at most.", min=1)],
    out: Annotated[Path, typer.Option(help="Where the prompt goes, and its lineage beside it.")],
    model: Annotated[str, typer.Option(help="The model that your application uses.")] = "",
    critic_model: Annotated[str, typer.Option(help="The model that criticises and rewrites.")] = "",
    base_url: Annotated[str, typer.Option(help="Any OpenAI-compatible endpoint.")] = "",
    quorum: Annotated[
        int, typer.Option(help="Rows that must ask for the same; 2 or more when strangers wrote the rows.", min=1)
    ] = 1,
    seed: Annotated[int, typer.Option(help="The same seed and the same answers give the same prompt.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Improve a prompt from files, without Langfuse.

    Rows are {"id", "input", "expected"}. The key of the endpoint is read from OPENAI_API_KEY.
    """
    from deploy.cli.optimize import Wanted, command

    wanted = Wanted(
        prompt=prompt,
        train=train,
        validation=val,
        evaluator=evaluator,
        model=model,
        critic_model=critic_model,
        base_url=base_url,
        max_task_calls=max_task_calls,
        quorum=quorum,
        seed=seed,
        out=out,
        force=force,
    )
    raise typer.Exit(command(context.obj, wanted))


@app.command()
def run(context: typer.Context) -> None:
    """Run the daemon until it is told to stop.

    Clock, worker and status page in one process. SIGTERM or Ctrl-C: cycles that run are resumed at the next start.
    """
    from deploy.cli.run import command

    command(context.obj)


@app.command()
def status(context: typer.Context) -> None:
    """List prompts, cycles, verdicts and spend."""
    from deploy.cli.status import command

    command(context.obj)


@app.command()
def show(context: typer.Context, cycle: Annotated[str, typer.Argument(help="A cycle's id.")]) -> None:
    """Show one cycle: its diff, reasons and gate report."""
    from deploy.cli.show import command

    command(context.obj, cycle)


@app.command()
def sandbox(
    folder: Annotated[Path, typer.Option(help="Where the simulated Langfuse keeps its data.")] = Path(
        ".tracegrad/sandbox"
    ),
    langfuse_port: Annotated[int, typer.Option(help="0 picks a free one.")] = 3000,
    model_port: Annotated[int, typer.Option(help="0 picks a free one.")] = 3001,
    seed: Annotated[int, typer.Option(help="Seed of the simulated model.")] = 7,
    empty: Annotated[bool, typer.Option("--empty", help="Do not fill it with the demo's history.")] = False,
    latency: Annotated[float, typer.Option(help="Seconds that the simulated model takes to answer.")] = 0.0,
) -> None:
    """Run the simulated Langfuse and model alone."""
    from deploy.cli.sandbox import command

    ports = (langfuse_port, model_port)
    command(folder=folder, ports=ports, seed=seed, empty=empty, latency_s=latency)


@app.command("setup-node")
def setup_node(
    context: typer.Context,
    prefix: Annotated[
        Path | None, typer.Option(help="Where promptfoo and its packages go; `node_dir` of the settings by default.")
    ] = None,
) -> None:
    """Install the pinned promptfoo privately.

    It goes into a folder of its own and is compared, package by package, with the committed lock.
    """
    from deploy.cli.node import command

    command(context.obj, prefix)


app.registered_commands += releases.registered_commands


def main() -> None:
    """Run a command; every failure ends in one sentence and an exit code, a traceback only with --debug."""
    arguments = sys.argv[1:] or ["--help"]
    debug = "--debug" in arguments
    try:
        code = app(arguments, standalone_mode=False)
        if code == INTERRUPTED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else DONE)
    except TyperException as error:
        said = error.format_message().rstrip(".")
        asked = getattr(getattr(error, "ctx", None), "command_path", "tracegrad")
        early = next((name for name in ("--json", "--config", "--debug") if said == f"No such option: {name}"), "")
        fix = f"write {early} before the command" if early else f"run `{asked} --help` to see what there is"
        print(f"tracegrad: {said}; {fix}.", file=sys.stderr)
        sys.exit(USAGE)
    except (typer.Abort, KeyboardInterrupt):
        print(
            "tracegrad: interrupted; a cycle that was running goes on with the next `tracegrad once` or `run`.",
            file=sys.stderr,
        )
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # the reader (`head`, a closed pager) has seen enough; say nothing at interpreter exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(DONE)
    except Exception as error:
        if debug:
            raise
        sys.exit(complain(error))


def complain(error: Exception) -> int:
    """One sentence on standard error; returns the exit code that goes with it."""
    if isinstance(error, BadSettings | BadInput):
        said, code = str(error), USAGE
    elif isinstance(error, Permanent):
        said, code = str(error), OUTSIDE
    elif isinstance(error, Transient):
        said, code = f"{error}; nothing was changed: check the address, or run the command again in a while.", OUTSIDE
    elif isinstance(error, TracegradError):
        said, code = f"{error}; run the command again with --debug and report what it prints.", COULD_NOT_RUN
    else:
        kind = type(error).__name__
        said, code = f"{kind}: {error}; this is a bug, run again with --debug and report what it prints.", BUG
    from gates.rendering.unseen import visible

    print(f"tracegrad: {visible(said)}", file=sys.stderr)  # an error may quote what a server said
    return code
