"""What the loop must not forget: the checkpoint as it is on disk, and with it what a release gives back."""

from collections.abc import Callable
from dataclasses import replace

import structlog

from pinfold.agent.enforcement import Kept
from pinfold.cgroups.found import is_found_again
from pinfold.planning.ledger import Ledger
from pinfold.state import Checkpoint, StateDirectory, StateError, boot_id

log = structlog.get_logger()


class Books:
    def __init__(self, state: StateDirectory) -> None:
        """Take the checkpoint of this boot up again, if there is one."""
        self._state, self._boot = state, boot_id()
        self.checkpoint = Checkpoint()
        self.kept = Kept()
        self.fault: Exception | None = None
        """Why a checkpoint that is there cannot be taken up: whose pins these are must be read off the kernel."""
        try:
            self.checkpoint = state.load(self._boot) or Checkpoint()
            self.kept = Kept.of(self.checkpoint)
        except (StateError, ValueError) as error:
            log.warning("checkpoint.lost", reason=str(error), remedy="the ledger is rebuilt from what the kernel holds")
            self.checkpoint, self.fault = Checkpoint(), error
        self._saved = self.kept
        """What is on disk; *kept* is that, or what is about to be."""
        self.unsaved: StateError | None = None
        """Why *kept* is not on disk, where that keeps nothing from being given back."""
        self.is_lost = self.fault is not None
        """Until the kernel was read: then what is saved is whole again."""

    def save(self, kept: Kept, ledger: Ledger, properties: frozenset[tuple[str, str]]) -> None:
        """Have it on disk, if it is another one. Raises StateError; then the one before stands.

        Where the disk is full, repairs and a release to the kubelet go on with what is there: see `_is_covered`.
        """
        before = self.checkpoint
        if self.is_lost or (kept, ledger, properties) != (self._saved, before.ledger, before.properties):
            checkpoint = kept.into(replace(before, ledger=ledger, properties=properties))
            if self.is_lost or checkpoint != before:
                checkpoint = replace(checkpoint, generation=checkpoint.generation + 1)
                try:
                    self._state.save(checkpoint, self._boot)
                except StateError as error:
                    if self.is_lost or not self._is_covered(kept, ledger, properties):
                        raise
                    self.kept, self.unsaved = kept, error
                    return
            self.checkpoint = checkpoint
        self.kept = self._saved = kept
        self.unsaved = None

    def _is_covered(self, kept: Kept, ledger: Ledger, properties: frozenset[tuple[str, str]]) -> bool:
        """Whether a start from what is on disk would find again all that *kept* holds.

        Nobody owns anything any more, or all own what they did; and no file is written that was not, but for the CPUs
        of pods' and containers' own cgroups, which are found again without. Should Pinfold die before there is room,
        what others wrote to a file since then is given back as it is trimmed now.
        """
        return (
            ledger in (Ledger(), self.checkpoint.ledger)
            and properties <= self.checkpoint.properties
            and kept.tasks.keys() <= self._saved.tasks.keys()
            and kept.irqs.keys() <= self._saved.irqs.keys()
            and all(
                file in self._saved.files.get(path, {}) or is_found_again(path, file)
                for path, files in kept.files.items()
                for file in files
            )
        )

    def committing(self, ledger: Ledger) -> Callable[[Kept], None]:
        """To be called with what is about to be taken, before it is."""
        return lambda kept: self.save(kept, ledger, self.checkpoint.properties)
