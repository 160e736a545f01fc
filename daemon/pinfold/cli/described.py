"""The command line as data, read off its own parser: what completion and the manual page are made of."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from pinfold.cli.main import parser


@dataclass(frozen=True, slots=True)
class Argument:
    flags: tuple[str, ...]
    """``-o``, ``--output``; none for what has its place."""
    value: str
    """``FILE``; empty for a flag without value."""
    choices: tuple[str, ...]
    what: str
    many: bool
    optional: bool

    @property
    def is_file(self) -> bool:
        return self.value in {"FILE", "DIR", "PATH", "PLACE"}


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    """``status``; ``config check`` for an action of one."""
    what: str
    arguments: tuple[Argument, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(flag for one in self.arguments for flag in one.flags)


def commands() -> tuple[Command, ...]:
    return tuple(_commands(parser(), ""))


def _commands(above: argparse.ArgumentParser, before: str) -> Iterator[Command]:
    for action in above._actions:  # noqa: SLF001  (argparse tells of itself nowhere else)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, one in action.choices.items():
                arguments = tuple(_arguments(one))
                yield Command(before + name, one.description or "", arguments)
                yield from _commands(one, f"{before}{name} ")


def _arguments(command: argparse.ArgumentParser) -> Iterator[Argument]:
    for action in command._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):  # noqa: SLF001
            continue
        choices = tuple(map(str, action.choices or ()))
        value = str(action.metavar or "|".join(choices)) if action.nargs != 0 else ""
        yield Argument(
            flags=tuple(action.option_strings),
            value=value,
            choices=choices,
            what=action.help or "",
            many=action.nargs == "+",
            optional=action.nargs == "?",
        )
