"""The process: configuration, log, endpoint and signals around the loop.

SIGTERM and SIGINT end it and leave every pin; SIGHUP reads the configuration again, and keeps the old one where the
new one has a fault.
"""

import signal
from collections.abc import Callable
from pathlib import Path

import structlog

from pinfold import __version__
from pinfold.agent.loop import Agent
from pinfold.config import Config, ConfigError, policy
from pinfold.report import systemd
from pinfold.report.http import Endpoint
from pinfold.report.logs import configure
from pinfold.report.routes import Readings
from pinfold.state import StateDirectory
from pinfold.topology.sysfs import read_topology

log = structlog.get_logger()


def run(load: Callable[[], Config]) -> None:
    """Serve this node until SIGTERM. *load* reads the configuration, now and at SIGHUP. Raises PinfoldError."""
    config: Config | None = load()
    while config is not None:
        configure(config.log.format.value, config.log.level.value)
        config = _serve(config, load)
    systemd.notify("STOPPING=1")
    log.info("daemon.stopped", pins="left as they are")


def _serve(config: Config, load: Callable[[], Config]) -> Config | None:
    """Serve with *config*; the next configuration, or None at the end."""
    state = StateDirectory(Path(config.state_dir))
    agent = Agent(config, state)
    readings = Readings(
        snapshot=agent.snapshot,
        config=config.dumped,
        heartbeat_age_seconds=agent.heartbeat_age_s,
        stale_after_seconds=2 * config.cpu_manager_reconcile_period + 60,
        cgroup_files=agent.cgroup_files,
        decision=lambda: agent.decision.to_json() if agent.decision else None,
    )
    asked: set[int] = set()

    def heard(signum: int, _frame: object) -> None:
        asked.add(signum)
        agent.interrupt()

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, heard)
    try:
        with Endpoint(readings, config.report.listen, config.report.metrics_listen, config.report.socket):
            log.info("daemon.started", version=__version__, node=config.node_name)
            while True:
                agent.run()
                if asked & {signal.SIGTERM, signal.SIGINT}:
                    return None
                asked.clear()
                if (reloaded := _reloaded(load)) is not None:
                    return reloaded
    finally:
        agent.close()
        state.close()


def _reloaded(load: Callable[[], Config]) -> Config | None:
    """The new configuration; None where it has a fault, which is told."""
    try:
        config = load()
        policy(config, read_topology(Path(config.sysfs_root)))
    except ConfigError as error:
        log.error("config.refused", reason=str(error), remedy="the old configuration holds until this is mended")
        return None
    log.info("config.reloaded")
    return config
