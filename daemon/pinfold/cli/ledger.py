"""Who owns what already, for ``pinfold plan --ledger``: read from a file of Pinfold's or of a kubelet's."""

import json
from collections.abc import Iterable
from pathlib import Path

from pinfold.cli.whatif import WhatIfError
from pinfold.planning.kubelet_state import UnreadableState, read_kubelet_state
from pinfold.planning.ledger import Ledger
from pinfold.planning.policy import Policy
from pinfold.pods.model import Pod
from pinfold.state import MAX_BYTES, StateError, checkpoint_of


def read_ledger(file: str, pods: Iterable[Pod], policy: Policy) -> Ledger:
    """Who owns what, from a checkpoint of Pinfold or a kubelet's ``cpu_manager_state``; memory's file lies beside it.

    Raises WhatIfError.
    """
    path = Path(file)
    text = _text(path)
    try:
        if json.loads(text).get("kind") == "Checkpoint":
            return checkpoint_of(text, path).ledger
    except (ValueError, AttributeError, RecursionError, StateError) as error:
        raise WhatIfError(f"{file} holds no ledger: {error}") from error
    memory = path.with_name("memory_manager_state")
    state = read_kubelet_state(text, _text(memory) if memory.is_file() else None, pods, policy)
    if isinstance(state, UnreadableState):
        raise WhatIfError(f"{file} holds no ledger: {state.message}.")
    return state.ledger


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise WhatIfError(f"{path} cannot be read: {error}. Name a checkpoint.json or a cpu_manager_state.") from error
