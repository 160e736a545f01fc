"""Mutation testing of the pure core (mutmut's mutants, tried in forks of one run of pytest): what survives is printed.

    python -m tests.mutation --part protocol --every 3
    python -m tests.mutation --part protocol --again --seconds 60 --examples 100

Survivors are for people to look at: `docs/testing.md` says what came of it.
"""

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from .mutants import Mutant, mutants
from .parts import PARTS
from .trials import Outcome, Trials

TESTS = Path(__file__).resolve().parents[1]
RESULTS = TESTS.parent / "build/mutation.jsonl"
"""Each mutant and what came of it, in the order in which they were tried."""
MISSED = {Outcome.SURVIVED, Outcome.UNREACHED}


def tried(chosen: list[Mutant], tests: tuple[str, ...], seconds: float, examples: int) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}

    def told(mutant: Mutant, outcome: Outcome) -> None:
        outcomes[mutant.name] = outcome
        with RESULTS.open("a") as results:
            print(json.dumps([mutant.name, outcome]), file=results)
        if outcome in MISSED:
            print(f"{mutant.name} {outcome}", *(f"    {line}" for line in mutant.change), sep="\n", flush=True)

    options = ["-q", "-o", "addopts=", "--import-mode=importlib", "--assert=plain", "--capture=sys", "--tb=short"]
    plugins = ["-p", "no:cacheprovider", "-p", "no:rerunfailures", "-m", "not vm and not image and not long"]
    places = (str(TESTS / test) for test in tests)
    if code := pytest.main([*options, *plugins, *places], [Trials(chosen, seconds, examples, told)]):
        raise SystemExit(f"the tests fail without any change: pytest {code}")
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, action="append", help="all, where none is named")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="of each module the first and each Nth after")
    parser.add_argument("--again", action="store_true", help="only those that survived when they were tried last")
    parser.add_argument("--rest", action="store_true", help="only those that were not tried yet")
    parser.add_argument("--seconds", type=float, default=3, help="of tests for one mutant, the quickest first")
    parser.add_argument("--examples", type=int, default=20, help="that a property draws")
    args = parser.parse_args()
    os.environ.setdefault("PINFOLD_LIVES", "1")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.touch()
    last = dict(map(json.loads, RESULTS.read_text().splitlines()))
    for part in (PARTS[name] for name in args.part or PARTS):
        found = {source: [*mutants(source)] for source in part.sources}
        chosen = [mutant for every in found.values() for mutant in every[:: args.every]]
        if args.rest:
            chosen = [mutant for mutant in chosen if mutant.name not in last]
        if args.again:
            chosen = [mutant for every in found.values() for mutant in every if last.get(mutant.name) in MISSED]
        outcomes = tried(chosen, part.tests, args.seconds, args.examples)
        for source, every in found.items():
            counts = Counter(outcomes[one.name] for one in every if one.name in outcomes)
            told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)
            print(f"{source}: {len(every)} mutants, {counts.total()} tried, {told}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
