"""What a directory says, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from tenant_api.config.paths import format_path
from tenant_api.resources import Located, ParsedDocument
from tenant_api.secret import Secret
from tenant_api.template import TenantTemplate
from tenant_api.tenant import TemplateRef, Tenant


@dataclass(frozen=True, slots=True)
class FileError:
    """One thing that is wrong in a file, for the person who wrote it."""

    file: str
    message: str
    """What is wrong, as a clause whose subject is the field, else the file."""
    field: str = ""
    """Path of the field, e.g. `spec.tokens[0].sha256`; empty where the file or document as a whole is wrong."""
    line: int | None = None
    column: int | None = None
    hint: str = ""
    """What to do about it."""
    kind: str = ""
    """Kind of the resource that it is about, if the document tells."""
    name: str = ""
    """Name of the resource that it is about, if the document tells."""

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}" + (f":{self.column}" if self.column is not None else "")
        who = f"{self.kind} {self.name}: " if self.name else ""
        what = f"{self.field} {self.message}" if self.field else self.message
        return f"{place}: {who}{what}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a resource was read from."""

    file: str
    lines_before: int
    parsed: ParsedDocument

    def error(self, located: Located) -> FileError:
        """Return a finding about this document as an error in its file."""
        return FileError(
            self.file,
            located.finding.message,
            field=format_path(located.finding.field),
            line=located.position.line + self.lines_before,
            column=located.position.column,
            hint=located.finding.hint,
            kind=self.parsed.kind,
            name=self.parsed.name,
        )

    def errors(self) -> Iterator[FileError]:
        """Yield what is wrong with this document alone."""
        yield from map(self.error, self.parsed.findings)


def version_order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts versions as people do: "9" before "10", "1.9" before "1.10"."""
    return tuple(
        (1, int(part), "") if part.isdecimal() and part.isascii() else (0, 0, part)
        for part in re.findall(r"[0-9]{1,18}|[^0-9]+", version)
    )


@dataclass(slots=True)
class Loaded:
    """The tenants and templates of a directory that are in order, and what is wrong with the others."""

    tenants: dict[str, Tenant] = field(default_factory=dict)
    templates: dict[str, TenantTemplate] = field(default_factory=dict)
    """The newest version of each template."""
    template_versions: dict[tuple[str, str], TenantTemplate] = field(default_factory=dict)
    """Every version of each template, by (name, version)."""
    secrets: dict[str, Secret] = field(default_factory=dict)
    errors: list[FileError] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    """File of each tenant, by its name."""
    template_files: dict[tuple[str, str], str] = field(default_factory=dict)
    """File of each template, by (name, version); a relative `volume.source.path` starts at its directory."""
    origins: list[Origin] = field(default_factory=list, repr=False)
    """Documents that are in order by themselves, in the order of files."""
    parsed: dict[str, tuple[ParsedDocument, ...]] = field(default_factory=dict, repr=False)
    """What each document's text says, for the next load."""

    def template_of(self, ref: TemplateRef) -> TenantTemplate | None:
        """Return the template that a reference means: the pinned version, else the newest."""
        if ref.version is None:
            return self.templates.get(ref.name)
        return self.template_versions.get((ref.name, ref.version))

    def keeping(self, previous: Loaded) -> Loaded:
        """Return this with what was good before in place of what is broken now, so that a broken file changes nothing.

        A tenant or template that is gone from `previous` without an error that could be about it was deleted, and stays so.
        """
        suspects = list(self._suspects())
        tenants = dict(self.tenants)
        files = dict(self.files)
        errors = list(self.errors)
        holders = {token.sha256: name for name, tenant in tenants.items() for token in tenant.spec.tokens}
        for name, tenant in previous.tenants.items():
            if name in tenants or not _suspected(suspects, "Tenant", name, previous.files.get(name, "")):
                continue
            tenants[name], files[name] = tenant, previous.files.get(name, "")
            for token in tenant.spec.tokens:
                # Whoever claims the token of a tenant that is broken for the moment must not get it: back to what he was.
                thief = holders.get(token.sha256, name)
                if thief == name:
                    continue
                message = f"claims a token of tenant {name!r}, whose file is broken"
                hint = "repair that file, or give this tenant a token of its own"
                errors.append(FileError(files.get(thief, ""), message, hint=hint, kind="Tenant", name=thief))
                if thief in previous.tenants:
                    tenants[thief] = previous.tenants[thief]
                else:
                    tenants.pop(thief, None)
        versions, template_files = dict(self.template_versions), dict(self.template_files)
        for key, template in previous.template_versions.items():
            file = previous.template_files.get(key, "")
            if key not in versions and _suspected(suspects, "TenantTemplate", key[0], file):
                versions[key], template_files[key] = template, file
        secrets = dict(self.secrets)
        for name, secret in previous.secrets.items():
            if name not in secrets and _suspected(suspects, "Secret", name, None):
                secrets[name] = secret
        return replace(
            self,
            tenants=tenants,
            files=files,
            secrets=secrets,
            errors=errors,
            template_versions=versions,
            template_files=template_files,
            templates=newest(versions),
        )

    def _suspects(self) -> Iterator[tuple[str, str, str]]:
        for error in self.errors:
            yield error.kind, error.name, error.file


def newest(versions: dict[tuple[str, str], TenantTemplate]) -> dict[str, TenantTemplate]:
    """Return the newest version of each template."""
    ordered = sorted(versions, key=lambda key: (key[0], version_order(key[1]), key[1]))
    return {name: versions[name, version] for name, version in ordered}


def _suspected(suspects: Iterable[tuple[str, str, str]], kind: str, name: str, file: str | None) -> bool:
    """Tell whether an error may be about a resource: it names it, or names nobody and is in its file."""
    return any(
        (error_kind in (kind, "") and error_name == name) or (not error_name and file in (error_file, None))
        for error_kind, error_name, error_file in suspects
    )
