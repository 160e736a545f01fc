"""The process: configuration, log, endpoint and signals around the loop.

SIGTERM and SIGINT end it and leave every pin; SIGHUP reads the configuration again, and keeps the old one where the
new one has a fault.
"""

import gc
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from pinfold import __version__
from pinfold.agent.loop import Agent
from pinfold.config import Config, ConfigError, MetricsAuthentication, policy
from pinfold.report import systemd
from pinfold.report.access import Access
from pinfold.report.certificate import Certificate, SelfSigned
from pinfold.report.http import Endpoint, MetricsPort
from pinfold.report.logs import configure
from pinfold.report.routes import Readings
from pinfold.sources.client import ApiServer
from pinfold.state import StateDirectory
from pinfold.topology.sysfs import read_topology

SWITCH_S = 0.0005
"""How long a thread keeps the interpreter while another waits: the one that narrows waits after each system call."""
COLLECT_AFTER = 10_000
"""Objects more than at the last search for cycles. By default it is 700, and a start searched a hundred times."""

log = structlog.get_logger()


def run(load: Callable[[], Config]) -> None:
    """Serve this node until SIGTERM. *load* reads the configuration, now and at SIGHUP. Raises PinfoldError."""
    tune_interpreter()
    config: Config | None = load()
    while config is not None:
        configure(config.log.format.value, config.log.level.value)
        config = _serve(config, load)
    systemd.notify("STOPPING=1")
    log.info("daemon.stopped", pins="left as they are")


def tune_interpreter() -> None:
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(COLLECT_AFTER)


def _serve(config: Config, load: Callable[[], Config]) -> Config | None:
    """Serve with *config*; the next configuration, or None at the end."""
    state = StateDirectory(Path(config.state_dir))
    agent = Agent(config, state)
    readings = Readings(
        snapshot=agent.snapshot,
        config=lambda: agent.config.dumped(),
        heartbeat_age_seconds=agent.heartbeat_age_s,
        stale_after_seconds=2 * config.cpu_manager_reconcile_period + 60,
        cgroup_files=agent.cgroup_files,
        alone=agent.alone,
        decision=lambda: agent.decision.to_json() if agent.decision else None,
    )
    asked: set[int] = set()

    def heard(signum: int, _frame: object) -> None:
        asked.add(signum)
        agent.interrupt()

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, heard)
    try:
        metrics = metrics_port(config, agent.sources.server)
        with Endpoint(readings, config.report.listen, metrics, config.report.socket):
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


def metrics_port(config: Config, server: ApiServer | None) -> MetricsPort | None:
    """Raises ConfigError, CertificateError."""
    report = config.report
    if not report.metrics_listen:
        return None
    anonymous = report.metrics_authentication is MetricsAuthentication.ANONYMOUS
    if server is None and not anonymous:
        raise ConfigError(
            "report.metricsListen: there is no API server to ask who may read the metrics. Name one in "
            "sources.apiServer.kubeconfig, or say report.metricsAuthentication: Anonymous to let everybody read them."
        )
    access = None if anonymous or server is None else Access(server.create)
    certificate = None
    if report.tls_cert_file:
        certificate = Certificate(Path(report.tls_cert_file), Path(report.tls_private_key_file))
    elif access:
        address = report.metrics_listen.rpartition(":")[0].strip("[]")
        maker = SelfSigned(Path(config.state_dir, "tls"), config.node_name or platform.node(), address)
        certificate = Certificate.self_signed(maker)
    return MetricsPort(report.metrics_listen, access, certificate, config.node_name or platform.node())


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
