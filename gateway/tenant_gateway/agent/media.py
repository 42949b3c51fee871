"""Files that come with a message: kept in the workspace, where tools reach them, and shown to the model with the message.

Upstream's limits and words (`chat.send`, docs/gateway/clients.md), and its form of a mention: `[media attached: …]`.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tenant_gateway.workspace.confine import Outside, Root

MAX_BYTES: Final = 19_464_192
MAX_IMAGE_BYTES: Final = 6_291_456
"""`policy.attachments` of the hello."""

_MAX_COUNT: Final = 20
_FOLDER: Final = "media/inbound"
_URL: Final = "media://inbound/"
_MAX_TEXT: Final = 20_000
"""Characters of a text file that the model is shown at once; the rest it can read."""

_MAX_IMAGES: Final = 8
"""Images of a conversation that go with every request, the last ones; of older ones only the name does."""

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png", ".png"),
    (b"\xff\xd8\xff", "image/jpeg", ".jpg"),
    (b"GIF8", "image/gif", ".gif"),
)
_EXTENSIONS: Final = {
    "text/plain": ".txt",
    "text/markdown": ".md",
    "application/pdf": ".pdf",
    "application/json": ".json",
}
_TEXTS: Final = ("text/", "application/json", "application/xml", "application/yaml")


class AttachmentError(Exception):
    """An attachment that is not taken; the text is upstream's."""


class Attachment(msgspec.Struct, frozen=True):
    """A file of a message."""

    data: bytes
    mime: str
    file_name: str
    """As the client calls it; empty when it does not."""


def read_attachments(given: Any) -> list[Attachment]:
    """Return the files in `attachments` of a request.

    Raises:
        AttachmentError: too large, empty, or not in base64.
    """
    if not isinstance(given, list):
        return []
    found = []
    for item in given:
        if isinstance(item, dict) and (content := _content(item)) is not None:
            found.append(_attachment(item, content))
    if len(found) > _MAX_COUNT:
        raise AttachmentError(f"more than {_MAX_COUNT} attachments")
    return found


def _content(item: dict[str, Any]) -> str | None:
    source = item.get("source")
    content = item.get("content")
    if content is None and isinstance(source, dict) and source.get("type") == "base64":
        content = source.get("data")
    return content if isinstance(content, str) else None


def _attachment(item: dict[str, Any], content: str) -> Attachment:
    name = item.get("fileName") if isinstance(item.get("fileName"), str) else ""
    label = name or item.get("type") or "attachment"
    if content.startswith("data:"):
        content = content.partition(",")[2]
    try:
        data = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise AttachmentError(f"attachment {label}: invalid base64 content") from None
    if not data:
        raise AttachmentError(f"attachment {label}: empty payload")
    source = item.get("source")
    told = item.get("mimeType") or (source.get("media_type") if isinstance(source, dict) else None)
    mime = _image_type(data) or (told if isinstance(told, str) and told else "application/octet-stream")
    if mime.startswith("image/") and len(data) > MAX_IMAGE_BYTES:
        raise AttachmentError(f"attachment {label}: image exceeds size limit ({len(data)} > {MAX_IMAGE_BYTES} bytes)")
    if len(data) > MAX_BYTES:
        raise AttachmentError(f"attachment {label}: exceeds size limit ({len(data)} > {MAX_BYTES} bytes)")
    return Attachment(data, mime.lower(), name or "")


def _image_type(data: bytes) -> str | None:
    for magic, mime, _ in _MAGIC:
        if data.startswith(magic):
            return mime
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def store(root: Root, attachments: Sequence[Attachment]) -> list[dict[str, Any]]:
    """Write files into the workspace, on disk when this returns, and return what the transcript says of them.

    Raises:
        OSError, Outside: they cannot be written.
    """
    stored = []
    for attachment in attachments:
        name = _safe_name(attachment)
        root.write_bytes(f"{_FOLDER}/{name}", attachment.data)
        kind = attachment.mime.partition("/")[0]
        fact: dict[str, Any] = {
            "url": _URL + name,
            "contentType": attachment.mime,
            "kind": kind if kind in ("image", "audio", "video") else "document",
            "sizeBytes": len(attachment.data),
        }
        if attachment.file_name:
            fact["fileName"] = attachment.file_name
        stored.append(fact)
    return stored


def _safe_name(attachment: Attachment) -> str:
    stem, dot, extension = attachment.file_name.rpartition("/")[2].rpartition(".")
    if not dot:
        stem, extension = extension, ""
    suffix = f".{extension}" if re.fullmatch(r"[A-Za-z0-9]{1,8}", extension) else ""
    suffix = (
        suffix or {mime: end for _, mime, end in _MAGIC}.get(attachment.mime) or _EXTENSIONS.get(attachment.mime, "")
    )
    readable = re.sub(r"[^\w-]+", "-", stem).strip("-")[:60]
    unique = str(uuid.uuid4())
    return f"{readable}---{unique}{suffix}" if readable else f"{unique}{suffix}"


def shown_to_model(messages: Sequence[dict[str, Any]], root: Root) -> list[dict[str, Any]]:
    """Return a conversation with the files of its messages in it: names, images, the beginning of texts. Blocks."""
    images = [fact for message in messages for fact in message.get("media", ()) if fact["kind"] == "image"]
    sent = {fact["url"] for fact in images[-_MAX_IMAGES:]}
    return [_with_files(message, root, sent) if message.get("media") else message for message in messages]


def _with_files(message: dict[str, Any], root: Root, sent: set[str]) -> dict[str, Any]:
    facts = message["media"]
    mentions = [f"[media attached: {_path(fact)} ({fact['contentType']})]" for fact in facts]
    caption = message["content"] if isinstance(message["content"], str) else ""
    text = "\n".join([*mentions, caption or "[User sent media without caption]"])
    parts: list[dict[str, Any]] = []
    for fact in facts:
        try:
            if fact["kind"] == "image" and fact["url"] in sent:
                data = base64.b64encode(root.read_bytes(_path(fact))).decode()
                parts.append({"type": "image", "data": data, "mimeType": fact["contentType"]})
            elif fact["contentType"].startswith(_TEXTS):
                text += f"\n\n{_file(fact, root.read_text(_path(fact), 4 * _MAX_TEXT))}"
        except (OSError, Outside):
            text += f"\n[{_path(fact)} is not there any more]"
    if not parts:
        return {**message, "content": text}
    return {**message, "content": [{"type": "text", "text": text}, *parts]}


def _file(fact: dict[str, Any], content: str) -> str:
    # The mark cannot be guessed, so what a file says does not end it.
    mark = fact["url"].rpartition("/")[2][-16:]
    cut = content if len(content) <= _MAX_TEXT else f"{content[:_MAX_TEXT]}\n[cut: read the file for the rest]"
    return (
        f'<file name="{_path(fact).rpartition("/")[2]}" mime="{fact["contentType"]}">\n'
        f'<<<EXTERNAL_UNTRUSTED_CONTENT id="{mark}">>>\n{cut}\n<<<END_EXTERNAL_UNTRUSTED_CONTENT id="{mark}">>>\n</file>'
    )


def _path(fact: dict[str, Any]) -> str:
    return f"{_FOLDER}/{fact['url'].removeprefix(_URL)}"
