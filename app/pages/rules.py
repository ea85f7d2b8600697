"""The rules page: packs and their sources, search, a text tried as it is typed, how rules fared with reviewers,
switches, and an advertiser's own rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from adtext.advertiser import AdvertiserRules
from adtext.brief import LOCALES, AdBrief, AdText
from adtext.checks import examine
from adtext.spec import SPECS, load_spec
from app.container import Container, ContainerDep
from app.core.problems import FieldProblem, Problem, field_problem
from app.http.auth import actor, require_advertiser
from app.pages.frame import RULES_PAGE, RULES_SCOPES, PageRoute, Viewer, page, viewer
from app.routes.advertisers import put
from app.routes.rules import SwitchBody
from app.services.compliance import catalogue
from app.services.compliance.off_loop import weighed
from app.services.compliance.rule_changes import switch_rule
from app.store import rules as store

router = APIRouter(prefix=RULES_PAGE, include_in_schema=False, route_class=PageRoute)

Reader = Annotated[Viewer, Depends(viewer(*RULES_SCOPES))]
Operator = Annotated[Viewer, Depends(viewer("ops"))]
Writer = Annotated[Viewer, Depends(viewer("ops", "review"))]
SHOWN = 60  # entries of a search
TRIED = {"title": "", "description": "", "advertiser": "", "facts": "", "locale": "en-GB", "platform": "generic"}
OWN = {"excluded_terms": "", "restrictions": "", "trademarks": "", "required_phrases": "", "evidence": "", "note": ""}


@router.get("")
async def rules_page(
    request: Request,
    container: ContainerDep,
    who: Reader,
    q: Annotated[str, Query(max_length=80)] = "",
    rule: Annotated[str, Query(max_length=60)] = "",
    advertiser: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    if advertiser:
        require_advertiser(who.key, advertiser, "advertiser")
    return await _page(request, container, who, q=q, rule=rule, advertiser=advertiser)


@router.post("/try")
async def try_text(request: Request, container: ContainerDep, who: Reader) -> Response:
    """The text with its findings underlined: the whole page, or for a script its part alone."""
    sent = await request.form()
    values = {name: str(sent.get(name, default)) for name, default in TRIED.items()}
    tried = await _tried(container, who, values)
    if request.headers.get("x-part") == "tried":
        return page(request, "_tried.html", None, tried=tried)
    return await _page(request, container, who, values=values, tried=tried)


@router.post("/switch")
async def switch(
    container: ContainerDep,
    who: Operator,
    rule: Annotated[str, Form(max_length=60)],
    switch: Annotated[str, Form(max_length=10)],
    reason: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    body = _checked(SwitchBody, {"switch": None if switch == "pack" else switch, "reason": reason})
    async with container.database.begin() as connection:
        await switch_rule(
            connection, container.state.packs, rule, body.switch, reason=body.reason, actor=actor(who.key)
        )
    await container.state.refresh()
    return RedirectResponse(f"{RULES_PAGE}#rule-{rule}", 303)


@router.post("/advertiser")
async def set_own(request: Request, container: ContainerDep, who: Writer) -> Response:
    """Put an advertiser's own rules in force, as the form wrote them: one a line."""
    sent = await request.form()
    advertiser = str(sent.get("advertiser", "")).strip()
    require_advertiser(who.key, advertiser, "advertiser")
    values = {name: str(sent.get(name, "")) for name in OWN}
    async with container.database.begin() as connection:
        current = await store.version_of(connection, advertiser)
    try:
        wanted = AdvertiserRules.model_validate(_body(values, (current and current.body) or {}))
        await put(container, advertiser, wanted, note=values["note"].strip(), by=actor(who.key))
    except ValidationError as error:
        problems = [field_problem(item) for item in error.errors()]
    except Problem as problem:
        problems = problem.errors or [FieldProblem(field="", value="", rule=problem.rule, detail=problem.detail)]
    else:
        return RedirectResponse(f"{RULES_PAGE}?{urlencode({'advertiser': advertiser})}#own", 303)
    return await _page(request, container, who, advertiser=advertiser, own=values, problems=problems, status=422)


