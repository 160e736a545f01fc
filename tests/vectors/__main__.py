"""``python -m tests.vectors [--own-rules] FILE…``: see the package."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from pinfold.planning.policy import KUBELET_RULES, Rules
from tests.vectors.case import cases
from tests.vectors.ops import differences


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.vectors", description="Run decision vectors.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--own-rules", action="store_true", help="also tell how often each of Pinfold's own rules differs"
    )
    told = parser.parse_args(arguments)
    passed, failed = run(told.files)
    if told.own_rules:
        tell_own_rules(told.files)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def run(files: Sequence[Path]) -> tuple[int, int]:
    """How many vectors passed and failed in kubelet mode; every difference is printed."""
    outcomes = []
    for file in files:
        for case in cases(file, KUBELET_RULES):
            found = differences(case)
            outcomes.append(not found)
            for difference in found:
                print(f"{file.name} {case.id}: {difference}")
    return outcomes.count(True), outcomes.count(False)


def tell_own_rules(files: Sequence[Path]) -> None:
    """Which vectors come out otherwise when one of Pinfold's rules is on, and when all are."""
    rules = {rule.name: replace(KUBELET_RULES, **{rule.name: True}) for rule in fields(Rules)}
    by_kubelet = _differences(files, KUBELET_RULES)
    for name, own in {**rules, "all of them": Rules()}.items():
        ids = [
            id_
            for (id_, kubelet), (_, found) in zip(by_kubelet, _differences(files, own), strict=True)
            if found != kubelet
        ]
        print(f"{len(ids):4} differ under {name}{': ' if ids else ''}{' '.join(ids)}")


def _differences(files: Sequence[Path], rules: Rules) -> Sequence[tuple[str, Sequence[str]]]:
    return [(case.id, differences(case)) for file in files for case in cases(file, rules)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
