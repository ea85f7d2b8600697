"""The whole service on one machine: PostgreSQL, vLLM, the API and a worker in one data directory. `relate up`, tests
and benchmarks start it.

with Stack(Settings(data_dir=tmp_path, port=0)) as stack:
    httpx.post(f"{stack.url}/generate", headers={"Authorization": f"Bearer {stack.keys['generate']}"}, json=…)
    stack.vllm.pause()
    stack.api.kill()
    stack.api.start()
    stack.api.wait_ready(30)
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from app.core.secrets import Secrets
from app.core.settings import Settings
from app.store.migrate import migrate
from app.store.seed import adopt_packaged, trained_in_use
from app.up import model as packaged
from app.up.child import Child, UpError
from app.up.keys import role_keys
from app.up.lock import holding
from app.up.postgres import embedded_postgres
from app.up.restarts import Restarts

START_S = 120.0
Report = Callable[[str], None]  # told what begins now


class Stack:
    """Starts the API and the parts that the settings do not provide. Start it from a thread that lives as long as the
    service.

    With an empty `database_url` or `policy_url`, the embedded part is started. Port 0 selects a free port.
    `model=False`: no vLLM, the fallback chain serves.
    """

    def __init__(self, settings: Settings, *, model: bool = True, worker: bool = False) -> None:
        self.settings = settings.replaced(data_dir=settings.data_dir.expanduser().resolve())
        self.postgres: Child | None = None  # None where database_url is set
        self.vllm: Child | None = None  # None where policy_url is set, or without a model
        self.api = Child("the API", [], self.settings.data_dir, {}, ready=lambda: False)
        self.worker: Child | None = None  # None without jobs
        self.keys: dict[str, str] = {}  # by scope
        self.new_keys = False  # created by this start
        self._model, self._worker = model, worker
        self._restarts = Restarts("the fallback chain serves until then")
        self._worker_restarts = Restarts("jobs wait until then")
        self._held = ExitStack()

    @property
    def url(self) -> str:
        """The URL of the API on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.settings.host, self.settings.host)
        return f"http://{host}:{self.settings.port}"

    @property
    def children(self) -> list[Child]:
        """The child processes, in the order of their start."""
        return [child for child in (self.postgres, self.vllm, self.api, self.worker) if child is not None]

    def start(self, report: Report = lambda step: None) -> None:
        """Start everything and wait until it is ready. Raises UpError on failure, after stopping what had started."""
        self._held.enter_context(holding(self.settings.data_dir))
        try:
            self._start(report)
        except BaseException:
            self.stop()
            raise

    def _start(self, report: Report) -> None:
        self.settings = self.settings.replaced(port=free_port(self.settings.host, self.settings.port))
        if not self.settings.secrets_path.exists():
            Secrets.generate().save(self.settings.secrets_path)
        wants_model = self._model and not self.settings.policy_url
        preparing = packaged.prepare(self.settings.data_dir, self.environment()) if wants_model else None
        with ExitStack() as running:
            if preparing is not None:
                preparing.start()
                running.callback(preparing.stop)
            self._start_database(report)
            if preparing is not None:
                report("preparing the packaged model (once, about a minute)")
                preparing.wait()
        if wants_model:
            if moved := adopt_packaged(self.settings):
                report(f"the champion is now {moved[1]}: what {moved[0]} was written by is no longer packaged")
            self._start_vllm()
        report("starting the API")
        self.api = self._make_api()
        self.api.start()
        self.api.wait_ready(START_S)
        if self._worker:
            self.worker = self._make_worker()
            self.worker.start()
        if self.vllm is not None:
            report("loading the model into vLLM (a minute or two on CPU)")
            self.vllm.wait_ready(packaged.LOAD_S)

    def stop(self) -> None:
        """Stop all children in reverse order, each in bounded time. The data is kept."""
        for child in reversed(self.children):
            child.stop()
        self._held.close()

    def look_after(self, report: Report = lambda line: None) -> None:
        """Restart vLLM or the worker where it has ended. Raises UpError when PostgreSQL or the API has ended: nothing
        can be served then.
        """
        for child in (self.postgres, self.api):
            if child is not None:
                child.check()
        for child, restarts in ((self.vllm, self._restarts), (self.worker, self._worker_restarts)):
            if child is not None and (line := restarts.look(child)) is not None:
                report(line)

    def environment(self) -> dict[str, str]:
        """The environment that gives a child process the same settings."""
        return os.environ | self.settings.environment()

    def _start_database(self, report: Report) -> None:
        if not self.settings.database_url:
            report("starting PostgreSQL")
            self.postgres, url = embedded_postgres(self.settings.data_dir, os.environ)
            self.settings = self.settings.replaced(database_url=url)
            self.postgres.start()
            self.postgres.wait_ready(START_S)
        report("applying migrations")
        migrate(self.settings)
        self.keys, self.new_keys = role_keys(self.settings)

    def _start_vllm(self) -> None:
        port = free_port("127.0.0.1", 0)
        self.settings = self.settings.replaced(policy_url=f"http://127.0.0.1:{port}")
        data = self.settings.data_dir
        self.vllm = packaged.server(
            packaged.served(data),
            name=self.settings.policy_model,
            port=port,
            log=data / "logs" / "vllm.log",
            environment=os.environ,
            adapters=self._wants_adapters(),
        )
        self.vllm.start()

    def _wants_adapters(self) -> bool:
        settings = self.settings
        if settings.runtime_adapters is not None:
            return settings.runtime_adapters
        return bool(settings.retrain_cron or settings.retrain_conversions) or trained_in_use(settings)

    def _make_api(self) -> Child:
        return Child(
            name="the API",
            command=[sys.executable, "-m", "app.cli", "serve"],
            log=self.settings.data_dir / "logs" / "api.log",
            environment=self.environment(),
            ready=lambda: packaged.answers(f"{self.url}/healthz"),
        )

    def _make_worker(self) -> Child:
        return Child(
            name="the worker",
            command=[sys.executable, "-m", "app.cli", "worker"],
            log=self.settings.data_dir / "logs" / "worker.log",
            environment=self.environment(),
            ready=lambda: True,  # until then, jobs wait in the queue
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port(host: str, port: int) -> int:
    """The port if it is free on the host; a free port for 0."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            chosen: int = probe.getsockname()[1]
            return chosen
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UpError(f"port {port} of {host} is taken: stop what uses it, or choose another with --port") from None
        raise UpError(
            f"cannot listen on {host} port {port} ({error.strerror}): choose others with --host and --port"
        ) from None