async def _page(
    request: Request,
    container: Container,
    who: Viewer,
    *,
    q: str = "",
    rule: str = "",
    advertiser: str = "",
    values: Mapping[str, str] = TRIED,
    tried: Any = None,
    own: Mapping[str, str] | None = None,
    problems: list[FieldProblem] | None = None,
    status: int = 200,
) -> Response:
    rules = container.state.rules
    async with container.database.begin() as connection:
        standings = await catalogue.standings(connection, rules, who.key.advertiser)
        seen = rule and who.key.advertiser is None
        recent = await store.recent_findings(connection, rule, catalogue.DAYS, SHOWN) if seen else []
        current = await store.version_of(connection, advertiser) if advertiser else None
    found = catalogue.search(rules, q) if q else []
    context = {
        "packs": catalogue.packs(rules),
        "version": rules.version,
        "standings": standings,
        "q": q,
        "entries": found[:SHOWN],
        "found": len(found),
        "rule": rule,
        "recent": recent,
        "values": {**TRIED, **values},
        "tried": tried,
        "locales": LOCALES,
        "platforms": SPECS,
        "advertiser": advertiser or who.key.advertiser or "",
        "current": current,
        "own": own if own is not None else _written(current.body if current is not None else None),
        "problems": problems or [],
    }
    return page(request, "rules.html", who, status=status, **context)


async def _tried(container: Container, who: Viewer, values: Mapping[str, str]) -> dict[str, Any]:
    """The text's findings, or what is wrong with the form."""
    advertiser = values["advertiser"].strip() or "Example"
    require_advertiser(who.key, who.key.advertiser or advertiser, "advertiser")
    try:
        text = AdText(title=values["title"], description=values["description"])
        brief = AdBrief.model_validate(
            {
                "query": advertiser,
                "locale": values["locale"],
                "ad": {"id": "try", "advertiser": advertiser, "landing_page": values["facts"]},
            }
        )
        spec = load_spec(_checked_platform(values["platform"]))
    except ValidationError as error:
        return {"problems": [field_problem(item) for item in error.errors()]}
    rules = container.state.rules_of(advertiser) if who.key.covers(advertiser) else container.state.rules
    chars = sum(map(len, values.values()))
    examined = await weighed(chars, lambda: examine(text, brief, spec, rules))
    return {
        "problems": [],
        "text": text,
        "findings": [asdict(finding) for finding in examined.findings],
        "proofs": examined.proofs,
    }


def _checked_platform(name: str) -> str:
    if name not in SPECS:
        raise Problem(422, "unknown_platform", f"there is no platform {name!r}", field="platform", value=name)
    return name


def _checked(body: type[Any], sent: Mapping[str, object]) -> Any:
    try:
        return body.model_validate(sent)
    except ValidationError as error:
        first = field_problem(error.errors()[0])
        raise Problem(422, first.rule, f"{first.field}: {first.detail}", field=first.field) from error


# ---- own rules, one a line


def _lines(value: str) -> list[str]:
    return [line.strip() for line in value.splitlines() if line.strip()]


def _words(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def _body(values: Mapping[str, str], current: Mapping[str, Any]) -> dict[str, Any]:
    """`reason: word, word | near, near` is a restriction; `id: claim` is evidence. What the form does not show (where
    and in which locales a phrase is required, how strict a restriction is) stays as it is in force.
    """
    phrases = {phrase["phrase"]: phrase for phrase in current.get("required_phrases", ())}
    severities = {restriction["reason"]: restriction["severity"] for restriction in current.get("restrictions", ())}
    restrictions: list[dict[str, Any]] = []
    for line in _lines(values["restrictions"]):
        reason, _, rest = line.partition(":")
        words, _, near = rest.partition("|")
        kept = {"severity": severities.get(reason.strip(), "block")}
        restrictions.append({"reason": reason.strip(), "words": _words(words), "near": _words(near), **kept})
    evidence = [line.partition(":") for line in _lines(values["evidence"])]
    return {
        "excluded_terms": _lines(values["excluded_terms"]),
        "restrictions": restrictions,
        "trademarks": _lines(values["trademarks"]),
        "required_phrases": [phrases.get(line, {"phrase": line}) for line in _lines(values["required_phrases"])],
        "evidence": [{"id": name.strip(), "claim": claim.strip()} for name, _, claim in evidence],
    }


def _written(body: Mapping[str, Any] | None) -> dict[str, str]:
    """The rules in force as the form shows them."""
    if body is None:
        return dict(OWN)
    restrictions = [
        f"{rule['reason']}: {', '.join(rule['words'])}" + (f" | {', '.join(rule['near'])}" if rule["near"] else "")
        for rule in body["restrictions"]
    ]
    return {
        "excluded_terms": "\n".join(body["excluded_terms"]),
        "restrictions": "\n".join(restrictions),
        "trademarks": "\n".join(body["trademarks"]),
        "required_phrases": "\n".join(phrase["phrase"] for phrase in body["required_phrases"]),
        "evidence": "\n".join(f"{proof['id']}: {proof['claim']}" for proof in body["evidence"]),
        "note": "",
    }
