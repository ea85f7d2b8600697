"""What the children of `relate up` are started with: the number format of the processor, and the same settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.settings import Settings
from app.up import model as packaged
from app.up.stack import Stack


@pytest.mark.parametrize(
    ("cpuinfo", "dtype"),
    [
        ("flags\t\t: fpu sse avx2 avx512f avx512_bf16 amx_tile\n", "bfloat16"),
        ("Features\t: fp asimd sve bf16 i8mm\n", "bfloat16"),
        ("flags\t\t: fpu sse avx2 fma\n", "float32"),
    ],
    ids=["x86 with bfloat16", "Arm with bfloat16", "x86 without"],
)
def test_the_model_is_served_in_what_the_processor_multiplies(tmp_path: Path, cpuinfo: str, dtype: str) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert packaged.cpu_dtype(tmp_path / "cpuinfo") == dtype


def test_where_nothing_tells_the_processor_the_model_is_served_in_float32(tmp_path: Path) -> None:
    assert packaged.cpu_dtype(tmp_path / "none") == "float32"


def test_a_child_process_reads_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(Settings(data_dir=tmp_path, policy_locales=("zh-CN", "ja-JP"), rate_per_second=2.5))
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == stack.settings


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"retrain_cron": "0 1 * * *"}, True),
        ({"retrain_conversions": 5000}, True),
        ({"runtime_adapters": True}, True),
        ({"retrain_cron": "0 1 * * *", "runtime_adapters": False}, False),
    ],
)
def test_adapters_are_loaded_at_run_time_where_retraining_is_scheduled_or_a_setting_says_so(
    tmp_path: Path, settings: dict[str, object], wanted: bool
) -> None:
    assert Stack(Settings(data_dir=tmp_path, **settings))._wants_adapters() is wanted
    vllm = packaged.server(
        tmp_path, name="relate", port=1, log=tmp_path / "log", environment={"PATH": "/bin"}, adapters=wanted
    )
    assert ("--enable-lora" in vllm.command) is wanted
    assert (vllm.environment.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "1") is wanted
