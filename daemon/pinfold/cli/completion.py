"""``pinfold completion``: what completes the command line in bash, zsh or fish, made from the command line itself."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator

from pinfold.cli.described import Argument, Command, commands


def main(options: Namespace) -> int:
    sys.stdout.write(_SHELLS[options.shell](commands()))
    return 0


def _bash(known: tuple[Command, ...]) -> str:
    tops = [one for one in known if " " not in one.name]
    names = " ".join(one.name for one in tops)
    cases = "".join(f'    {one.name}) words="{_words(one, known)}" ;;\n' for one in tops)
    arguments = [argument for one in known for argument in one.arguments]
    files = sorted({flag for one in arguments if one.is_file for flag in one.flags})
    choices = {flag: " ".join(one.choices) for one in arguments if one.choices for flag in one.flags}
    chosen = "".join(f'    {flag}) words="{words}" ;;\n' for flag, words in sorted(choices.items()))
    placed = " ".join(one.name for one in tops if any(_takes_files(argument) for argument in _all(one, known)))
    return f"""# bash completion for pinfold: source <(pinfold completion bash)
_pinfold() {{
  local word command= words= current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD - 1]}}"
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD - 1}}"; do
    case "$word" in {names.replace(" ", "|")}) command=$word; break ;; esac
  done
  case "$command" in
    "") words="{names} --help --version" ;;
{cases}  esac
  case "$previous" in
    {"|".join(files)}) words= command=files ;;
{chosen}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case "$command" in
    files|{placed.replace(" ", "|")}) COMPREPLY+=($(compgen -f -- "$current")) ;;
  esac
}}
complete -o filenames -F _pinfold pinfold
"""


def _all(command: Command, known: tuple[Command, ...]) -> list[Argument]:
    """Its arguments, and those of its actions."""
    return [argument for one in known if one.name.split()[0] == command.name for argument in one.arguments]


def _takes_files(argument: Argument) -> bool:
    """Where no flag stands right before."""
    return argument.is_file and (argument.many or not argument.flags)


def _words(command: Command, known: tuple[Command, ...]) -> str:
    actions = [one.name.partition(" ")[2] for one in known if one.name.startswith(f"{command.name} ")]
    places = [word for one in command.arguments if not one.flags for word in one.choices]
    flags = [flag for argument in _all(command, known) for flag in argument.flags]
    return " ".join([*actions, *places, *flags, "--help"])


def _zsh(known: tuple[Command, ...]) -> str:
    """zsh runs bash's completion functions itself."""
    return f"#compdef pinfold\nautoload -U +X bashcompinit && bashcompinit\n{_bash(known)}"


def _fish(known: tuple[Command, ...]) -> str:
    return "".join(f"{line}\n" for line in _fish_lines(known))


def _fish_lines(known: tuple[Command, ...]) -> Iterator[str]:
    yield "# fish completion for pinfold: pinfold completion fish | source"
    for command in known:
        *above, name = command.name.split()
        where = f"__fish_seen_subcommand_from {above[0]}" if above else "__fish_use_subcommand"
        yield f"complete -c pinfold -f -n {shlex.quote(where)} -a {name} -d {shlex.quote(command.what)}"
        for argument in command.arguments:
            yield f"complete -c pinfold -n {shlex.quote(f'__fish_seen_subcommand_from {name}')} {_fish_words(argument)}"


def _fish_words(argument: Argument) -> str:
    words = [f"-{'l' if flag.startswith('--') else 's'} {flag.lstrip('-')}" for flag in argument.flags]
    if argument.flags and argument.value:
        words.append("-r" if argument.is_file else "-x")
    if argument.choices:
        words.append(f"-a {shlex.quote(' '.join(argument.choices))}")
    return " ".join([*words, f"-d {shlex.quote(argument.what)}"])


_SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
