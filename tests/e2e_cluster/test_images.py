"""Images start from bytecode that nobody checks against its source (PEP 552): half a second of a wake depends on it."""

from __future__ import annotations

import json

import pytest

from e2e_cluster.release import Release

NAME = "irma"
# Tells how many modules an import takes from bytecode, which of those that we compile are checked, and which modules come from
# their source. A base image may bring bytecode of the standard library that goes by file times: it is left as it is.
LOOK = """\
import json, pathlib, subprocess, sys
told = subprocess.run([sys.executable, "-v", "-c", "import " + sys.argv[1]], capture_output=True, text=True, check=True)
mark = "# code object from "
files = [line[len(mark):].strip("'") for line in told.stderr.splitlines() if line.startswith(mark)]
compiled = [file for file in files if file.endswith(".pyc")]
# The word after the magic number: bit 0 says that it goes by the source's hash, bit 1 that this is checked at each import.
flags = {file: int.from_bytes(pathlib.Path(file).read_bytes()[4:8], "little") for file in compiled}
checked = [file for file, flag in flags.items() if flag != 1 and file.startswith(("/app/", "/opt/packages/"))]
print(json.dumps({"compiled": len(compiled), "checked": checked, "source": sorted(set(files) - set(compiled))}))
"""
FEWEST = 50
"""Modules that each of them has at least: fewer would mean that the look sees nothing."""


@pytest.mark.parametrize(
    ("image", "module"),
    [
        ("operator", "tenant_operator.service"),
        ("router", "tenant_router.kubernetes.serve"),
        ("gateway", "tenant_gateway.process"),
    ],
)
async def test_bytecode_is_there_and_taken_unchecked(release: Release, image: str, module: str) -> None:
    look = ["python3", "-c", LOOK, module]
    if image == "gateway":
        release.apply(release.tenant(NAME, "native"))
        await release.provisioned(NAME)
        async with release.client(NAME):
            told = release.in_gateway(NAME, *look)
        release.cluster.kubectl("delete", "tenant", NAME, "-n", release.tenants, "--wait=false")
    else:
        told = release.cluster.kubectl.in_pod(release.pods_of(image)[0], look, release.namespace)
    found = json.loads(told)
    assert found["source"] == [], "compiled anew at each start"
    assert found["checked"] == [], "compared with the source at each start"
    assert found["compiled"] >= FEWEST
