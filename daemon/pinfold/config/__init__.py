"""One configuration, read from a file, the environment and flags, and checked before anything acts on it.

``keys`` is what can be said, ``forms`` how a value is written, ``reading`` where it stands, ``policy`` what it means on
a machine. Every error names the line, what was wrong and what to write instead.
"""

from pinfold.config.keys import (
    CgroupDriver,
    Config,
    Exclusivity,
    LogFormat,
    LogLevel,
    MetricsAuthentication,
)
from pinfold.config.policy import policy, reserved_cpus
from pinfold.config.reading import DEFAULT_PATH, ConfigError, config_of, load

__all__ = [
    "DEFAULT_PATH",
    "CgroupDriver",
    "Config",
    "ConfigError",
    "Exclusivity",
    "LogFormat",
    "LogLevel",
    "MetricsAuthentication",
    "config_of",
    "load",
    "policy",
    "reserved_cpus",
]
