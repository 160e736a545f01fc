"""Rows on sets without partitions, on memory nodes and on tasks."""

from pinfold.cpuset import CpuListError, CpuSet, NodeSet
from tests.cpuset_model import Errno
from tests.differential.moment import Moment, children, cpus, exclusive, has, populated, state
from tests.differential.steps import Op

from .row import Row, always, done, only, refused

ODD = ("0,,1", "0-7:1/2", "all", "0-N")


def _member_cpus(m: Moment) -> bool:
    """Other CPUs are written to the cpuset.cpus of a member."""
    other = m.text != cpus(m.before, m.path)
    return m.writes("cpuset.cpus") and state(m.before, m.path) == "member" and other and m.marked_right


def _parents(m: Moment) -> CpuSet:
    return m.after.effective(m.parent)


def _has_parents(m: Moment) -> bool:
    return m.outcome is None and m.after.effective(m.path) == _parents(m)


def _has_common(m: Moment) -> bool:
    common = m.text & _parents(m)
    return m.outcome is None and m.after.effective(m.path) == (common or _parents(m))


def _empties(m: Moment, file: str) -> bool:
    old = m.before.read(m.path, file) if m.path in m.before.paths() else ""
    emptied = m.writes(file) and m.step.text == "" and old != ""
    return emptied and state(m.before, m.path) == "member" and m.marked_right


def _out_of_range(m: Moment) -> bool:
    try:
        return m.writes("cpuset.cpus") and not CpuSet.parse(m.step.text) <= m.before.possible
    except CpuListError:
        return False


def _left_by_parent(m: Moment) -> list[str]:
    """Children whose sets had something in common with the parent's and no longer have."""
    now = m.after.effective(m.path)
    named = ((one, cpus(m.before, one)) for one in m.children if state(m.before, one) == "member")
    return [one for one, wanted in named if wanted & m.before.effective(m.path) and not wanted & now]


def _rejoined(m: Moment) -> list[str]:
    now = m.after.effective(m.path)
    named = ((one, cpus(m.before, one)) for one in m.children if state(m.before, one) == "member")
    return [one for one, wanted in named if wanted and not wanted & m.before.effective(m.path) and wanted & now]


def _text_kept(m: Moment) -> bool:
    return all(
        cpus(m.after, one) == cpus(m.before, one) and m.after.effective(one) == m.after.effective(m.path)
        for one in _left_by_parent(m)
    )


def _counts_again(m: Moment) -> bool:
    now = m.after.effective(m.path)
    return all(m.after.effective(one) == cpus(m.after, one) & now for one in _rejoined(m))


def _gives_cpuset(m: Moment) -> bool:
    return (
        m.step.op == Op.WRITE
        and m.step.file == "cgroup.subtree_control"
        and m.step.text == "+cpuset"
        and m.path in m.before.paths()
        and m.before.read(m.path, "cgroup.subtree_control") == ""
        and has(m.before, m.path)
    )


def _spoils_children(m: Moment) -> bool:
    types = [m.after.read(one, "cgroup.type") for one in children(m.after, m.path)]
    return m.outcome is None and set(types) == {"domain invalid"}


def _invalid_domain(m: Moment) -> bool:
    return (
        m.step.op == Op.MOVE and m.path in m.before.paths() and m.before.read(m.path, "cgroup.type") == "domain invalid"
    )


def _enters_inner(m: Moment) -> bool:
    return (
        m.step.op == Op.MOVE
        and bool(m.path)
        and m.path in m.before.paths()
        and m.before.read(m.path, "cgroup.subtree_control") == "cpuset"
        and m.before.read(m.path, "cgroup.type") != "domain invalid"
        and any(populated(m.before, one) for one in children(m.before, m.path))
    )


def _obeys_above(m: Moment) -> list[str]:
    """Tasks in cgroups without cpuset files below the one that was written."""
    below = [one for one in children(m.before, m.path) if not has(m.before, one)]
    return [task for one in below for task in m.before.tasks(one) if m.before.own_mask(task) is None]


