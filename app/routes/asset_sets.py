"""`POST /assets`: headlines and descriptions for a platform that combines them itself."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from adtext.assets import ASSETS, Kind
from adtext.brief import AdBrief, Line
from adtext.spec import load_spec
from app.container import Container, ContainerDep
from app.core.ads_editor import PATH, EditorRow, check_place, editor_csv
from app.core.contract import Platform, Reason
from app.core.problems import Problem, documented
from app.http.auth import require, require_advertiser
from app.services.serving.assets import AssetSet
from app.store.registry import Key

router = APIRouter(tags=["serving"])

Generating = Annotated[Key, Depends(require("generate"))]
Name = Annotated[Line, Field(min_length=1, max_length=255)]


class AssetRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    brief: AdBrief
    platform: Platform = "google_rsa"
    deadline_ms: Annotated[
        int,
        Field(strict=True, ge=10, le=60_000, description="How long the policy may write further texts."),
    ] = 20_000


class UploadRequest(AssetRequest):
    """The ad, and its place in the account."""

    final_url: Annotated[Line, Field(min_length=1, max_length=2048, description="The landing page's address.")]
    campaign: Name | None = Field(default=None, description="Default: the advertiser.")
    ad_group: Name | None = Field(default=None, description="Default: the ad's id.")
    path_1: Annotated[Line, Field(max_length=PATH)] = ""
    path_2: Annotated[Line, Field(max_length=PATH)] = ""


class AssetOut(BaseModel):
    """One headline or description. It stands alone, and beside every other one of the answer."""

    text: str
    source: Literal["pool", "fresh", "advertiser", "template"]
    policy: str = Field(description="The policy version that wrote it, or 'advertiser'.")
    machine_generated: bool
    text_id: UUID | None = Field(
        description="The text that it was written in, for `/texts/{text_id}/provenance`; null: the request's own text, "
        "or a template's."
    )


class AssetsOut(BaseModel):
    """The assets of one kind."""

    wanted: int = Field(description="The most that the platform takes.")
    least: int = Field(description="The least that the platform takes.")
    found: int
    assets: list[AssetOut]
    left_out: dict[str, int] = Field(
        description="Why other lines are not here: blocked, held_for_review, withdrawn, repeats (another asset says "
        "it), contradicts (another amount for the same thing), combination (the checks refuse it beside another "
        "asset), judge (it does not pass beside another asset), enough."
    )


class AssetAnswer(BaseModel):
    request_id: str
    platform: str
    rules_version: str
    spec_version: str
    usable: bool = Field(description="True where the platform's least numbers are met.")
    headlines: AssetsOut
    descriptions: AssetsOut
    reason: Reason | None = Field(description="Why the policy wrote no more; null where the set is full, or it did.")


@router.post("/assets", responses=documented())
async def assets(request: Request, body: AssetRequest, container: ContainerDep, key: Generating) -> AssetAnswer:
    """Find distinct headlines and descriptions for one ad; the platform may combine any of them.

    Lines come from approved texts of the champion and the advertiser, then from further samples, then from templates.
    Fewer than `wanted` are returned where fewer are allowed together; `left_out` and `reason` give the cause.
    """
    made = await _made(request, body, container, key)
    return _answer(request, body, made)


@router.post(
    "/assets.csv",
    response_class=Response,
    responses=documented(409) | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def assets_csv(request: Request, body: UploadRequest, container: ContainerDep, key: Generating) -> Response:
    """The same as a CSV file for Google Ads Editor. 409 where the platform would refuse the ad for too few assets."""
    made = await _made(request, body, container, key)
    answer = _answer(request, body, made)
    if not answer.usable:
        raise Problem(
            409,
            "too_few_assets",
            f"{answer.headlines.found} headlines and {answer.descriptions.found} descriptions were found; "
            f"{body.platform} needs {answer.headlines.least} and {answer.descriptions.least}: POST /assets says why",
        )
    row = EditorRow(
        campaign=body.campaign or body.brief.ad.advertiser,
        ad_group=body.ad_group or body.brief.ad.id,
        final_url=body.final_url,
        headlines=[asset.text for asset in answer.headlines.assets],
        descriptions=[asset.text for asset in answer.descriptions.assets],
        path_1=body.path_1,
        path_2=body.path_2,
    )
    return Response(editor_csv([row]), media_type="text/csv")


async def _made(request: Request, body: AssetRequest, container: Container, key: Key) -> AssetSet:
    require_advertiser(key, body.brief.ad.advertiser, "brief.ad.advertiser")
    if isinstance(body, UploadRequest):
        check_place(body.final_url, body.path_1, body.path_2)
    deadline = request.scope["arrived"] + body.deadline_ms / 1000
    return await container.asset_sets.make(body.brief, body.platform, deadline=deadline)


def _answer(request: Request, body: AssetRequest, made: AssetSet) -> AssetAnswer:
    headlines, descriptions = (
        _assets_out(body.platform, "headline", made),
        _assets_out(body.platform, "description", made),
    )
    return AssetAnswer(
        request_id=request.scope["request_id"],
        platform=body.platform,
        rules_version=made.rules_version,
        spec_version=load_spec(body.platform).version,
        usable=all(kind.found >= kind.least for kind in (headlines, descriptions)),
        headlines=headlines,
        descriptions=descriptions,
        reason=made.reason,
    )


def _assets_out(platform: str, kind: Kind, made: AssetSet) -> AssetsOut:
    least, wanted = ASSETS[platform].of(kind)
    return AssetsOut(
        wanted=wanted,
        least=least,
        found=len(made.assets[kind]),
        assets=[
            AssetOut(
                text=asset.text,
                source=asset.source,
                policy=asset.policy,
                machine_generated=asset.source != "advertiser",
                text_id=UUID(bytes=asset.text_id) if asset.text_id is not None else None,
            )
            for asset in made.assets[kind]
        ],
        left_out={str(why): number for why, number in sorted(made.left_out[kind].items())},
    )
