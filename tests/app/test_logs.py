"""Logs: JSON lines that hold what happened and nothing that was sent."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest

from app.core import logs
from app.up.model import LOG_FORMAT

A_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def stream() -> Any:
    target = io.StringIO()
    logs.configure("info", target)
    yield target
    logs.access.open(None)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_of_json_with_its_extras(stream):
    logging.getLogger("app.pool").info("refilled %d texts\nin two lines", 3, extra={"key": "跑鞋", "id": object})
    (line,) = lines(stream)
    assert A_TIME.fullmatch(line["at"])
    assert (line["level"], line["logger"], line["message"], line["key"]) == (
        "info",
        "app.pool",
        "refilled 3 texts\nin two lines",
        "跑鞋",
    )


def test_a_traceback_says_where_and_what_kind_never_what_was_sent(stream):
    try:
        try:
            {}["rk_secret 查询"]
        except KeyError as error:
            raise ValueError("landing page: 机密") from error
    except ValueError:
        logging.getLogger("app").exception("refill failed")
    (line,) = lines(stream)
    places = line["exception"]
    assert [place for place in places if not place.startswith(" ")] == ["builtins.KeyError", "builtins.ValueError"]
    assert __file__ in places[1]
    assert "rk_secret" not in stream.getvalue()
    assert "机密" not in stream.getvalue()


@pytest.mark.parametrize("chatty", ["httpx", "uvicorn.access"])
def test_those_who_would_log_whole_addresses_are_quiet(stream, chatty):
    logging.getLogger(chatty).info("GET http://policy/?query=跑鞋")
    assert stream.getvalue() == ""


def test_below_the_chosen_level_nothing_is_written():
    target = io.StringIO()
    logs.configure("warning", target)
    logging.getLogger("app").info("not this")
    logs.access.add("GET", "/generate", 200, 0.001, "r", "10.0.0.7", "rk_a")
    assert target.getvalue() == ""
    logs.configure("info", sys.stderr)
    logs.access.open(None)


async def test_access_lines_are_written_together_and_any_request_id_is_quoted(stream):
    logs.access.add("GET", "/generate", 200, 0.00123, 'a"b\\', "2001:db8::1", "rk_23456789")
    logs.access.add("POST", "/events", 503, 1.5, "r-2", "", "")
    assert stream.getvalue() == ""
    logs.access.flush()
    assert [(line["route"], line["status"], line["ms"], line["request_id"]) for line in lines(stream)] == [
        ("/generate", 200, 1.23, 'a"b\\'),
        ("/events", 503, 1500.0, "r-2"),
    ]
    assert [(line["client"], line["key"]) for line in lines(stream)] == [("2001:db8::1", "rk_23456789"), ("", "")]


async def test_access_lines_and_records_write_times_in_one_format(stream, monkeypatch):
    for moment in (1_764_413_999.9996, 1_764_414_000.0, 1_764_414_000.0421):
        monkeypatch.setattr(logs, "time", lambda moment=moment: moment)
        logs.access.add("GET", "/generate", 200, 0.001, "r", "", "")
    logs.access.flush()
    logging.getLogger("app").info("beside them")
    times = [line["at"] for line in lines(stream)]
    assert times[:3] == ["2025-11-29T10:59:59.999Z", "2025-11-29T11:00:00.000Z", "2025-11-29T11:00:00.042Z"]
    assert all(A_TIME.fullmatch(time) for time in times)


def test_the_log_of_the_model_server_writes_times_in_the_same_format():
    """Its logging is configured by a file that vLLM gives to `dictConfig`."""
    code = (
        "import json, logging, logging.config, sys; logging.config.dictConfig(json.load(open(sys.argv[1]))); "
        "logging.getLogger('vllm.engine').info('ready')"
    )
    environment = os.environ | {"TZ": "UTC"}
    command = [sys.executable, "-c", code, str(LOG_FORMAT)]
    line = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    assert A_TIME.match(line) and "INFO vllm.engine:1 ready" in line
    age = datetime.now().astimezone() - datetime.fromisoformat(line.split()[0])
    assert abs(age.total_seconds()) < 60


async def test_an_access_line_names_client_and_key_but_never_a_viewer(stream, client, keys):
    logs.access.flush()
    for address in ("/metrics", "/pixel/click?token=x"):
        await client.get(address, headers=keys["ops"])
    logs.access.flush()
    prefix = keys["ops"]["Authorization"].removeprefix("Bearer ")[:11]
    assert [(line["route"], line["client"], line["key"]) for line in lines(stream) if "route" in line] == [
        ("/metrics", "127.0.0.1", prefix),
        ("/pixel/{kind}", "", ""),
    ]
