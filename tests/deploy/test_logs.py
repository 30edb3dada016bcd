"""A log line is JSON in ASCII, whatever an error quotes."""

import json
import logging

from deploy.logs import JsonLines


def test_what_a_server_said_cannot_steer_the_terminal() -> None:
    hostile = "down \x1b]0;owned\x07 \x9b2J \u202eelpmaxe\n{"
    record = logging.makeLogRecord({"msg": "failed: %s", "args": (hostile,), "action": hostile})
    line = JsonLines().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["said"] == f"failed: {hostile}"
    assert json.loads(line)["action"] == hostile
