"""An object without the stamp of what was applied, which `test_stamp_is_that_of_the_rest` looks at."""

from __future__ import annotations

from typing import Any

from tenant_operator.objects.marks import APPLIED


def unstamped(body: dict[str, Any]) -> dict[str, Any]:
    annotations = {key: value for key, value in body["metadata"]["annotations"].items() if key != APPLIED}
    metadata = {key: value for key, value in body["metadata"].items() if key != "annotations"}
    return {**body, "metadata": {**metadata, "annotations": annotations} if annotations else metadata}
