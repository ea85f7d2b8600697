"""A run as one rank of two, in which rank 1 may fail at a step of its own; run as a program by test_zero2.

python -m tests.trainer.rank_run POLICY OUT [FAILS_AT]
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.trainer.runs import Vowels, a_run_config, trained


class Dies(Vowels):
    """Rank 1 is killed at its n-th batch, as the kernel kills a process that takes too much memory."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def score(self, samples):  # type: ignore[no-untyped-def]
        self.left -= 1
        if self.left == 0 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(samples)


if __name__ == "__main__":
    config = a_run_config(engine="deepspeed", ranks=2, steps=5, batch_size=20)
    trained(Path(sys.argv[1]), Path(sys.argv[2]), config, Dies(int(sys.argv[3])) if len(sys.argv) > 3 else None)
