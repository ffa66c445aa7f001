"""The command `factory`: which command is where, loaded only when it is used, so that `factory --help` is quick."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from factory.cli.boundary import JSON, boundary
from factory.errors import UserError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "jobs": ("factory.cli.jobs:jobs", "List the shipped jobs."),
    "new": ("factory.cli.jobs:new", "Write a commented job file to start from."),
    "preview": ("factory.cli.preview:preview", "Show a few rows of each recipe; writes nothing."),
    "plan": ("factory.cli.plan:plan", "Show the slots of a job, and about how long it takes; writes nothing."),
    "run": ("factory.cli.run:run", "Build a release from a job, or resume one."),
    "verify": ("factory.cli.releases:verify", "Check a release: its bytes, its rows, its gold answers."),
    "card": ("factory.cli.releases:card", "Show the card of a release."),
    "rows": ("factory.cli.releases:rows", "Show rows of a release."),
    "why": ("factory.cli.why:why", "Tell where a row comes from, or why it was rejected."),
    "score": ("factory.cli.score:score", "Score answers to a release's problems."),
    "publish": ("factory.cli.releases:publish", "Put a release into a folder or on the Hub."),
    "pull": ("factory.cli.releases:pull", "Fetch a published release."),
    "skills": ("factory.cli.skills:skills", "Executable skills; language skills: extract, merge, graph."),
    "prompts": ("factory.cli.prompts:prompts", "List and show what is said to a teacher."),
    "teacher": ("factory.cli.teacher:teacher", "Check a teacher model; install vLLM."),
    "student": ("factory.cli.student:student", "Examine a student model."),
    "decontaminate": ("factory.cli.decontaminate:decontaminate", "Hold rows against benchmarks; test what is caught."),
    "index": ("factory.cli.index:index", "Earlier releases: index them, hold rows against them."),
    "cache": ("factory.cli.cache:cache", "Look at the stored replies of teachers, move or prune them."),
}

# Commands of other packages are entry points of this group. Their help lines stand here where we know them, since an
# entry point has none and loading it would cost more than the whole listing.
PACKAGES = "skill_factory.commands"
ABOUT = {"flow": "Run a job as a Prefect flow."}


def _of_packages() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=PACKAGES) if point.name not in COMMANDS}


class LazyGroup(click.Group):
    """A group that imports a command when it is used; every error of a command ends at its boundary."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands: ours in the order of the work, then those of other packages."""
        return [*COMMANDS, *sorted(_of_packages())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now, or None."""
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name][0].partition(":")
            return _command(getattr(import_module(module), attribute))
        point = _of_packages().get(cmd_name)
        if point is None:
            return None
        try:
            return _command(point.load())
        except ImportError as error:
            raise UserError(f"the command '{cmd_name}' cannot be loaded ({error}): install what it needs") from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments ask for; a usage error names the nearest."""
        name = args[0]
        if name.startswith("-") or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        close = difflib.get_close_matches(name, self.list_commands(ctx), n=1, cutoff=0.0)
        return ctx.fail(f"there is no command '{name}' (did you mean '{close[0]}'?)")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        about = {name: line for name, (_, line) in COMMANDS.items()} | ABOUT
        with formatter.section("Commands"):
            formatter.write_dl([(name, about.get(name, "")) for name in self.list_commands(ctx)])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context, which knows whether JSON is wanted; `--help` into a closed pipe ends here."""
        wants_json = "--json" in args  # seen before parsing, so that a usage error is told as JSON too
        with boundary():
            ctx = super().make_context(info_name, args, parent, **extra)
        ctx.meta[JSON] = wants_json
        return ctx

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong becomes one line and an exit code."""
        with boundary(ctx):
            return super().invoke(ctx)


def _command(found: object) -> click.Command:
    if not isinstance(found, click.Command):
        raise UserError(f"an entry point of '{PACKAGES}' is no click command: {found!r}")
    return found


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="skill-factory", prog_name="factory")
def cli() -> None:
    """Turn skills into verified, deduplicated, deliberately mixed, versioned training sets.

    A first run: factory run demo
    """


def main() -> None:
    """Run the command line; never returns."""
    cli(prog_name="factory")


if __name__ == "__main__":
    main()
