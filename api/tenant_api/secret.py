"""Secret (core/v1), as far as one machine needs it: the environment of gateways, in the file that goes to Kubernetes too."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tenant_api.metadata import ObjectMeta
from tenant_api.schema import ApiModel


class Secret(ApiModel):
    """Keys and values that nobody but the gateway may read. On one machine the file's mode is all that protects it."""

    api_version: Literal["v1"] = "v1"
    """Version of the resource."""
    kind: Literal["Secret"] = "Secret"
    """Kind of the resource."""
    metadata: ObjectMeta
    """Name of the Secret."""
    type: str = "Opaque"
    """Type of the Secret; has no meaning here."""
    immutable: bool = False
    """Has no meaning here."""
    data: dict[str, str] = Field(default_factory=dict, repr=False)
    """Values in base64."""
    string_data: dict[str, str] = Field(default_factory=dict, repr=False)
    """Values in clear; they win over `data`."""

    @model_validator(mode="after")
    def _decodes(self) -> Secret:
        for key, value in self.data.items():
            try:
                base64.b64decode(value, validate=True).decode()
            except (binascii.Error, ValueError):
                raise PydanticCustomError(
                    "base64",
                    "{problem}",
                    {
                        "problem": "is no text in base64",
                        "hint": "write it in clear under stringData",
                        "at": ("data", key),
                    },
                ) from None
        return self

    @property
    def name(self) -> str:
        """The Secret's name."""
        return self.metadata.name

    def values(self) -> dict[str, str]:
        """Return the values in clear."""
        return {key: base64.b64decode(value).decode() for key, value in self.data.items()} | self.string_data
