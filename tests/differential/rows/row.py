"""What a row of docs/kernel.md is: a case, and what each kernel answers in it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.cpuset_model import Errno, Reason
from tests.cpuset_model.words import WORDED_BY_6_1
from tests.differential.moment import Moment, state, valid

Question = Callable[[Moment], bool]
Answers = dict[str, Question]


@dataclass(frozen=True, slots=True)
class Row:
    """*case*: whether a step is one; *answers*: by kernel, whether what came is what the row says."""

    text: str
    case: Question
    answers: Answers


def refused(errno: Errno) -> Question:
    return lambda m: m.outcome == errno


def reads(*words: str | Reason) -> Question:
    """The partition file of the cgroup that was written to."""
    return lambda m: m.outcome is None and state(m.after, m.path) in [_words(word) for word in words]


def reads_on_6_1(reason: Reason) -> Question:
    return reads(f"root invalid ({WORDED_BY_6_1.get(reason, reason.value)})")


def becomes(*words: str | Reason) -> Question:
    """The partition file of the child that was a valid partition before."""
    return lambda m: all(
        state(m.after, one) in [_words(word) for word in words] for one in m.children if valid(m.before, one)
    )


def holder_reads(*words: str | Reason) -> Question:
    """The partition file of the partition that runs on the CPU."""
    return lambda m: state(m.after, m.holder() or "") in [_words(word) for word in words]


def _words(word: str | Reason) -> str:
    return word if isinstance(word, str) else f"root invalid ({word.value})"


def done(m: Moment) -> bool:
    return m.outcome is None


def only(old: Question | None = None, new: Question | None = None, newest: Question | None = None) -> Answers:
    """Answers of 6.1, of 6.12 and of 7.3, which is 6.12's unless it is named."""
    answers = {"6.1": old, "6.12": new, "7.3": newest or new}
    return {name: answer for name, answer in answers.items() if answer}


def always(answer: Question) -> Answers:
    return only(answer, answer)


def takes_effect(m: Moment) -> bool:
    """The partition holds what was written."""
    return m.outcome is None and valid(m.after, m.path) and m.after.effective(m.path) == m.text & m.after.active
