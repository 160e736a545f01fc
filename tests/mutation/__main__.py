"""Mutation testing of the pure core (mutmut): what survives is printed, with what was changed.

    python -m tests.mutation --part cpuset

A part's mutants are made in a copy of this checkout that is laid out as mutmut wants it. Survivors are for people to
look at: `docs/testing.md` says what came of it.
"""

import argparse
import ast
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .parts import PARTS, Part

CHECKOUT = Path(__file__).resolve().parents[2]
SURVIVED, UNTESTED, TIMED_OUT = 0, 33, -24
"""Exit codes in mutmut's own files; all else but None (not tried) is a failed test."""


def tried(part: Part, scratch: Path) -> Iterator[tuple[str, dict[str, int | None]]]:
    """Module → mutant → its exit code."""
    shutil.copytree(CHECKOUT / "daemon/pinfold", scratch / "pinfold", ignore=shutil.ignore_patterns("__pycache__"))
    for tree in ("tests", "docs", "deploy", "systemd"):
        shutil.copytree(CHECKOUT / tree, scratch / tree, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", scratch)
    options = {
        "source_paths": ["pinfold"],
        "only_mutate": [f"pinfold/{source}" for source in part.sources],
        "also_copy": ["tests", "docs", "deploy", "systemd", "pyproject.toml"],
        "pytest_add_cli_args_test_selection": [f"tests/{test}" for test in part.tests],
        "pytest_add_cli_args": ["-q", "-p", "no:cacheprovider", "-m", "not vm"],
    }
    lines = (f"{key} =\n" + "".join(f"    {value}\n" for value in values) for key, values in options.items())
    (scratch / "setup.cfg").write_text("[mutmut]\n" + "".join(lines))
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(os.cpu_count() or 1)]
    with (scratch / "mutmut.log").open("w") as log:
        env = {**os.environ, "PINFOLD_LIVES": "1"}
        done = subprocess.run(command, cwd=scratch, env=env, stdout=log, stderr=log, check=False)
    for source in part.sources:
        meta = scratch / f"mutants/pinfold/{source}.meta"
        if not meta.exists():
            raise SystemExit(f"mutmut: exit {done.returncode}:\n{(scratch / 'mutmut.log').read_text()[-3000:]}")
        yield source, json.loads(meta.read_text())["exit_code_by_key"]


def changed(file: Path, mutant: str) -> list[str]:
    """The lines of a mutant that are not the original's."""
    lines = file.read_text().splitlines()
    functions = (one for one in ast.walk(ast.parse("\n".join(lines))) if isinstance(one, ast.FunctionDef))
    bodies = {one.name: lines[one.lineno : one.end_lineno] for one in functions}
    name = mutant.rpartition(".")[2]
    original = bodies.get(re.sub(r"__mutmut_\d+$", "__mutmut_orig", name), [])
    told = difflib.unified_diff(original, bodies.get(name, []), lineterm="", n=0)
    return [line for line in told if line[:1] in "+-" and not line.startswith(("---", "+++"))]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, action="append", help="all, where none is named")
    args = parser.parse_args()
    for name in args.part or PARTS:
        with tempfile.TemporaryDirectory(prefix="pinfold-mutation-") as tmp:
            for source, codes in tried(PARTS[name], Path(tmp)):
                counts = Counter(codes.values())
                killed = len(codes) - sum(counts[one] for one in (None, SURVIVED, UNTESTED))
                print(
                    f"{source}: {len(codes)} mutants, {killed} noticed, {counts[TIMED_OUT]} of these by time, "
                    f"{counts[SURVIVED]} survived, {counts[UNTESTED]} untested, {counts[None]} not tried",
                    flush=True,
                )
                for mutant, code in codes.items():
                    if code in {SURVIVED, UNTESTED}:
                        print(f"  {mutant}")
                        print(
                            "".join(f"    {line}\n" for line in changed(Path(tmp, "mutants/pinfold", source), mutant))
                        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
