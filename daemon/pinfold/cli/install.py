"""``pinfold install``: the unit, a configuration where there is none, and the daemon started, now and at each boot."""

import json
from argparse import Namespace
from pathlib import Path

from pinfold.cli.unit import UNIT, InstallError, check_host, own_command, systemctl, unit_text
from pinfold.config import DEFAULT_PATH, load, policy
from pinfold.topology.sysfs import read_topology


def main(options: Namespace) -> int:
    check_host()
    unit = unit_text(options.command_path or own_command())
    made = configuration(options)
    if made:
        DEFAULT_PATH.parent.mkdir(mode=0o755, exist_ok=True)
        DEFAULT_PATH.write_text(made)
        print(f"wrote {DEFAULT_PATH}")
    try:
        config = load(DEFAULT_PATH, {})
        policy(config, read_topology(Path(config.sysfs_root)))
    except BaseException:
        if made:
            DEFAULT_PATH.unlink()
        raise
    UNIT.write_text(unit)
    print(f"wrote {UNIT}")
    systemctl("daemon-reload")
    systemctl("enable", "pinfold")
    systemctl("restart", "pinfold")
    print("pinfold runs, now and at each boot: pinfold status")
    return 0


def configuration(options: Namespace) -> str:
    """What to write; empty where there is a configuration, which stays as it is. Raises InstallError."""
    sources = {"apiServer": ("kubeconfig", options.kubeconfig), "manifests": ("path", options.manifests)}
    named = {source: (key, Path(path).absolute()) for source, (key, path) in sources.items() if path}
    if DEFAULT_PATH.is_file():
        if named:
            raise InstallError(f"{DEFAULT_PATH} is there already: write the sources of pods into it")
        return ""
    if not named:
        raise InstallError("where do pods come from? Name --kubeconfig FILE or --manifests DIR")
    lines = [f"  {source}: {{{key}: {json.dumps(str(path))}}}" for source, (key, path) in named.items()]
    return "\n".join(("apiVersion: pinfold.dev/v1alpha1", "kind: PinfoldConfiguration", "sources:", *lines, ""))
