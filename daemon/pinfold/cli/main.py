"""The command line: what can be asked, and how a command ends.

A command's module is imported when it is called: ``status`` must not pay for the daemon's libraries. The answer goes
to stdout and all else to stderr. Exit codes: 0; 1 it failed (``verify``: drift, ``plan``: an unusable manifest);
2 usage; 78 the configuration cannot be used (sysexits.h), which no restart mends.
"""

import argparse
import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence

from pinfold import __version__
from pinfold.errors import PinfoldError
from pinfold.report.plain import plain

SOCKET = "/run/pinfold/pinfold.sock"
ADDRESS = "127.0.0.1:9732"


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know less than UTF-8
    top = parser()
    options = top.parse_args(arguments)
    if options.command == "plan":
        if not (options.pods or options.add or options.ledger or options.bundle):
            top.error("plan: name pods with --pods FILE, or who owns what already with --ledger or --bundle FILE")
        if options.bundle and (options.pods or options.ledger or options.config):
            top.error("plan: a bundle has its own pods, ledger and configuration: change them with --add and --set")
    try:
        if options.command != "run":
            gc.disable()  # it ends before there is much to collect
        command = importlib.import_module(f"pinfold.cli.{options.command}")
        ended: int = command.main(options)
        sys.stdout.flush()
    except PinfoldError as error:
        print("pinfold:", "\n".join(map(plain, str(error).splitlines())), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        return 1
    except KeyboardInterrupt:
        return 130
    return ended


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="pinfold",
        description="Pod-level exclusive CPUs and NUMA-local memory, enforced by the kernel.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.",
    )
    top.add_argument("--version", action="version", version=f"pinfold {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_status, _explain, _top, _events, _topology, _plan, _verify, _release, _config, _version):
        add(commands).add_argument("-o", "--output", choices=["text", "json"], default="text")
    for add_plain in (_run, _install, _uninstall, _bundle, _completion):
        add_plain(commands)
    return top


_Commands = argparse._SubParsersAction  # noqa: SLF001  (the type has no public name)


def _command(commands: "_Commands[argparse.ArgumentParser]", name: str, what: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=what, description=what)


def _run(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    command = _command(commands, "run", "Run the daemon: own the node's pools, and report.")
    _configured(command)
    command.add_argument("--manifests", metavar="DIR", help="a directory of pod manifests to serve")
    return command


def _install(commands: "_Commands[argparse.ArgumentParser]") -> None:
    what = "Make this host run Pinfold as a systemd unit, where no DaemonSet does."
    command = _command(commands, "install", what)
    command.add_argument("--kubeconfig", metavar="FILE", help="ask this API server for the node's pods")
    command.add_argument("--manifests", metavar="DIR", help="a directory of pod manifests to serve")
    command.add_argument(
        "--command", dest="command_path", metavar="PATH", help="what the unit runs (default: this very command)"
    )


def _uninstall(commands: "_Commands[argparse.ArgumentParser]") -> None:
    command = _command(commands, "uninstall", "Stop the unit, give everything back, and take its files away.")
    command.add_argument("--purge", action="store_true", help="the configuration too")


def _status(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    command = _command(commands, "status", "Show the node: who owns which CPU, and what is not as it should be.")
    command.add_argument("--all", action="store_true", help="list the pods too that nobody asked to manage")
    command.add_argument("-w", "--watch", action="store_true", help="show it again whenever it changes; q ends")
    return _connected(command)


def _explain(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    command = _command(commands, "explain", "Say what a pod got, why, and what the kernel says.")
    command.add_argument("pod", metavar="NAMESPACE/POD")
    return _connected(command)


def _top(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    return _connected(_command(commands, "top", "Show how busy each pool is, every two seconds; q ends."))


def _events(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    command = _command(commands, "events", "Tell what was decided and what happened lately, oldest first.")
    command.add_argument("pod", metavar="NAMESPACE/POD", nargs="?", help="only what concerns this pod")
    return _connected(command)


def _topology(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    return _machine(_command(commands, "topology", "Show what this machine is, or another from its sysfs."))


def _plan(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    command = _command(commands, "plan", "Say which CPUs pods would get on a machine, and why. Needs no node, no root.")
    add = command.add_argument
    add("--pods", metavar="FILE", nargs="+", default=[], help="pod manifests, YAML or JSON; - is stdin")
    add("--ledger", metavar="FILE", help="who owns what already: a checkpoint.json, or a kubelet's cpu_manager_state")
    add("--bundle", metavar="FILE", help="replay the last decision of a node, from what pinfold bundle made there")
    add("--add", metavar="FILE", nargs="+", default=[], help="and what would change if these pods came")
    add("--remove", metavar="NS/POD", nargs="+", default=[], help="if these went")
    change = "if these grew or shrank: NS/POD=cpu=6,memory=1Gi, or NS/POD/CONTAINER=..."
    add("--resize", metavar="CHANGE", nargs="+", default=[], help=change)
    add(
        "--fits",
        metavar="N",
        type=int,
        help="how many more pods like one of them fit, up to N, and what blocks the next",
    )
    add("--like", metavar="NS/POD", help="like which (the last)")
    _configured(command)
    return _machine(command)


def _verify(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    command = _command(commands, "verify", "Compare the kernel with the ledger; 1 where they differ.")
    tasks = "also name tasks that may run on CPUs of a pod and are no part of it; 1 where there are some"
    command.add_argument("--tasks", action="store_true", help=tasks)
    _configured(command)
    return command


def _release(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    command = _command(commands, "release", "Give everything back as it was found.")
    command.add_argument("--dry-run", action="store_true", help="show the writes, and write nothing")
    _configured(command)
    return command


def _bundle(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    what = "Write one file for a bug report: machine, configuration, ledger, last decision, the kernel's view."
    command = _command(commands, "bundle", what)
    command.add_argument(
        "file", metavar="FILE", nargs="?", help="a new file, or - for stdout (pinfold-NODE-TIME.tar.gz)"
    )
    _configured(command)
    return _connected(command)


def _completion(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    what = "Write what completes this command line in a shell: source <(pinfold completion bash)"
    command = _command(commands, "completion", what)
    command.add_argument("shell", choices=["bash", "zsh", "fish"])
    return command


def _config(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    command = _command(commands, "config", "Look at the configuration.")
    inner = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = inner.add_parser(
        "check",
        help="say whether it can be used on this machine",
        description="Check the configuration against this machine, and show it with all defaults filled in.",
    )
    check.add_argument("config", metavar="FILE", nargs="?", help="default: /etc/pinfold/config.yaml, where it is there")
    return check


def _version(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    return _command(commands, "version", "Show Pinfold's version.")


def _connected(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    where = command.add_mutually_exclusive_group()
    where.add_argument("--socket", metavar="PATH", help=f"the daemon's unix socket (default: {SOCKET})")
    where.add_argument("--address", metavar="HOST:PORT", help=f"the daemon's address (default: {ADDRESS})")
    return command


def _configured(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--config", metavar="FILE", help="default: /etc/pinfold/config.yaml, where it is there")
    command.add_argument(
        "--set",
        metavar="KEY=VALUE",
        type=_assignment,
        action="append",
        default=[],
        help="overrides one key: --set report.listen=127.0.0.1:0",
    )
    return command


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is no KEY=VALUE")
    return key, value


def _machine(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument(
        "--sysfs",
        "--machine",
        metavar="PLACE",
        help="another machine: a directory that holds its sys/, a tar archive of it (FILE:DIR: one of several), or"
        " SOCKETSx[NODESx]CORESxTHREADS, such as 2x8x2",
    )
    return command
