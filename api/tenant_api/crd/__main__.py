"""`python -m tenant_api.crd FOLDER...`: write the CRDs as YAML; with `--check`, say whether they are up to date."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from tenant_api.crd.definitions import KINDS, Kind

HEADER: Final = "# Generated from the models in api/tenant_api by `make crds`: change those.\n"
WIDTH: Final = 120


def manifest(kind: Kind) -> str:
    """Return a kind's CustomResourceDefinition as the text of its file."""
    yaml = YAML()
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda data: True
    stream = StringIO()
    yaml.dump(kind.definition(), stream)
    return HEADER + stream.getvalue()


def stale(folder: Path) -> list[Path]:
    """Return the files of a folder that say something else than the models."""
    files = {folder / f"{kind.plural}.yaml": manifest(kind) for kind in KINDS}
    return [file for file, text in files.items() if not file.is_file() or file.read_text() != text]


def main(arguments: Sequence[str]) -> int:
    """Write or check; with no folder, print."""
    folders = [Path(argument) for argument in arguments if argument != "--check"]
    if not folders:
        sys.stdout.write("---\n".join(manifest(kind) for kind in KINDS))
        return 0
    if "--check" in arguments:
        old = [str(file) for folder in folders for file in stale(folder)]
        if old:
            sys.stderr.write(f"differ from the models: {', '.join(old)}. Run `make crds`\n")
        return 1 if old else 0
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            (folder / f"{kind.plural}.yaml").write_text(manifest(kind))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
