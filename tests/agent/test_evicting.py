"""Who may be evicted, and how often."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pinfold.agent.evicting import (
    BURST,
    EVERY_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    PATIENCE_S,
    Candidate,
    Restraint,
    candidates,
    own_pod,
)
from pinfold.planning.policy import OnUnsatisfied
from pinfold.planning.reasons import Decision, Outcome, Refused, Regime, Word
from pinfold.pods.model import Intent, Pod, PodUid, QosClass

UID = "6a0f3f3e-52f5-4d0e-9a6f-0b1c4f6d2a11"
STARTED = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
POD = Pod(
    PodUid("a"),
    "trading",
    "engine-1",
    QosClass.GUARANTEED,
    (),
    api_uid="a",
    owner="ReplicaSet/engine",
    started_at="2026-11-24T12:00:01Z",
)
DECISION = Decision(
    POD.uid,
    POD.namespace,
    POD.name,
    Outcome.SHARED,
    Regime.POD_POOL,
    "",
    refusal=Refused(Word.TOPOLOGY_AFFINITY, "", can_pass=True),
)


def chosen(
    pod: Pod = POD, decision: Decision = DECISION, asked: OnUnsatisfied = OnUnsatisfied.EVICT, own: str | None = None
) -> list[str]:
    return [one.name for one in candidates([decision], [pod], asked, STARTED, PodUid(own) if own else None)]


def test_a_pod_that_is_refused_and_has_a_controller_may_be_evicted() -> None:
    assert chosen() == ["engine-1"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"started_at": "2026-11-24T12:00:00Z"}, id="it-was-there-when-pinfold-came"),
        pytest.param({"started_at": ""}, id="nobody-knows-when-it-came"),
        pytest.param({"static": True}, id="static-or-its-mirror"),
        pytest.param({"owner": ""}, id="nobody-makes-it-anew"),
        pytest.param({"owner": "DaemonSet/agent"}, id="it-would-come-back-to-this-node"),
        pytest.param({"deleting": True}, id="on-its-way-already"),
        pytest.param({"terminal": True}, id="ended"),
        pytest.param({"intent": Intent(on_unsatisfied="share")}, id="it-says-share-itself"),
    ],
)
def test_a_pod_that_must_not_go_stays(change: dict[str, Any]) -> None:
    assert chosen(replace(POD, **change)) == []


@pytest.mark.parametrize(
    ("outcome", "word", "can_pass"),
    [
        pytest.param(Outcome.DEGRADED, Word.EMPTY_POD_SHARED_POOL, True, id="it-has-a-pool"),
        pytest.param(Outcome.SHARED, Word.INVALID_ANNOTATION, False, id="no-node-would-take-it"),
        pytest.param(Outcome.SHARED, Word.KUBELET_OWNS_CPUSETS, True, id="the-kubelets-node"),
    ],
)
def test_who_would_not_be_better_off_elsewhere_stays(outcome: Outcome, word: Word, can_pass: bool) -> None:
    assert chosen(decision=replace(DECISION, outcome=outcome, refusal=Refused(word, "", can_pass))) == []


def test_pinfolds_own_pod_stays_and_a_pod_may_ask_for_it_itself() -> None:
    assert chosen(own="a") == []
    assert chosen(asked=OnUnsatisfied.SHARE) == []
    assert chosen(replace(POD, intent=Intent(on_unsatisfied="evict")), asked=OnUnsatisfied.SHARE) == ["engine-1"]


@pytest.mark.parametrize(
    ("cgroup", "uid"),
    [
        ("0::/kubepods.slice/kubepods-pod6a0f3f3e_52f5_4d0e_9a6f_0b1c4f6d2a11.slice/cri-containerd-ab.scope\n", UID),
        (f"0::/kubepods/burstable/pod{UID}/ab\n", UID),
        ("0::/system.slice/pinfold.service\n", None),
    ],
    ids=["systemd", "cgroupfs", "no-pod"],
)
def test_the_own_pod_is_known_by_its_cgroup(cgroup: str, uid: str | None) -> None:
    assert own_pod(cgroup) == uid


def _candidate(number: int, controller: str = "trading/ReplicaSet/engine") -> Candidate:
    return Candidate(PodUid(str(number)), str(number), "trading", f"p{number}", controller, Word.TOPOLOGY_AFFINITY)


def test_who_goes_within_half_a_minute_saves_the_refused() -> None:
    one = _candidate(1)
    restraint = Restraint().hearing([one], 0)
    assert not restraint.allows(one, PATIENCE_S - 1)
    assert restraint.allows(one, PATIENCE_S)
    assert not restraint.hearing([], 1).hearing([one], 2).allows(one, PATIENCE_S), "it was not refused all the time"


def test_a_controller_whose_pods_come_back_is_left_alone_for_longer_each_time() -> None:
    restraint, now = Restraint().hearing([], 0), 0.0
    pauses = []
    for number in range(9):
        one = _candidate(number)
        restraint = restraint.hearing([one], now)
        began = now
        while not restraint.hearing([one], now).allows(one, now):
            now += 10
        pauses.append(now - began)
        restraint = restraint.hearing([one], now).evicted(one, now)
        assert not restraint.allows(one, now + 10 * LONGEST_PAUSE_S), "once is enough"
    assert pauses[:3] == [PATIENCE_S, FIRST_PAUSE_S, 2 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_controller_that_was_quiet_for_long_begins_anew() -> None:
    first, second = _candidate(1), _candidate(2)
    after = Restraint().hearing([first], 0).evicted(first, 100)
    late = 100 + FIRST_PAUSE_S + LONGEST_PAUSE_S
    again = after.hearing([second], late).evicted(second, late)
    third = _candidate(3)
    assert again.hearing([third], late).allows(third, late + FIRST_PAUSE_S)


def test_a_node_evicts_only_so_many_whoever_they_are_of() -> None:
    restraint, gone = Restraint(), 0
    everybody = [_candidate(number, f"of-{number}") for number in range(100)]
    for now in range(0, 3 * int(EVERY_S) + 50, 10):
        restraint = restraint.hearing(everybody, now)
        for one in everybody:
            if restraint.allows(one, now):
                restraint, gone = restraint.evicted(one, now), gone + 1
    assert gone == BURST + 3