def _chosen(m: Moment) -> list[str]:
    """Tasks in the cgroup that was written whose mask is less than their cpuset."""
    return [task for task in m.before.tasks(m.path) if m.before.allowed(task) < m.before.effective(m.path)]


def _affinity(m: Moment, *, outside: bool) -> bool:
    if m.step.op != Op.AFFINITY:
        return False
    home = m.before.home(m.step.task)
    allowed = m.before.effective(home)
    if not home or not allowed:
        return False
    return not m.text & allowed if outside else bool(m.text & allowed) and not m.text <= allowed


def _own_mask_counts(m: Moment) -> bool:
    now = m.after.effective(m.path)
    return all(m.after.allowed(task) == ((m.after.own_mask(task) or now) & now or now) for task in _chosen(m))


def _changed(m: Moment) -> bool:
    return m.writes("cpuset.cpus") and m.outcome is None and m.after.effective(m.path) != m.before.effective(m.path)


def _to_other_cpus(m: Moment) -> bool:
    """A task that chose some CPUs enters a cgroup that has others."""
    return (
        m.step.op == Op.MOVE
        and m.outcome is None
        and bool(m.path)
        and m.before.home(m.step.task) != m.path
        and m.before.allowed(m.step.task) < m.before.effective(m.before.home(m.step.task))
        and m.before.effective(m.path) != m.before.effective(m.before.home(m.step.task))
    )


def _mask_is_new(m: Moment) -> bool:
    now = m.after.effective(m.path) & m.after.active
    own = m.after.own_mask(m.step.task)
    return m.after.allowed(m.step.task) == ((own or now) & now or now)


def _mems_offline(m: Moment) -> bool:
    if not m.writes("cpuset.mems"):
        return False
    try:
        nodes = NodeSet.parse(m.step.text)
    except CpuListError:
        return False
    return not nodes <= m.before.effective_mems("") and nodes < NodeSet.of(range(1024))


def _mems(m: Moment, *, common: bool) -> bool:
    if not m.writes("cpuset.mems") or m.step.text not in ("0", "1", "0-1"):
        return False
    nodes = NodeSet.parse(m.step.text)
    return bool(nodes & m.before.effective_mems(m.parent)) == common and not _at_odds(m) and m.marked_right


def _changes_mems(m: Moment) -> bool:
    return m.before.read(m.path, "cpuset.mems") != m.step.text


def _at_odds(m: Moment) -> bool:
    """A cpuset.cpus lies within a sibling's exclusive, written after it."""
    mine, own = exclusive(m.before, m.path), cpus(m.before, m.path)
    theirs = [(exclusive(m.before, one), cpus(m.before, one)) for one in m.siblings]
    return any(
        (other and not mine and own and own <= other) or (mine and not other and named and named <= mine)
        for other, named in theirs
    )


def _mems_follow(m: Moment) -> bool:
    above = m.after.effective_mems(m.parent)
    return m.outcome is None and m.after.effective_mems(m.path) == (NodeSet.parse(m.step.text) & above or above)


