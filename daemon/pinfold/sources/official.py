"""The official Kubernetes client, imported without what it brings along and nothing here uses.

Its packages import all that they have. Its modules import pydantic for typed answers, dateutil for the times in them,
and OAuth for kubeconfigs that name an ``auth-provider``. That is 24 MiB (kubernetes 37.0.2); here answers are raw.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

_PACKAGES: Final = ("kubernetes", "kubernetes.config", "kubernetes.utils")
_TYPED: Final = ("pydantic", "dateutil", "dateutil.parser")
_OAUTH: Final = ("oauthlib", "oauthlib.oauth2", "requests_oauthlib")
_KUBECONFIG: Final = "kubernetes.config.kube_config"


def import_client(*, oauth: bool = False) -> None:
    """Have its modules imported that make a connection; *oauth*: as an ``auth-provider`` needs them."""
    for name in _PACKAGES:
        _enter(name)
    if oauth:  # it may have been imported without
        sys.modules.pop(_KUBECONFIG, None)
    with _standing_in(_TYPED if oauth else (*_TYPED, *_OAUTH)):
        importlib.import_module("kubernetes.client.api_client")
        importlib.import_module(_KUBECONFIG)


def _enter(name: str) -> None:
    """Have modules of the package *name* imported one by one."""
    spec = importlib.util.find_spec(name) if name not in sys.modules else None
    if spec:
        package = sys.modules[name] = importlib.util.module_from_spec(spec)
        package.__path__ = list(spec.submodule_search_locations or ())
        if outer := name.rpartition(".")[0]:
            setattr(sys.modules[outer], name.rpartition(".")[2], package)


class _Unused:
    """Whatever is taken from a module that is not there: a base class, a field, a type that nothing is of."""

    def __init__(self, *_: object, **__: object) -> None:
        """As any of them is made."""


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> type[_Unused]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unused


@contextmanager
def _standing_in(names: Iterable[str]) -> Iterator[None]:
    """For those of *names* that nobody has imported, so that whoever imports them later gets the real ones."""
    absent = [name for name in names if name.partition(".")[0] not in sys.modules]
    sys.modules |= {name: _StandIn(name) for name in absent}
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
