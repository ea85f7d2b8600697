"""`relate gsb`: blind Good/Same/Bad comparisons of two policies, over the API of a running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from app.cli.client import URL, KeyOption, Service, UrlOption
from app.cli.errors import Refusal

gsb = typer.Typer(no_args_is_help=True, help="Compare the texts of two policies blind: Good, Same or Bad.")

Comparison = Annotated[int, typer.Argument(help="The comparison's id.")]


@gsb.command()
def create(
    policy: Annotated[str, typer.Argument(help="The version whose text is good where it is better.")],
    baseline: Annotated[str, typer.Argument(help="The version that it is compared with.")],
    pairs: Annotated[int, typer.Option(help="One pair per brief.", min=1, max=2000)] = 300,
    planted: Annotated[int, typer.Option(help="Pairs with a known answer, of each of two kinds.", min=0, max=100)] = 20,
    locale: Annotated[str | None, typer.Option(help="Default: all.")] = None,
    name: Annotated[str | None, typer.Option(help="What annotators see. Name no policy in it.")] = None,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Draw pairs of texts that both policies serve for the same briefs. Reviewers judge them on the page Compare."""
    service = Service(url, key, "ops")
    body = {"policy": policy, "baseline": baseline, "pairs": pairs, "planted": planted, "locale": locale, "name": name}
    made = service.post("/comparisons", body)
    found = service.get(f"/comparisons/{made['id']}")
    print(
        f"comparison {made['id']}: {found['pairs']} pairs; judge them at {service.url}/pages/comparisons/{made['id']}"
    )


@gsb.command("list")
def list_(url: UrlOption = URL, key: KeyOption = "") -> None:
    """Show the latest comparisons."""
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "name", "policy", "baseline", "created", box=None)
    for row in Service(url, key, "report").get("/comparisons")["comparisons"]:
        created = row["created_at"][:16].replace("T", " ")
        table.add_row(str(row["id"]), row["name"], row["policy"], row["baseline"], created)
    Console().print(table)


@gsb.command()
def show(comparison: Comparison, url: UrlOption = URL, key: KeyOption = "") -> None:
    """Show the counts, the exact sign test and the agreement."""
    found = Service(url, key, "report").get(f"/comparisons/{comparison}")
    print(f"{found['policy']} against {found['baseline']}: {found['judged']} of {found['pairs']} pairs judged")
    if found["gsb"] is None:
        print("no reading counts yet")
    else:
        print(f"good {found['good']} : same {found['same']} : bad {found['bad']}")
        print(
            f"GSB {found['gsb']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f}), sign test p {found['p_value']:.2g}"
        )
    if found["kappa"] is not None:
        print(f"{found['kappa_name']}'s kappa {found['kappa']:.2f}")
    for row in found["readings"]:
        caught, passed = f"caught {row['caught']} of {row['broken']}", f"passed {row['passed']} of {row['alike']}"
        print(f"  {row['annotator']}: {row['judged']} pairs, {caught}, {passed}: {row['state']}")


@gsb.command()
def export(
    comparison: Comparison,
    out: Annotated[Path, typer.Argument(help="A new file: .csv or .json.")],
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Write every verdict with its two texts."""
    if out.suffix not in (".csv", ".json"):
        raise Refusal(f"{out} ends in neither .csv nor .json: name one of them")
    service, path = Service(url, key, "report"), f"/comparisons/{comparison}/verdicts"
    content = (
        service.get_text(path + ".csv")
        if out.suffix == ".csv"
        else json.dumps(service.get(path)["verdicts"], ensure_ascii=False, indent=2) + "\n"
    )
    with out.open("x", encoding="utf-8") as file:
        file.write(content)
    print(f"{out}: written")
