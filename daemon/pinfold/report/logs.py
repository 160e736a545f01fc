"""How log events are written: one JSON object a line, or for a person at a terminal. To stderr, always.

Text from the API server may stand in any value: JSON escapes it, the console form shows it as Python would.
"""

import logging
import sys

import structlog


def configure(form: str, level: str) -> None:
    """*form* ``json`` or ``console``; *level* ``debug``, ``info``, ``warning`` or ``error``."""
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "console":
        colors = sys.stderr.isatty()
        processors.append(
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
        )
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
