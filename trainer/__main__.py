"""`python -m trainer …`: the process that `relate train`, `relate evaluate` and `relate ablate` start, so that the
service never loads torch.
"""

from __future__ import annotations

import sys

from trainer.cli import root


def main() -> None:
    """Run a command. An error that the caller can correct is printed as one line on stderr, with exit status 1."""
    try:
        root(prog_name="relate")
    except (ValueError, ArithmeticError, OSError) as error:  # a wrong setting, a loss that is not finite, a full disk
        sys.exit(f"relate: {error}")


if __name__ == "__main__":
    main()
