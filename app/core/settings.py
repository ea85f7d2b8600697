"""Every setting of the service, read once from the environment (`RELATE_…`, and `DATABASE_URL`), validated before
anything starts.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from adtext.brief import Locale
from app.core.defaults import WINDOW_HOURS
from trainer.registry import PACKAGED_POLICY

MIN_RATE = 0.001  # requests per second: one per quarter of an hour


def _names(value: object) -> object:
    """A comma-separated list from the environment: zh-CN, en-US."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _spelt(value: object) -> str:
    """The value of a setting for the environment."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _cron(value: str) -> str:
    """Five fields, as cron(8) reads them."""
    from croniter import croniter

    if value and (len(value.split()) != 5 or not croniter.is_valid(value)):
        raise ValueError(f"{value!r} is no cron line of five fields, such as 0 1 * * * for every night at one")
    return value


Cron = Annotated[str, AfterValidator(_cron)]


class Settings(BaseSettings):
    """The settings of the service. `relate up` fills in what one machine provides. In a larger deployment the
    environment sets everything.
    """

    model_config = SettingsConfigDict(env_prefix="RELATE_", frozen=True, extra="ignore", populate_by_name=True)

    data_dir: Path = Field(
        default=Path(".relate"), description="Embedded database, prepared models, secrets and backups of one machine."
    )
    database_url: str = Field(
        default="",
        validation_alias=AliasChoices("RELATE_DATABASE_URL", "DATABASE_URL", "database_url"),
        description="PostgreSQL 15+; empty: `relate up` starts the embedded one.",
    )
    listen_url: str = Field(
        default="",
        description="A direct connection for LISTEN where database_url is a transaction pooler; empty: the same.",
    )
    secrets_file: Path | None = Field(
        default=None, description="Unit secret and token keys; default: data_dir/secrets.json."
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = Field(
        default="",
        description="Where the service is reached from outside, such as https://relate.example; default: the address "
        "that the connection came in on. The Host header is never used.",
    )
    trusted_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = Field(
        default=(),
        description="Names that the Host header may hold, separated by commas: relate.example,*.relate.example; "
        "empty: any.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    bootstrap_admin_key: SecretStr | None = Field(
        default=None, description="An admin key to accept on an empty installation."
    )

    policy_url: str = Field(
        default="", description="Base URL of a vLLM server for the packaged model; empty: `relate up` starts one."
    )
    policy_model: str = Field(default=PACKAGED_POLICY, description="The name of the model on that server.")
    policy_locales: Annotated[tuple[Locale, ...], NoDecode, BeforeValidator(_names)] = Field(
        default=("en-US", "en-GB"),
        min_length=1,
        description="The locales that this model writes, separated by commas; a new installation's first policy row "
        "states them, and briefs in other locales use the fallback.",
    )
    policy_concurrency: int = Field(default=16, ge=1, le=1024, description="Concurrent calls per policy endpoint.")
    runtime_adapters: bool | None = Field(
        default=None,
        description="Whether the vLLM of `relate up` loads adapters of trained policies while it runs, which makes it "
        "slower on a CPU; default: where retraining is scheduled or a trained policy is in use.",
    )
    # a live request waits for its own deadline: this bounds writing ahead, where a call took half a minute on a core
    # without bfloat16
    policy_timeout_s: float = Field(
        default=120.0, gt=0, le=600, description="A call to a policy server that takes longer is cancelled."
    )

    judge: Literal["packaged", "llm", "none"] = Field(
        default="packaged",
        description="Who decides whether a model's text is true to its brief and well written: the packaged judge "
        "(English), a language model behind judge_url (any language), or nobody.",
    )
    unjudged: Literal["review", "serve"] = Field(
        default="review",
        description="What becomes of a model's text in a language that the judge does not cover: it waits for a "
        "person, or is served once the rules have passed it.",
    )
    judge_url: str = Field(
        default="", description="Base URL of the vLLM server that RELATE_JUDGE=llm asks; default: policy_url."
    )
    judge_model: str = Field(default="", description="The model name that server answers to; default: policy_model.")
    judge_serve: float = Field(
        default=0.9, ge=0, le=1, description="RELATE_JUDGE=llm serves a text from this probability on."
    )
    judge_review: float = Field(
        default=0.5, ge=0, le=1, description="RELATE_JUDGE=llm sends a text to review from this probability on."
    )

    pool: bool = Field(
        default=True, description="Store written texts and serve them again. Turn it off only to measure the miss path."
    )
    pool_memory_mib: int = Field(
        default=384, ge=8, description="Memory for pool heads, of about 5 KiB each; the least recently used go first."
    )
    pool_target: int = Field(default=8, ge=1, le=64, description="The number of texts that a pool key is refilled to.")
    pool_stale_hours: float = Field(
        default=24 * 7, gt=0, description="A pool head whose texts are older is refreshed in the background."
    )
    pool_write_n: int = Field(default=4, ge=1, le=16, description="Samples drawn in one upstream call.")
    deadline_margin_ms: int = Field(
        default=25, ge=0, description="Time reserved from the deadline for checking and answering."
    )

    max_inflight: int = Field(
        default=4096,
        ge=1,
        description="Concurrent requests, counted separately for callers with a key and all others. Above it, requests "
        "get 503 with Retry-After.",
    )
    patience_ms: int = Field(
        default=1000,
        ge=10,
        description="How long a request without a deadline may wait for its turn. Above it, requests get 503 with "
        "Retry-After. /generate may wait for half of its deadline_ms.",
    )
    max_connections: int = Field(
        default=4096,
        ge=8,
        description="Open connections. One more closes the connection that has waited longest for its caller.",
    )
    listen_backlog: int = Field(
        default=512, ge=1, description="Connections that the kernel holds until the service accepts them."
    )
    keep_alive_s: int = Field(
        default=75,
        ge=1,
        description="An idle connection is closed after this. Keep it longer than the load balancer reuses idle "
        "connections.",
    )
    headers_timeout_s: float = Field(
        default=10.0, gt=0, description="Time from a request's first byte to the end of its headers."
    )
    body_timeout_s: float = Field(
        default=30.0, gt=0, description="Time from the end of a request's headers to the end of its body."
    )
    answer_timeout_s: float = Field(
        default=30.0, gt=0, description="A caller that reads nothing of its answer for this long is disconnected."
    )
    max_refills: int = Field(
        default=1024,
        ge=1,
        description="Pool keys that are being written or wait for it. Above it, the fallback chain answers.",
    )
    max_body_bytes: int = Field(default=256 * 1024, ge=1024)
    max_events_body_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)
    rate_per_second: float = Field(
        default=1000.0, ge=MIN_RATE, description="Default rate of a key; each key may have its own."
    )

    second_opinion_share: float = Field(
        default=0.1, ge=0, le=1, description="Share of reviewed texts that a second reviewer decides about too."
    )

    packs_dir: Path | None = Field(default=None, description="A folder of rule packs that replaces the packaged ones.")
    retention_servings_days: int = Field(default=90, ge=1)
    retention_events_days: int = Field(default=400, ge=1)
    window_hours: int = Field(
        default=WINDOW_HOURS, ge=1, le=90 * 24, description="Attribution window outside experiments."
    )

    retention_cron: Cron = Field(
        default="15 3 * * *", description="When the worker runs retention, in UTC; empty: never."
    )
    backup_cron: Cron = Field(
        default="45 3 * * *", description="When the worker writes a backup, in UTC; empty: never."
    )
    backups_kept: int = Field(default=7, ge=1, description="Backups that the schedule keeps; the oldest go first.")
    canary_cron: Cron = Field(
        default="*/10 * * * *", description="When the worker looks at open canaries, in UTC; empty: never."
    )
    retrain_cron: Cron = Field(
        default="", description="When the worker starts the chain `retrain`, in UTC, such as 0 1 * * *; empty: never."
    )
    retrain_conversions: int = Field(
        default=0,
        ge=0,
        description="Start the chain `retrain` when this many conversions matured since it was last started; 0: never.",
    )
    retrain_compliance: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Start the chain `retrain` when the champion's Compliance Rate falls under this, such as 0.9; 0: "
        "never.",
    )
    retrain_judge_pass: float = Field(
        default=0.0, ge=0, le=1, description="The same for the share of its texts that the judge passes; 0: never."
    )
    retrain_file: Path | None = Field(
        default=None,
        description="YAML file with the parameters of a scheduled `retrain`; default: retrain.yaml in the data "
        "directory, and without one the chain's defaults.",
    )
    webhook_urls: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = Field(
        default=(),
        description="Where decisions of gate, canary, promotion and rollback are sent, separated by commas; empty: "
        "nowhere.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None, min_length=24, description="What webhooks are signed with; needed where webhook_urls is set."
    )
    webhook_private: bool = Field(
        default=False,
        description="Also send webhooks to private and loopback addresses, and over http. Link-local and metadata "
        "addresses stay refused.",
    )
    training_devices: str = Field(
        default="",
        description="The GPUs that this host's worker trains on, such as 0,1; empty: all, or the CPU. Workers of one "
        "host share none: one training job runs on a GPU at a time.",
    )
    training_threads: int = Field(default=1, ge=1, description="CPU threads of a training job.")
    ray_address: str = Field(
        default="",
        description="A Ray cluster that training jobs run on, such as ray://head:10001; empty: this host.",
    )
    ray_storage: str = Field(
        default="",
        description="With ray_address: an address of fsspec that this host and the cluster reach, such as "
        "s3://bucket/relate. Inputs and artifacts of training travel through it.",
    )
    ray_gpus: int = Field(default=0, ge=0, description="GPUs of one node that a training job on the cluster gets.")

    @model_validator(mode="after")
    def _ray_needs_storage(self) -> Self:
        if self.ray_address and not self.ray_storage:
            raise ValueError(
                f"ray_address {self.ray_address!r} needs ray_storage, an fsspec address that this host and the cluster "
                "reach: set RELATE_RAY_STORAGE"
            )
        return self

    @field_validator("database_url", "listen_url")
    @classmethod
    def _postgresql(cls, url: str) -> str:
        scheme = url.partition("://")[0]
        if url and scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
            raise ValueError(f"names a {scheme[:20]!r} database: write a PostgreSQL one, postgresql://user@host/name")
        return url

    @model_validator(mode="after")
    def _webhooks_are_signed_and_safe(self) -> Self:
        for url in self.webhook_urls:
            parts = urlsplit(url)
            if parts.scheme not in ("https", *(["http"] if self.webhook_private else [])) or not parts.hostname:
                raise ValueError(
                    f"webhook_urls names {url[:80]!r}: write https addresses; http needs webhook_private=true"
                )
        if self.webhook_urls and self.webhook_secret is None:
            raise ValueError("webhook_urls is set and webhook_secret is not: webhooks are always signed")
        return self

    @cached_property
    def secrets_path(self) -> Path:
        return self.secrets_file or self.data_dir / "secrets.json"

    def environment(self) -> dict[str, str]:
        """What a child process needs to read the same settings."""
        return {f"RELATE_{name.upper()}": _spelt(value) for name, value in self if value is not None}

    def replaced(self, **changes: Any) -> Settings:
        """The same settings but for these, validated again."""
        return Settings(**dict(self) | changes)

    @property
    def sqlalchemy_url(self) -> str:
        """The database URL with psycopg 3 named as its driver."""
        scheme, _, rest = self.database_url.partition("://")
        return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else self.database_url

    @property
    def psycopg_url(self) -> str:
        """The database URL as psycopg itself reads it."""
        return self.database_url.replace("+psycopg", "", 1)
