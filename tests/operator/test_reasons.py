"""Every reason that a condition or Event may have is explained in docs/conditions.md, and nothing else is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
OPERATOR = REPOSITORY / "operator" / "tenant_operator"
REASON = re.compile(r"[A-Z][A-Za-z]+")
NO_REASON = {
    # types of conditions, phases and values that are said elsewhere too
    *("Accepted", "Provisioned", "VolumeReady", "Awake", "Idle", "Followed", "True", "False", "Unknown", "Ready"),
    *("Succeeded", "Failed", "Pending", "Delete", "Block"),
    # the kubelet's and the storage's, which we translate
    *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"),
    "WaitForPodScheduled",
    # the two parts of `Apply…`
    *("Apply", "Refused"),
}
FROM_OTHERS = {
    "Lost": "a phase of claims",
    "CrashLoopBackOff": "the kubelet's",
    "CreateContainerConfigError": "the kubelet's",
    "Unschedulable": "the scheduler's",
    "PodFailed": "said in cache/projection.py",
    "ApplyForbidden": "made of the API server's own reason",
    "ApplyInvalid": "made of the API server's own reason",
}


def said() -> set[str]:
    """Return the strings of the modules that judge which look like a reason."""
    found: set[str] = set()
    for module in [*(OPERATOR / "reconcile").glob("*.py"), *(OPERATOR / "idle").glob("*.py")]:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and REASON.fullmatch(node.value):
                found.add(node.value)
    return found


def explained() -> set[str]:
    """Return the reasons of the tables in docs/conditions.md."""
    found: set[str] = set()
    for line in (REPOSITORY / "docs" / "conditions.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) > 2:
            found.update(word for cell in cells[:2] for word in re.findall(r"`([A-Z][A-Za-z]+)`", cell))
    return found


def test_each_is_explained() -> None:
    assert said() - NO_REASON - explained() == set()


def test_no_other_is_explained() -> None:
    assert explained() - said() - set(FROM_OTHERS) == set()
