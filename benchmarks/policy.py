"""`relate evaluate policy` with one column more: the true CTCVR of every text, which simulated users have and real ones never tell.

python -m benchmarks.policy --policy sft=FOLDER --policy relate=FOLDER --policy nlg --reward-model V --judge W --out DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adtext.brief import AdBrief, AdText
from benchmarks.market.users import Users
from trainer.commands.evaluate import add_options, run
from trainer.snapshot import describe_text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.policy", description="Compare policies, with the true CTCVR beside.")
    add_options(parser)
    arguments = parser.parse_args()
    users = Users.load(arguments.cache)

    def true_ctcvr(briefs: Sequence[AdBrief], texts: Sequence[AdText]) -> npt.NDArray[np.float64]:
        return users.expected([brief.query for brief in briefs], [describe_text(text) for text in texts])[1]

    run(arguments, truth=true_ctcvr)


if __name__ == "__main__":
    main()
