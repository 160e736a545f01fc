"""Rows on making partitions, and on what breaks them."""

from collections.abc import Callable

from tests.cpuset_model import Errno, Reason
from tests.differential.moment import Moment, children, cpus, exclusive, populated, remote, state, valid
from tests.differential.steps import Op

from .row import Question, Row, always, becomes, only, reads, reads_on_6_1, refused


def _local(m: Moment, path: str) -> bool:
    return bool(path) and valid(m.before, path) and valid(m.before, path.rpartition("/")[0])


def _takes_cpuset(m: Moment) -> bool:
    return (
        m.step.op == Op.WRITE
        and m.step.file == "cgroup.subtree_control"
        and m.step.text == "-cpuset"
        and m.path in m.before.paths()
        and m.before.read(m.path, "cgroup.subtree_control") == "cpuset"
    )


def _overlapped(m: Moment) -> list[str]:
    """Local partitions beside the cgroup whose cpuset.cpus meet what is written."""
    local = (one for one in m.siblings if _local(m, one) and not exclusive(m.before, one))
    return [one for one in local if m.text & cpus(m.before, one)]


def _all_overlapped(right: Callable[[str], bool]) -> Question:
    return lambda m: m.outcome is None and all(right(state(m.after, one)) for one in _overlapped(m))


def _return_to_root(m: Moment) -> bool:
    return m.outcome is None and all(m.before.effective(one) <= m.after.effective("") for one in _remotes(m))


def _return_at_once(m: Moment) -> bool:
    giver = "" if remote(m.before, m.path) else m.parent
    return m.before.effective(m.path) <= m.after.effective(giver)


def _remotes(m: Moment) -> list[str]:
    return [one for one in m.children if remote(m.before, one)]