ROWS = (
    Row(
        "cpus have nothing of the parent's",
        lambda m: _member_cpus(m) and bool(m.text) and not m.text & _parents(m),
        always(_has_parents),
    ),
    Row(
        "cpus have some of the parent's",
        lambda m: _member_cpus(m) and bool(m.text & _parents(m)) and not m.text <= _parents(m),
        always(_has_common),
    ),
    Row(
        "the parent moves away from a child",
        lambda m: (
            m.writes("cpuset.cpus")
            and m.outcome is None
            and bool(_left_by_parent(m))
            and all(state(m.after, one) == state(m.before, one) for one in m.children)
        ),
        always(_text_kept),
    ),
    Row(
        "the parent comes back to a child",
        lambda m: m.writes("cpuset.cpus") and m.outcome is None and bool(_rejoined(m)),
        always(_counts_again),
    ),
    Row(
        "cpus emptied, populated",
        lambda m: _empties(m, "cpuset.cpus") and populated(m.before, m.path),
        only(refused(Errno.ENOSPC), refused(Errno.ENOSPC), done),
    ),
    Row(
        "cpus emptied, unpopulated",
        lambda m: _empties(m, "cpuset.cpus") and not populated(m.before, m.path),
        always(done),
    ),
    Row("cpus beyond the possible ones", _out_of_range, always(refused(Errno.ERANGE))),
    Row(
        "cpus with an offline one",
        lambda m: _member_cpus(m) and bool(m.text & m.before.active & _parents(m)) and not m.text <= m.before.active,
        always(_has_common),
    ),
    Row(
        "cpus all offline",
        lambda m: _member_cpus(m) and bool(m.text) and not m.text & m.before.active,
        always(_has_parents),
    ),
    Row(
        "cpus: x, 3-1", lambda m: m.writes("cpuset.cpus") and m.step.text in ("x", "3-1"), always(refused(Errno.EINVAL))
    ),
    Row("cpus: 0,,1 and 0-7:1/2 and all and 0-N", lambda m: _member_cpus(m) and m.step.text in ODD, always(done)),
    Row(
        "cpus written twice through one open file",
        lambda m: m.step.op == Op.WRITE_TWICE and m.step.file == "cpuset.cpus" and m.outcome is None and bool(m.text),
        always(lambda m: cpus(m.after, m.path) == m.text),
    ),
    Row(
        "a write to a cgroup that is gone",
        lambda m: m.step.op == Op.WRITE and m.path not in m.before.paths(),
        always(refused(Errno.ENOENT)),
    ),
    Row(
        "a write to an open file of a cgroup that is gone",
        lambda m: m.step.op == Op.WRITE_STALE and m.path in m.before.paths() and m.path not in m.after.paths(),
        always(refused(Errno.ENODEV)),
    ),
    Row("a process into a cgroup with populated children", _enters_inner, always(refused(Errno.EBUSY))),
    Row(
        "+cpuset where processes are",
        lambda m: (
            _gives_cpuset(m)
            and bool(m.path)
            and bool(m.before.tasks(m.path))
            and bool(children(m.before, m.path))
            and not any(populated(m.before, one) for one in children(m.before, m.path))
            and m.before.read(m.path, "cgroup.type") == "domain"
        ),
        always(_spoils_children),
    ),
    Row("a process into a child of such a cgroup", _invalid_domain, always(refused(Errno.EOPNOTSUPP))),
    Row(
        "a cgroup without cpuset files obeys the one above",
        lambda m: _changed(m) and bool(_obeys_above(m)),
        always(lambda m: all(m.after.allowed(task) == m.after.effective(m.path) for task in _obeys_above(m))),
    ),
    Row(
        "+cpuset: the children start empty",
        lambda m: _gives_cpuset(m) and m.outcome is None and bool(children(m.after, m.path)),
        always(lambda m: all(not cpus(m.after, one) for one in children(m.after, m.path))),
    ),
    Row(
        "mems emptied, populated",
        lambda m: _empties(m, "cpuset.mems") and populated(m.before, m.path),
        only(refused(Errno.ENOSPC), refused(Errno.ENOSPC), done),
    ),
    Row("mems: a node that is not there", _mems_offline, always(refused(Errno.EINVAL))),
    Row(
        "mems, where a cpuset.cpus lies within a sibling's exclusive",
        lambda m: m.writes("cpuset.mems") and m.step.text in ("0", "1", "0-1") and _changes_mems(m) and _at_odds(m),
        only(new=refused(Errno.EINVAL), newest=done),
    ),
    Row("mems have some of the parent's", lambda m: _mems(m, common=True), always(_mems_follow)),
    Row("mems have nothing of the parent's", lambda m: _mems(m, common=False), always(_mems_follow)),
    Row("affinity outside of the cpuset", lambda m: _affinity(m, outside=True), always(refused(Errno.EINVAL))),
    Row(
        "affinity partly outside",
        lambda m: _affinity(m, outside=False),
        always(lambda m: m.after.allowed(m.step.task) == m.text & m.after.effective(m.before.home(m.step.task))),
    ),
    Row(
        "the cpuset changes under a task that chose CPUs",
        lambda m: _changed(m) and bool(_chosen(m)),
        always(_own_mask_counts),
    ),
    Row("a task that chose CPUs moves", _to_other_cpus, always(_mask_is_new)),
)
