"""What is logged comes out as one line that a machine can read, whatever text is in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = 'a"b\n\x1b[31mc'
SCRIPT = f"""
import structlog
from pinfold.report.logs import configure
configure({{form!r}}, "info")
log = structlog.get_logger()
log.debug("step.done")
log.info("pool.pinned", pod={HOSTILE!r}, cpus="2-5")
try:
    raise ValueError("no")
except ValueError:
    log.exception("loop.failed")
"""


def _lines(form: str) -> list[str]:
    daemon = Path(__file__).resolve().parents[2] / "daemon"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(form=form)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(daemon)},
    )
    assert not done.stdout
    return done.stderr.splitlines()


def test_json_has_one_object_a_line() -> None:
    pinned, failed = (json.loads(line) for line in _lines("json"))
    assert (pinned["event"], pinned["level"], pinned["pod"], pinned["cpus"]) == ("pool.pinned", "info", HOSTILE, "2-5")
    assert failed["event"] == "loop.failed"
    assert "ValueError: no" in failed["exception"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_hostile_text_controls_no_terminal(form: str) -> None:
    assert not [line for line in _lines(form) if "\x1b" in line]