ROWS = (
    Row(
        "partition: a word that is none",
        lambda m: m.writes("cpuset.cpus.partition") and m.step.text not in ("root", "member", "isolated"),
        always(refused(Errno.EINVAL)),
    ),
    Row(
        "root, nothing set",
        lambda m: m.founds() and not m.wanted(m.path),
        only(reads_on_6_1(Reason.CPUS_EMPTY), reads(Reason.CPUS_EMPTY)),
    ),
    Row(
        "root, only cpuset.cpus set, the parent a member without exclusive",
        lambda m: (
            m.founds()
            and bool(cpus(m.before, m.path))
            and not exclusive(m.before, m.path)
            and state(m.before, m.parent) == "member"
            and not exclusive(m.before, m.parent)
            and not any(m.wanted(one) & m.wanted(m.path) for one in m.siblings)
        ),
        only(reads(Reason.PARENT_MEMBER), reads(Reason.CPUS)),
    ),
    Row(
        "root, the parent's exclusive has none of it",
        lambda m: (
            m.founds()
            and not valid(m.before, m.parent)
            and bool(exclusive(m.before, m.path))
            and not exclusive(m.before, m.path) & cpus(m.before, m.parent, "cpus.exclusive.effective")
            and not any(m.wanted(one) & m.wanted(m.path) for one in m.siblings)
        ),
        only(new=reads(Reason.CPUS)),
    ),
    Row(
        "root, the root cgroup would keep no CPU",
        lambda m: (
            m.founds()
            and not valid(m.before, m.parent)
            and bool(exclusive(m.before, m.path))
            and m.before.effective("")
            <= exclusive(m.before, m.path) & cpus(m.before, m.parent, "cpus.exclusive.effective")
            and not any(m.wanted(one) & m.wanted(m.path) for one in m.siblings)
        ),
        only(new=reads(Reason.CPUS)),
    ),
    Row(
        "root, a sibling's cpuset.cpus overlaps",
        lambda m: (
            m.founds()
            and m.marked_right
            and any(cpus(m.before, one) & m.wanted(m.path) and not exclusive(m.before, one) for one in m.siblings)
            and (bool(exclusive(m.before, m.path)) or not m.before.kernel.exclusive)
        ),
        only(
            reads(Reason.NOT_EXCLUSIVE),
            reads(Reason.NOT_EXCLUSIVE),
            lambda m: "not exclusive" not in state(m.after, m.path),
        ),
    ),
    Row(
        "exclusive overlaps a sibling's exclusive",
        lambda m: (
            m.writes("cpuset.cpus.exclusive")
            and m.text != exclusive(m.before, m.path)
            and any(exclusive(m.before, one) & m.text for one in m.siblings)
        ),
        only(new=refused(Errno.EINVAL)),
    ),
    Row(
        "exclusive overlaps that of a sibling with a partition below",
        lambda m: (
            m.writes("cpuset.cpus.exclusive")
            and m.text != exclusive(m.before, m.path)
            and any(
                exclusive(m.before, one) & m.text and any(remote(m.before, two) for two in children(m.before, one))
                for one in m.siblings
            )
        ),
        only(new=refused(Errno.EINVAL)),
    ),
    Row(
        "exclusive covers a sibling's cpuset.cpus",
        lambda m: (
            m.writes("cpuset.cpus.exclusive")
            and m.text != exclusive(m.before, m.path)
            and any(
                cpus(m.before, one) and cpus(m.before, one) <= m.text and not exclusive(m.before, one)
                for one in m.siblings
            )
        ),
        only(new=refused(Errno.EINVAL)),
    ),
    Row(
        "root, a CPU under isolcpus= in it",
        lambda m: m.founds_remote() and bool(m.wanted(m.path) & m.before.isolcpus & m.before.active),
        only(new=reads("root"), newest=reads(Reason.HOUSEKEEPING)),
    ),
    Row(
        "isolated, a CPU under isolcpus= in it",
        lambda m: m.founds_remote("isolated") and bool(m.wanted(m.path) & m.before.isolcpus & m.before.active),
        only(new=reads("isolated")),
    ),
    Row(
        "remote partition made",
        lambda m: (
            m.founds_remote() and not m.wanted(m.path) & m.before.isolcpus and bool(m.wanted(m.path) & m.before.active)
        ),
        only(new=reads("root")),
    ),
    Row(
        "remote partition made two or more below the pools' cgroup",
        lambda m: (
            m.founds_remote()
            and m.path.count("/") >= 2
            and not m.wanted(m.path) & m.before.isolcpus
            and bool(m.wanted(m.path) & m.before.active)
        ),
        only(new=reads("root")),
    ),
    Row(
        "remote partition of offline CPUs only",
        lambda m: m.founds_remote() and not m.wanted(m.path) & m.before.active,
        only(new=reads("root"), newest=reads(Reason.CPUS)),
    ),
    Row(
        "remote partition made without CAP_SYS_ADMIN",
        lambda m: m.founds_remote(op=Op.WRITE_UNPRIVILEGED),
        only(new=reads(Reason.PERMISSION)),
    ),
    Row(
        "root, all CPUs of the parent, which has tasks",
        lambda m: (
            m.founds_local()
            and cpus(m.before, m.parent, "cpus.effective") <= m.wanted(m.path)
            and bool(m.wanted(m.path) & m.before.active)
            and any(populated(m.before, one) and not valid(m.before, one) for one in m.siblings)
        ),
        always(reads(Reason.NO_CPUS_LEFT)),
    ),
    Row(
        "root, the parent an invalid partition",
        lambda m: (
            m.founds()
            and "invalid" in state(m.before, m.parent)
            and bool(m.wanted(m.path))
            and not any(m.wanted(one) & m.wanted(m.path) for one in m.siblings)
        ),
        only(old=reads(Reason.PARENT_INVALID)),
    ),
    Row(
        "local chain: root in a partition",
        lambda m: (
            m.founds_local()
            and bool(m.wanted(m.path) & m.before.active)
            and bool(cpus(m.before, m.parent, "cpus.effective") - m.wanted(m.path))
            and not m.wanted(m.path) & m.before.isolcpus
        ),
        always(reads("root")),
    ),
    Row(
        "a sibling's cpuset.cpus grows over a local partition",
        lambda m: (
            m.writes("cpuset.cpus")
            and bool(m.parent)
            and m.text != cpus(m.before, m.path)
            and not (m.before.kernel.exclusive and exclusive(m.before, m.path))
            and m.marked_right
            and bool(_overlapped(m))
        ),
        only(
            _all_overlapped(lambda text: text.endswith(f"invalid ({Reason.NOT_EXCLUSIVE.value})")),
            _all_overlapped(lambda text: text in ("root invalid", "isolated invalid")),
            _all_overlapped(lambda text: text in ("root", "isolated")),
        ),
    ),
    Row(
        "root written again to an invalid partition",
        lambda m: (
            m.writes("cpuset.cpus.partition")
            and m.step.text == "root"
            and state(m.before, m.path).startswith("root invalid")
        ),
        only(old=lambda m: state(m.after, m.path) == state(m.before, m.path)),
    ),
    Row(
        "an invalid partition gets cpuset.cpus that fit",
        lambda m: (
            m.writes("cpuset.cpus")
            and bool(m.text & m.before.active)
            and m.text != cpus(m.before, m.path)
            and "invalid" in state(m.before, m.path)
            and bool(m.parent)
            and valid(m.before, m.parent)
            and m.text <= cpus(m.before, m.parent)
            and bool(cpus(m.before, m.parent, "cpus.effective") - m.text)
            and not any((m.text | cpus(m.before, m.path)) & cpus(m.before, one) for one in m.siblings)
        ),
        only(old=reads("root", "isolated")),
    ),
    Row(
        "a partition with one in it becomes a member",
        lambda m: (
            m.writes("cpuset.cpus.partition")
            and m.step.text == "member"
            and valid(m.before, m.path)
            and any(state(m.before, one) == "root" for one in m.children)
            and all(state(m.before, one) != "isolated" for one in m.children)
        ),
        only(old=becomes(Reason.PARENT_MEMBER)),
    ),
    Row(
        "-cpuset, a child has it on",
        lambda m: _takes_cpuset(m) and any(m.before.read(one, "cgroup.subtree_control") for one in m.children),
        always(refused(Errno.EBUSY)),
    ),
    Row(
        "-cpuset over a partition",
        lambda m: (
            _takes_cpuset(m)
            and not any(m.before.read(one, "cgroup.subtree_control") for one in m.children)
            and bool(_remotes(m))
        ),
        only(new=_return_to_root),
    ),
    Row(
        "the cgroup of a partition is removed",
        lambda m: m.step.op == Op.RMDIR and m.outcome is None and valid(m.before, m.path),
        always(_return_at_once),
    ),
)
