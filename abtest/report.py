"""`abtest.report(url, experiment, key=…)` fetches a report, and `from abtest.report import report` names the same call.

The module is callable, so that neither spelling hides the other. The code is in `abtest.client`, the
document's types are in `abtest.document`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from abtest.client import NotebookReport as Report
from abtest.client import report

__all__ = ["Report", "report"]


class _CallableModule(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Report:
        return report(*args, **options)


_CallableModule.__call__.__doc__ = report.__doc__
sys.modules[__name__].__class__ = _CallableModule
