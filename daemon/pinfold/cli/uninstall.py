"""``pinfold uninstall``: the daemon stopped, everything given back as it was found, and its own files gone."""

import shutil
import sys
from argparse import Namespace
from pathlib import Path

from pinfold.agent.comparison import NodeError
from pinfold.agent.outside import release
from pinfold.cli.release import told
from pinfold.cli.unit import UNIT, check_host, systemctl
from pinfold.config import DEFAULT_PATH, Config, load
from pinfold.report.plain import plain
from pinfold.state import boot_id
from pinfold.state import load as load_checkpoint


def main(options: Namespace) -> int:
    """What could not be given back keeps the ledger that names it, and the unit, for another try."""
    check_host()
    config = load(DEFAULT_PATH if DEFAULT_PATH.is_file() else None, {})
    if UNIT.is_file():
        systemctl("disable", "--now", "pinfold")
    if not _released(config):
        return 1
    UNIT.unlink(missing_ok=True)
    systemctl("daemon-reload")
    shutil.rmtree(config.state_dir, ignore_errors=True)
    if options.purge:
        DEFAULT_PATH.unlink(missing_ok=True)
        if DEFAULT_PATH.parent.is_dir() and not any(DEFAULT_PATH.parent.iterdir()):
            DEFAULT_PATH.parent.rmdir()
    left = [str(path) for path in (DEFAULT_PATH.parent, Path(f"{UNIT}.d")) if path.exists()]
    print("nothing of pinfold is left" + f" but what you may want to keep: {', '.join(left)}" * bool(left))
    return 0


def _released(config: Config) -> bool:
    """Whether all was given back. Where no pod ever ran there was nothing to take."""
    try:
        released = release(config, dry_run=False)
    except NodeError:
        if load_checkpoint(Path(config.state_dir), boot_id()) is not None:
            raise
        return True
    for warning in released.warnings:
        print(f"pinfold: {plain(warning)}", file=sys.stderr)
    told(released)
    return released.is_whole
