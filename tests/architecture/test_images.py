"""Images, the compose file and the Kubernetes manifests, checked without Docker and without a cluster: linters where
they are installed, and every command, setting and path that they name.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml
from deployed import DOCKERFILE, KUBERNETES, PASSWORDS, ROOT, commands, compose, containers, manifests, scripts
from typer.main import get_command

from app.cli import cli
from app.core.settings import Settings
from app.up import model as packaged
from trainer.cli import train
from trainer.registry import PACKAGED_POLICY

PROFILES = ("cpu", "gpu")
BIN = Path(sys.executable).parent
RELATE = [(place, words) for place, words in commands() if words[0] == "relate"]
PYTHON = [(place, words) for place, words in commands() if words[0] == "python"]
ELSEWHERE = ("postgres", "pg_isready", "wget", "test")  # programs of the other images, and of the shell


def tool(name: str) -> str:
    path = which(name, path=str(BIN))
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def spelt(value: str | list[str]) -> str:
    return value if isinstance(value, str) else " ".join(value)[:50]


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = subprocess.run([tool("hadolint"), str(ROOT / "docker/Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_compose_file_follows_the_compose_specification() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(ROOT / "docker/compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_manifests_follow_the_schemas_of_kubernetes() -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed").validate
    kinds = set()
    for _, document in manifests():
        if document["kind"] != "RayJob":  # defined by KubeRay
            validate(document, "1.37", strict=True)
            kinds.add(document["kind"])
    assert {"Deployment", "Service"} <= kinds


def test_kustomize_is_given_every_manifest_but_those_for_helm_and_for_one_training() -> None:
    named = set(yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))["resources"])
    there = {path.name for path in KUBERNETES.glob("*.yaml")}
    assert there - named == {"kustomization.yaml", "vllm-values.yaml", "rayjob.yaml"} and named <= there


@pytest.mark.parametrize(("place", "words"), RELATE, ids=spelt)
def test_a_command_of_relate_parses(place: str, words: list[str]) -> None:
    command: Any = get_command(cli)
    rest = [word.replace("/relate/trainer", str(ROOT / "trainer"), 1) for word in words[1:]]
    if rest[0] == "train":  # it runs in a process of its own, where its options are parsed
        command, rest = get_command(train.commands), rest[1:]
    while commands_below := getattr(command, "commands", None):
        command, rest = commands_below[rest[0]], rest[1:]
    context = command.make_context(words[0], [], resilient_parsing=True)
    context.resilient_parsing = False  # it would hide options that are not there
    options, left, _ = command.make_parser(context).parse_args(rest)
    assert left == [] and set(options) <= {parameter.name for parameter in command.params}, place
    assert all(Path(rest[number + 1]).exists() for number, word in enumerate(rest) if word == "--config"), place


@pytest.mark.parametrize(("place", "words"), PYTHON, ids=spelt)
def test_a_python_command_names_a_module_that_is_there_or_code_that_compiles(place: str, words: list[str]) -> None:
    if words[1] == "-c":
        compile(words[2], place, "exec")
    else:
        assert words[1] == "-m" and find_spec(words[2].partition(".")[0]), place


def test_every_other_program_belongs_to_another_image() -> None:
    assert {words[0] for _, words in commands()} <= {"relate", "python", *ELSEWHERE}
    for script in scripts():
        assert subprocess.run(["sh", "-n", "-c", script], capture_output=True).stderr == b""


@pytest.mark.slow
def test_vllm_takes_every_option_that_it_is_started_with() -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed")
    wanted = [words[3:] for _, words in PYTHON if words[1:3] == ["-m", "vllm.entrypoints.openai.api_server"]]
    values = yaml.safe_load((KUBERNETES / "vllm-values.yaml").read_text("utf-8"))
    wanted += [["--model=x", *model["vllmConfig"]["extraArgs"]] for model in values["servingEngineSpec"]["modelSpec"]]
    code = (
        "import sys, json; from vllm.entrypoints.launchers.cli_args import make_arg_parser\n"
        "from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
        "for words in json.loads(sys.argv[1]): make_arg_parser(FlexibleArgumentParser()).parse_args(words)"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(wanted)], capture_output=True, text=True)
    assert len(wanted) == 3 and done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("profile", PROFILES)
def test_the_settings_of_containers_exist_and_are_valid(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {f"RELATE_{name.upper()}" for name in Settings.model_fields} | {"DATABASE_URL"}
    ours = {name: service for name, service in compose(profile).items() if service["image"].startswith("relate-")}
    assert len(ours) >= 4
    for service in ours.values():
        environment: dict[str, str] = service.get("environment", {})
        set_there = {name for name in environment if name.startswith("RELATE_") or name == "DATABASE_URL"}
        assert set_there <= names
        with monkeypatch.context() as patch:
            for name in set_there:
                patch.setenv(name, environment[name])
            Settings()


def test_the_settings_of_pods_exist_and_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = yaml.safe_load((KUBERNETES / "settings.yaml").read_text("utf-8"))["data"]
    assert set(settings) <= {f"RELATE_{name.upper()}" for name in Settings.model_fields}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert Settings().policy_locales[0] == "zh-CN"
    given = {variable["name"] for _, container in containers() for variable in container.get("env", [])}
    assert given == {"DATABASE_URL", "RELATE_HOST"}


def test_the_packaged_model_is_served_where_it_was_prepared_as_relate_up_serves_it() -> None:
    services = compose("cpu")
    settings = {**services["service"]["environment"]}
    folder = str(packaged.served(Path(settings["RELATE_DATA_DIR"])))
    assert folder in services["model"]["command"][2]
    served = services["vllm-cpu"]["command"]
    assert {f"--model={folder}", f"--served-model-name={settings['RELATE_POLICY_MODEL']}"} <= set(served)
    assert settings["RELATE_POLICY_MODEL"] == PACKAGED_POLICY
    words = {word for option in served for word in option.split("=")}
    assert set(packaged._ON_CPU) <= words
    log_format = services["vllm-cpu"]["environment"]["VLLM_LOGGING_CONFIG_PATH"]
    assert log_format.replace("/relate", str(ROOT), 1) == str(packaged.LOG_FORMAT)


def test_images_are_named_by_digest_or_built_from_our_locks() -> None:
    bases = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", DOCKERFILE, re.M)
    stages = {stage for _, stage in bases}
    assert {"service", "worker", "all-in-one"} <= stages
    assert all(image in stages or re.search(r"@sha256:[0-9a-f]{64}$", image) for image, _ in bases)
    assert DOCKERFILE.count("HEALTHCHECK") == 3
    for profile in PROFILES:
        for service in compose(profile).values():
            built = service.get("build", {}).get("target") in stages
            assert built or re.search(r"@sha256:[0-9a-f]{64}$", service["image"])


@pytest.mark.parametrize("profile", PROFILES)
def test_a_service_that_lasts_says_whether_it_is_healthy(profile: str) -> None:
    in_image = {"service", "worker"}
    for name, service in compose(profile).items():
        once = service.get("restart") == "on-failure"
        checked = "test" in service.get("healthcheck", {}) or service.get("build", {}).get("target") in in_image
        assert checked or once, name
        for other, condition in service.get("depends_on", {}).items():
            target: Any = compose(profile)[other]
            wanted = "service_completed_successfully" if target.get("restart") == "on-failure" else "service_healthy"
            assert condition["condition"] == wanted, name


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_runs_the_whole_platform(profile: str) -> None:
    services = compose(profile)
    assert services["service"]["deploy"]["replicas"] == 2
    answering = [service for service in services.values() if "vllm" in str(service.get("networks"))]
    assert len(answering) == 1
    assert {"postgres", "prometheus", "grafana"} <= set(services)
    workers = [service for service in services.values() if service.get("command") == ["relate", "worker"]]
    assert [bool(worker["environment"]["RELATE_BACKUP_CRON"]) for worker in workers] == [True]


def test_no_password_has_a_default_and_none_stands_in_a_file() -> None:
    text = (ROOT / "docker/compose.yaml").read_text("utf-8")
    for name in PASSWORDS:
        assert f"${{{name}:?" in text and f"{name}:-" not in text
    assert not re.search(r"PASSWORD: (?!\$\{)", text)
    assert all(document["kind"] != "Secret" for _, document in manifests())


def test_every_file_that_is_mounted_or_copied_exists() -> None:
    mounts = [volume.split(":")[0] for profile in PROFILES for service in compose(profile).values()
              for volume in service.get("volumes", []) if volume.startswith(".")]  # fmt: skip
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.M) for name in line.split()]
    assert mounts and copied
    assert all((ROOT / "docker" / mount).exists() for mount in mounts)
    assert all((ROOT / name).exists() for name in copied)


def test_training_on_ray_uses_the_version_of_ray_that_is_locked() -> None:
    [job] = [document for _, document in manifests() if document["kind"] == "RayJob"]
    assert f"ray=={job['spec']['rayClusterSpec']['rayVersion']} " in (ROOT / "requirements/train.lock").read_text()
