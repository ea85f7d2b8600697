"""A model server that ends is started again, and the rest of the platform does not notice."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from app.core.settings import Settings
from app.up import restarts
from app.up.child import Child, UpError
from app.up.restarts import Restarts
from app.up.stack import Stack

SERVER = "import time; print('loaded', flush=True); time.sleep(600)"


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    made = Child("vLLM", [sys.executable, "-c", SERVER], tmp_path / "vllm.log", os.environ, ready=lambda: True)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the clock by seconds."""
    now = 1000.0
    monkeypatch.setattr(restarts, "monotonic", lambda: now)

    def by(seconds: float) -> None:
        nonlocal now
        now += seconds

    return by


def test_a_server_that_keeps_ending_is_started_after_longer_and_longer_breaks(
    child: Child, move: Callable[[float], None]
) -> None:
    again, breaks = Restarts("requests wait"), []
    for _ in range(8):
        child.kill()
        line = again.look(child)
        assert line is not None and line.startswith("vLLM was killed by SIGKILL")
        waited = 0
        while again.look(child) is None:
            move(1)
            waited += 1
        assert child.alive
        breaks.append(waited)
    assert breaks == [1, 2, 4, 8, 16, 32, 60, 60]
    move(restarts.STEADY_S + 1)
    child.kill()
    assert "starts again in 1 s" in str(again.look(child))


def test_a_server_that_runs_is_left_alone(child: Child) -> None:
    pid = child.pid
    assert Restarts("requests wait").look(child) is None
    assert child.pid == pid


def test_a_dead_model_server_takes_nothing_along_and_comes_back(child: Child) -> None:
    with (
        TemporaryDirectory(prefix="relate-tests-") as folder,
        Stack(Settings(data_dir=Path(folder), port=0), model=False) as stack,
    ):
        stack.vllm = child
        child.kill()
        lines: list[str] = []
        stack.look_after(lines.append)
        body = {
            "brief": {"query": "宽脚跑鞋", "locale": "zh-CN", "ad": {"id": "a", "advertiser": "远山跑步"}},
            "platform": "generic",
            "unit_id": "读者一号",
        }
        headers = {"Authorization": f"Bearer {stack.keys['generate']}"}
        assert httpx.post(f"{stack.url}/generate", json=body, headers=headers, trust_env=False).status_code == 200
        while not child.alive:
            stack.look_after(lines.append)
        assert len(lines) == 2 and "the fallback chain serves" in lines[0] and lines[1] == "vLLM was restarted"
        stack.api.kill()
        with pytest.raises(UpError, match="the API was killed by SIGKILL"):
            stack.look_after()
