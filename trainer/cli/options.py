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
HeldOut = Annotated[
    Path | None,
    typer.Option(
        "--held-out-reward-model",
        help="Folder of the held-out reward model. It is only watched: a growing gap between the two shows reward "
        "hacking.",
        exists=True,
    ),
]
DataDir = Annotated[
    Path,
    typer.Option(envvar="RELATE_DATA_DIR", help="Where prepared models, reward models and caches are kept."),
]
Cache = Annotated[
    Path | None, typer.Option(help="Where embeddings are kept. Default: cache/embeddings in the data directory.")
]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]

DATA_DIR = Path(".relate")


def embeddings(cache: Path | None, data_dir: Path) -> Path:
    """The cache of embeddings."""
    return cache or data_dir / "cache" / "embeddings"


def call(function: str, **options: Any) -> None:
    """Import `module:function` and call it."""
    module, _, name = function.partition(":")
    getattr(import_module(module), name)(**options)
