"""The commands for releases, in the form in which `main` adds them to the one application.

As in `main`, commands import what they need when they run.
"""

from typing import Annotated, NoReturn

import typer

releases = typer.Typer()

Target = Annotated[str, typer.Argument(help="A release's id, or a prompt: its newest release that can do it.")]
Actor = Annotated[str, typer.Option("--as", help="Who orders it; by default the user of this machine.", metavar="NAME")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the record.", metavar="TEXT")]
Reason = Annotated[str, typer.Option("--why", help="The reason; required.", metavar="TEXT")]


def order(context: typer.Context, kind: str, target: str, *, actor: str, why: str, to: int | None = None) -> NoReturn:
    """Give an order, and leave with what came of it."""
    from deploy.cli.order import Wanted, command

    raise typer.Exit(command(context.obj, Wanted(kind=kind, target=target, actor=actor, why=why, to=to)))


@releases.command()
def approve(context: typer.Context, target: Target, actor: Actor = "", why: Why = "") -> None:
    """Let a proposed release go on.

    By the prompt's `release.then`, to everybody or into a canary.
    """
    order(context, "approve", target, actor=actor, why=why)


@releases.command()
def reject(context: typer.Context, target: Target, why: Reason, actor: Actor = "") -> None:
    """Refuse a release; its edits are not proposed again.

    Your words become a gradient for later cycles.
    """
    order(context, "reject", target, actor=actor, why=why)


@releases.command("accept-unproven")
def accept_unproven(
    context: typer.Context,
    cycle: Annotated[str, typer.Argument(help="The id of a cycle whose gate is undecided.")],
    why: Reason,
    actor: Actor = "",
) -> None:
    """Release what a gate could not prove.

    On your responsibility; what a gate speaks against cannot be accepted.
    """
    order(context, "accept-unproven", cycle, actor=actor, why=why)


@releases.command()
def promote(context: typer.Context, target: Target, actor: Actor = "", why: Why = "") -> None:
    """Show a release to everybody before its canary ends.

    Also ends a halt in favour of the new version.
    """
    order(context, "promote", target, actor=actor, why=why)


@releases.command()
def rollback(
    context: typer.Context,
    target: Target,
    to: Annotated[int | None, typer.Option(help="Go back to this version instead of the one before.", min=1)] = None,
    actor: Actor = "",
    why: Why = "",
) -> None:
    """Take a release back from its users.

    Works while a freeze stands.
    """
    order(context, "rollback", target, actor=actor, why=why, to=to)


@releases.command()
def freeze(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="A prompt; all of them by default.")] = "",
    actor: Actor = "",
    why: Why = "",
) -> None:
    """Stop every release, or one prompt's: the kill switch.

    Needs the database alone. Nothing moves forward; rollbacks still work.
    """
    from deploy.cli.freeze import freeze as command

    raise typer.Exit(command(context.obj, prompt, actor=actor, why=why))


@releases.command()
def unfreeze(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="The prompt that was frozen; without one, the freeze of all.")] = "",
    actor: Actor = "",
    why: Why = "",
) -> None:
    """Let releases go on after a freeze."""
    from deploy.cli.freeze import unfreeze as command

    raise typer.Exit(command(context.obj, prompt, actor=actor, why=why))


@releases.command("releases")
def list_releases(
    context: typer.Context, target: Annotated[str, typer.Argument(help="A prompt, or a release's id.")] = ""
) -> None:
    """List releases, or show one in full."""
    from deploy.cli.releases import command

    raise typer.Exit(command(context.obj, target))


@releases.command("reading-gateway")
def reading_gateway(context: typer.Context) -> None:
    """Let a proposer read Langfuse without its keys.

    Runs beside the publisher, until it is told to stop.
    """
    from deploy.cli.reading_gateway import command

    raise typer.Exit(command(context.obj))


@releases.command()
def blame(context: typer.Context, prompt: Annotated[str, typer.Argument(help="Name of a registered prompt.")]) -> None:
    """Say where every line of a prompt comes from.

    The version, the release, the complaints behind it, what the gate measured, and who approved it.
    """
    from deploy.cli.blame import command

    command(context.obj, prompt)


@releases.command()
def forget(
    context: typer.Context,
    source: Annotated[str, typer.Option(help="The user or session id, or its hash.", metavar="KEY")],
    yes: Annotated[bool, typer.Option("--yes", help="Erase without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be erased, and erase nothing.")] = False,
) -> None:
    """Erase a person's words everywhere that we store them.

    Lists the lines that they influenced, and what cannot be reached.
    """
    from deploy.cli.forget import command

    raise typer.Exit(command(context.obj, source, yes=yes, dry_run=dry_run))
