"""The machine and the policy on it: read again when CPUs or memory come or go, completed by what the kubelet says."""

from pathlib import Path

import structlog

from pinfold.agent.kubelet import completed, differing
from pinfold.config import Config, ConfigError, policy
from pinfold.sources.kubelet_config import KubeletConfig
from pinfold.topology.sysfs import glance, read_topology

log = structlog.get_logger()


class Machine:
    """Raises PinfoldError when made, where the machine cannot be read or the configuration does not fit it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        """With what was taken over from the kubelet."""
        self.kubelet: KubeletConfig | None = None
        """What it was configured to when it was last asked."""
        self._sysfs = Path(config.sysfs_root)
        self._glance = glance(self._sysfs)
        self.topology = read_topology(self._sysfs)
        self.policy, self._warnings = policy(config, self.topology)
        self._differing: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Also where the kubelet is configured otherwise."""
        return (*self._warnings, *self._differing)

    def is_changed(self) -> bool:
        """Whether CPUs or memory came or went since it was read, told by a few files."""
        return glance(self._sysfs) != self._glance

    def reread(self) -> None:
        """After hotplug. Where the configuration no longer fits, the old policy stays and that is told."""
        self._glance = glance(self._sysfs)
        self.topology = read_topology(self._sysfs)
        try:
            self.policy, self._warnings = policy(self.config, self.topology)
        except ConfigError as error:
            self._warnings = (str(error),)
        log.info("topology.changed", cpus=str(self.topology.online), offline=str(self.topology.offline))

    def hear(self, kubelet: KubeletConfig | None) -> None:
        """The kubelet's reserved CPUs are taken over at its first answer: before that it starts no pod.

        When it tells others later somebody would have to move: that is told.
        """
        first, self.kubelet = self.kubelet is None, kubelet
        if kubelet is None:
            return
        if first and (config := completed(self.config, kubelet)) is not self.config:
            try:
                self.policy, self._warnings = policy(config, self.topology)
                self.config = config
            except ConfigError as error:
                self._warnings = (*self._warnings, f"the kubelet's {error}")
        self._differing = tuple(differing(self.config, kubelet))
