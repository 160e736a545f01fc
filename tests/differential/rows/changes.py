"""Rows on partitions that live: growing, shrinking, losing their ancestors' sets, CPU hotplug."""

from pinfold.cpuset import CpuSet
from tests.cpuset_model import Errno, Reason
from tests.differential.moment import Moment, cpus, exclusive, has, populated, remote, state, valid
from tests.differential.steps import Op

from .row import Question, Row, always, becomes, holder_reads, only, reads, refused, takes_effect

HOTPLUG = f"invalid ({Reason.HOTPLUG.value})"


def _old(m: Moment) -> CpuSet:
    return exclusive(m.before, m.path)


def _shrinks_above_remote(m: Moment) -> bool:
    """A member's exclusive loses CPUs that a remote partition below uses."""
    return (
        m.writes("cpuset.cpus.exclusive")
        and state(m.before, m.path) == "member"
        and m.text != _old(m)
        and bool(_old(m))
        and any(remote(m.before, one) for one in m.children)
        and all(exclusive(m.before, one) for one in m.children if remote(m.before, one))
        and not any(exclusive(m.before, one) & m.text for one in m.siblings)
        and not any(cpus(m.before, one) and cpus(m.before, one) <= m.text for one in m.siblings)
    )


def _all_lost(m: Moment) -> bool:
    return all(not exclusive(m.before, one) & m.text for one in m.children if remote(m.before, one))


def _keeps_some(m: Moment) -> bool:
    held = [m.before.effective(one) for one in m.children if remote(m.before, one)]
    return all(cpus & m.text and not cpus <= m.text for cpus in held)


def _stays_as_it_was(m: Moment) -> bool:
    return m.outcome == Errno.EINVAL and state(m.after, m.path) == state(m.before, m.path)


def _cpus_come_back(m: Moment) -> bool:
    return m.outcome is None and m.before.effective(m.path) <= m.after.effective("")


def _keep_their_cpus(m: Moment) -> bool:
    return all(m.after.effective(one) == m.before.effective(one) for one in m.children if remote(m.before, one))


def _lose_their_parent(m: Moment) -> bool:
    lost = [state(m.after, one) for one in m.children if remote(m.before, one)]
    return all(text.endswith(f"invalid ({Reason.PARENT_MEMBER.value})") for text in lost)


def _ends(word: str, reason: Reason) -> Question:
    """Its own write invalidates it. The kernel then comes by from the root and mostly writes its other reason over."""
    return lambda m: (
        m.outcome is None
        and state(m.after, m.path)
        in (
            f"{word} invalid ({reason.value})",
            f"{word} invalid ({Reason.PARENT_MEMBER.value})",
        )
    )


def _loses(word: str, *, last: bool, tasks: bool | None = None) -> Question:
    """A CPU of a partition without any under isolcpus= goes off; *last*: it was the only one."""

    def case(m: Moment) -> bool:
        if not m.switches(Op.OFFLINE) or (at := m.holder()) is None or state(m.before, at) != word:
            return False
        if m.before.kernel.exclusive and state(m.before, at.rpartition("/")[0]) != "member":
            return False
        right = tasks is None or (_needs(m, at) if tasks else not populated(m.before, at))
        held = m.before.effective(at)
        return (len(held) == 1) == last and not held & m.before.isolcpus and right

    return case


def _needs(m: Moment, path: str) -> bool:
    """Whether there are tasks; 7.3 overlooks those in cgroups that have no cpuset files."""
    below = [one for one in m.before.paths() if one == path or one.startswith(f"{path}/")]
    return any(m.before.tasks(one) for one in below if one == path or has(m.before, one))


def _shrunk_by_one(m: Moment) -> bool:
    at = m.holder() or ""
    return valid(m.after, at) and m.after.effective(at) == m.before.effective(at) - CpuSet.of([int(m.step.text)])


def _returns(m: Moment) -> list[str]:
    """Partitions that lost their last CPU and get it back."""
    cpu = CpuSet.of([int(m.step.text)])
    return [one for one in m.before.paths() if state(m.before, one).endswith(HOTPLUG) and m.wanted(one) == cpu]


def _valid_ones_regain(m: Moment) -> bool:
    cpu = CpuSet.of([int(m.step.text)])
    return all(cpu <= m.after.effective(one) for one in _missing(m))


def _missing(m: Moment) -> list[str]:
    """Valid partitions whose set names the CPU that comes online, without partitions in them."""
    cpu = CpuSet.of([int(m.step.text)])
    held = "cpus.exclusive.effective" if m.before.kernel.exclusive else "cpus"
    wants = [one for one in m.before.paths() if one and state(m.before, one) != "member" and cpu <= m.wanted(one)]
    lowest = [one for one in wants if not any(two.startswith(f"{one}/") for two in wants)]
    return [one for one in lowest if valid(m.before, one) and cpu <= cpus(m.before, one, held)]


