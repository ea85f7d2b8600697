"""Options that several commands share, and how a command finds its function."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

Snapshot = Annotated[Path, typer.Option(help="A folder that `relate export` wrote.", exists=True, file_okay=False)]
Config = Annotated[
    Path | None,
    typer.Option(help="YAML file of settings; see trainer/configs. Without it the defaults apply.", exists=True),
]
Change = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change one setting of the file, such as epochs=3 or terms.ctcvr.weight=2. May be repeated.",
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--policy",
        help="The policy to start from: a model's folder, an adapter's folder or a Hugging Face name. Default: the "
        "packaged model.",
    ),
]
Base = Annotated[
    str | None,
    typer.Option(help="The base model of an adapter, if it has moved from where the adapter says."),
]
Prompts = Annotated[
    Path | None,
    typer.Option(help="Advertisers: a JSON Lines file or a folder of them. Default: the packaged ones.", exists=True),
]

DATA_DIR = Path(".relate")


def reward_model_folder(context: typer.Context, given: Path | None) -> Path | None:
    """The folder of a reward model that is named by its folder or by its version."""
    if given is None or given.is_dir():
        return given
    kept = Path(context.params.get("data_dir") or DATA_DIR) / "artifacts" / "reward-models"
    if not (kept / given).is_dir():
        raise typer.BadParameter(f"there is no folder {given}, and no version of that name in {kept}")
    return kept / given


HeldOut = Annotated[
    Path | None,
    typer.Option(
        "--held-out-reward-model",
        metavar="VERSION|FOLDER",
        help="The held-out reward model. It is only watched: a growing gap between the two shows reward hacking.",
        callback=reward_model_folder,
    ),
]
DataDir = Annotated[
    Path,
    typer.Option(
        envvar="RELATE_DATA_DIR",
        is_eager=True,  # versions of reward models are looked up in it
        help="Where prepared models, reward models and caches are kept.",
    ),
]
Cache = Annotated[
    Path | None, typer.Option(help="Where embeddings are kept. Default: cache/embeddings in the data directory.")
]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]


def embeddings(cache: Path | None, data_dir: Path) -> Path:
    """The cache of embeddings."""
    return cache or data_dir / "cache" / "embeddings"


def call(function: str, **options: Any) -> Any:
    """Import `module:function`, call it, and return its answer."""
    module, _, name = function.partition(":")
    return getattr(import_module(module), name)(**options)
