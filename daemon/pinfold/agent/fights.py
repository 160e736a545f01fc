"""Whoever writes as fast as he is repaired: he is told of once, and answered at intervals."""

from collections.abc import Collection, Iterable

from pinfold.agent.chronicle import Chronicle
from pinfold.agent.enforcement import Enforced
from pinfold.agent.outbox import Outbox
from pinfold.agent.patience import Patience
from pinfold.agent.view import View
from pinfold.cgroups.executor import Result
from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.verify import Drift
from pinfold.pods.model import PodUid


class Fights:
    def __init__(self, chronicle: Chronicle, outbox: Outbox) -> None:
        self._chronicle, self._outbox = chronicle, outbox
        self.patience = Patience()

    def seen(
        self,
        written: Collection[CgroupPath],
        drifted: Iterable[Drift],
        enforced: Enforced,
        view: View,
        now_s: float,
    ) -> set[PodUid]:
        """After a turn, before which others had *written* to cgroups; the pods that somebody fights over."""
        taken = {
            (one.write.path, one.write.file)
            for one in enforced.outcomes
            if one.result is Result.DONE or (one.result is Result.REFUSED and not one.errno)
        }
        repaired = {one.path for one in drifted if (one.path, one.file) in taken}
        before = self.patience.fought
        self.patience = self.patience.after(written, repaired, now_s)
        fought = self.patience.fought
        owners = {path: view.tree.owners[path] for path in fought if path in view.tree.owners}
        for path in sorted(fought - before):
            pod = view.by_uid.get(owners.get(path, PodUid("")))
            note = self._chronicle.fought(path, pod.full_name if pod else "")
            if pod:
                self._outbox.fought(pod, note)
        for path in sorted(before - fought):
            self._chronicle.calmed(path)
        return set(owners.values())
