"""The triggers of the first migration that sum unit_days into arm_days."""

from __future__ import annotations

from alembic import op


def keep_arm_days() -> None:
    """Create the triggers that keep arm_days equal to the sums of unit_days. They add what a statement wrote and
    subtract what it removed, in whole numbers.

    With b before a day and x on it, the day raises a unit's square by (b + x)² - b² = x · (2b + x), and a product of
    two counts likewise.
    """
    sums = {"units_in_two_arms": "CAST(two_arms AND day = first_day AS integer)"}
    for view in ("", "valid_"):
        i, c, v = (f"CAST({view}{name} AS bigint)" for name in ("impressions", "clicks", "conversions"))
        bi, bc, bv = (f"{view}{name}_before" for name in ("impressions", "clicks", "conversions"))
        sums |= {
            f"{view}n": f"CAST({bi} = 0 AND {i} > 0 AS integer)",
            f"{view}impressions": i,
            f"{view}clicks": c,
            f"{view}conversions": v,
            f"{view}sum_ii": f"{i} * (2 * {bi} + {i})",
            f"{view}sum_cc": f"{c} * (2 * {bc} + {c})",
            f"{view}sum_vv": f"{v} * (2 * {bv} + {v})",
            f"{view}sum_ic": f"{i} * ({bc} + {c}) + {bi} * {c}",
            f"{view}sum_iv": f"{i} * ({bv} + {v}) + {bi} * {v}",
            f"{view}sum_cv": f"{c} * ({bv} + {v}) + {bc} * {v}",
        }
    added = {sign: ", ".join(f"{sign}sum({term})" for term in sums.values()) for sign in "+-"}
    kept = ", ".join(f"{name} = arm_days.{name} + excluded.{name}" for name in sums)
    keys = "phase_id, arm, first_day, day"

    def change(rows: str, sign: str) -> str:
        return f"""INSERT INTO arm_days ({keys}, {", ".join(sums)})
            SELECT {keys}, {added[sign]} FROM {rows} GROUP BY {keys} ORDER BY {keys}
            ON CONFLICT ({keys}) DO UPDATE SET {kept};"""

    op.execute(f"""
        CREATE FUNCTION keep_arm_days() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'TRUNCATE' THEN TRUNCATE arm_days; END IF;
            IF TG_OP IN ('UPDATE', 'DELETE') THEN {change("old_rows", "-")} END IF;
            IF TG_OP IN ('INSERT', 'UPDATE') THEN {change("new_rows", "+")} END IF;
            RETURN NULL;
        END $$""")
    for event, tables in (
        ("INSERT", "REFERENCING NEW TABLE AS new_rows"),
        ("UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"),
        ("DELETE", "REFERENCING OLD TABLE AS old_rows"),
        ("TRUNCATE", ""),
    ):
        op.execute(
            f"CREATE TRIGGER arm_days_{event.lower()} AFTER {event} ON unit_days {tables} "
            "FOR EACH STATEMENT EXECUTE FUNCTION keep_arm_days()"
        )
