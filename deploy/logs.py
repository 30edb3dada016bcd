"""Log lines as JSON, each with an `action`. Ids and numbers only: production text never enters a log.

A line is ASCII: what a server said may reach it in an error, and must not steer the terminal that shows it.
"""

import json
import logging
from datetime import UTC, datetime

ORDINARY = frozenset(vars(logging.makeLogRecord({})))


class JsonLines(logging.Formatter):
    """One JSON object per record, with the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields = {key: value for key, value in vars(record).items() if key not in ORDINARY}
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "said": record.getMessage(),
            **fields,
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
