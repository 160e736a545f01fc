"""Coverage-guided fuzzing of every door (atheris), each for so many seconds; what breaks a promise is kept and named.

    python -m tests.fuzz --seconds 60
    python -m tests.fuzz --target pod_json FILE...     what is in these files, once

Each door has a process of its own. What a run finds interesting stays in *--corpus* and is where the next begins.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from .seeds import SEEDS
from .spoiling import words
from .targets import TARGETS


def fuzzed(name: str, seconds: int, corpus: Path) -> int:
    """libFuzzer's exit status: 0 where every promise held."""
    own, found = corpus / name, corpus / "broken"
    for directory in (own, found):
        directory.mkdir(parents=True, exist_ok=True)
    seeds = SEEDS[name]()
    for place, seed in enumerate(seeds):
        (own / f"seed-{place}").write_bytes(seed)
    known = corpus / f"{name}.dict"
    known.write_text("".join(map(_entry, words(seeds))))
    options = [f"-max_total_time={seconds}", f"-dict={known}", f"-artifact_prefix={found}/{name}-", "-max_len=16384"]
    command = [sys.executable, "-m", "tests.fuzz.process", name, *options, "-print_final_stats=1", str(own)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    stats = dict(line.removeprefix("stat::").split(":", 1) for line in done.stderr.splitlines() if "stat::" in line)
    covered = [line for line in done.stderr.splitlines() if " cov: " in line][-1:]
    executed = stats.get("number_of_executed_units", "?").strip()
    print(f"{name}: {executed} inputs, {covered[0].split('cov: ')[1].split()[0] if covered else '?'} edges", flush=True)
    if done.returncode:
        print(f"BROKEN: {name}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}", flush=True)
    return done.returncode


def _entry(word: bytes) -> str:
    """A line of a libFuzzer dictionary."""
    escaped = "".join(f"\\x{byte:02x}" for byte in word)
    return f'"{escaped}"\n'


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each door")
    parser.add_argument("--target", choices=TARGETS, help="one door alone")
    parser.add_argument("--corpus", type=Path, default=Path("build/fuzz"))
    parser.add_argument("files", type=Path, nargs="*")
    args = parser.parse_args()
    names = [args.target] if args.target else list(TARGETS)
    if args.files:
        for file in args.files:
            for name in names:
                TARGETS[name](file.read_bytes())
        return 0
    broken = [name for name in names if fuzzed(name, args.seconds, args.corpus)]
    print(f"{len(names)} doors, {len(broken)} broken{': ' if broken else ''}{', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