ROWS = (
    Row(
        "exclusive of a partition grows",
        lambda m: m.resizes_remote() and _old(m) < m.text and not _overlaps(m),
        only(new=takes_effect),
    ),
    Row("exclusive of a partition shrinks", lambda m: m.resizes_remote() and m.text < _old(m), only(new=takes_effect)),
    Row(
        "exclusive of a partition moves to other CPUs",
        lambda m: m.resizes_remote() and not m.text & _old(m) and not _overlaps(m),
        only(new=takes_effect),
    ),
    Row(
        "exclusive of a partition grows over a sibling's cpuset.cpus",
        lambda m: m.resizes_remote() and _old(m) < m.text and _overlaps(m) and not _covers(m),
        only(new=_stays_as_it_was, newest=takes_effect),
    ),
    Row(
        "exclusive of a partition grows without CAP_SYS_ADMIN",
        lambda m: m.resizes_remote(Op.WRITE_UNPRIVILEGED) and _old(m) < m.text and not _overlaps(m),
        only(new=_ends("root", Reason.PERMISSION)),
    ),
    Row(
        "exclusive of a partition root emptied, its cpuset.cpus empty",
        lambda m: (
            m.writes("cpuset.cpus.exclusive")
            and m.step.text == ""
            and bool(m.before.effective(m.path))
            and state(m.before, m.path) == "root"
            and remote(m.before, m.path)
            and not cpus(m.before, m.path)
        ),
        only(new=_ends("root", Reason.CPUS), newest=refused(Errno.EBUSY)),
    ),
    Row(
        "exclusive of an isolated partition emptied, its cpuset.cpus empty",
        lambda m: (
            m.writes("cpuset.cpus.exclusive")
            and m.step.text == ""
            and bool(m.before.effective(m.path))
            and state(m.before, m.path) == "isolated"
            and remote(m.before, m.path)
            and not cpus(m.before, m.path)
        ),
        only(new=_ends("isolated", Reason.CPUS)),
    ),
    Row(
        "cpuset.cpus of a partition with exclusive",
        lambda m: (
            m.writes("cpuset.cpus")
            and remote(m.before, m.path)
            and bool(_old(m))
            and bool(m.text)
            and not any(m.text & (m.wanted(one) | cpus(m.before, one)) for one in m.siblings)
        ),
        only(new=lambda m: m.outcome is None and m.after.effective(m.path) == m.before.effective(m.path)),
    ),
    Row(
        "a remote partition becomes a member",
        lambda m: m.writes("cpuset.cpus.partition") and m.step.text == "member" and remote(m.before, m.path),
        only(new=_cpus_come_back),
    ),
    Row(
        "an ancestor's exclusive leaves a partition nothing",
        lambda m: _shrinks_above_remote(m) and bool(m.text) and _all_lost(m),
        only(new=becomes("member"), newest=_lose_their_parent),
    ),
    Row(
        "an ancestor's exclusive leaves a partition some",
        lambda m: _shrinks_above_remote(m) and bool(m.text) and _keeps_some(m),
        only(new=becomes("member"), newest=becomes("root", "isolated")),
    ),
    Row(
        "an ancestor's exclusive emptied over a partition",
        lambda m: _shrinks_above_remote(m) and m.step.text == "",
        only(new=_keep_their_cpus, newest=_lose_their_parent),
    ),
    Row("one of several CPUs of a partition goes offline", _loses("root", last=False), always(_shrunk_by_one)),
    Row(
        "one of several CPUs of a partition comes back",
        lambda m: m.switches(Op.ONLINE) and bool(_missing(m)),
        always(_valid_ones_regain),
    ),
    Row(
        "last CPU of a root with tasks goes offline",
        _loses("root", last=True, tasks=True),
        only(
            holder_reads(Reason.HOTPLUG),
            lambda m: m.outcome == Errno.EBUSY or holder_reads(Reason.HOTPLUG)(m),
            holder_reads(Reason.HOTPLUG),
        ),
    ),
    Row(
        "last CPU of a root without tasks goes offline",
        _loses("root", last=True, tasks=False),
        only(holder_reads("root"), lambda m: m.outcome == Errno.EBUSY or holder_reads("root")(m), holder_reads("root")),
    ),
    Row(
        "last CPU of an isolated partition with tasks goes offline",
        _loses("isolated", last=True, tasks=True),
        always(holder_reads(f"isolated {HOTPLUG}")),
    ),
    Row(
        "last CPU of an invalid partition comes back",
        lambda m: m.switches(Op.ONLINE) and bool(_returns(m)) and all(_could_heal(m, one) for one in _returns(m)),
        only(
            lambda m: all(valid(m.after, one) for one in _returns(m)),
            lambda m: all(state(m.after, one).endswith(HOTPLUG) for one in _returns(m)),
        ),
    ),
    Row(
        "root written again after the CPU came back",
        lambda m: (
            m.writes("cpuset.cpus.partition")
            and m.step.text == "root"
            and bool(m.wanted(m.path) & m.before.active)
            and state(m.before, m.path) == f"root {HOTPLUG}"
            and not valid(m.before, m.parent)
            and not any(m.wanted(one) & m.wanted(m.path) for one in m.siblings)
        ),
        only(new=reads("root")),
    ),
)


def _could_heal(m: Moment, path: str) -> bool:
    """Remote on the kernels that have that; else its parent is a partition still."""
    return valid(m.before, path.rpartition("/")[0]) != m.before.kernel.exclusive


def _overlaps(m: Moment) -> bool:
    return any(m.text & cpus(m.before, one) and not exclusive(m.before, one) for one in m.siblings)


def _covers(m: Moment) -> bool:
    return any(cpus(m.before, one) and cpus(m.before, one) <= m.text for one in m.siblings)
