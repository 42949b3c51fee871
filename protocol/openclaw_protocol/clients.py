"""Who connects: the client ids and modes that OpenClaw knows, and the groups its error texts distinguish."""

from typing import Annotated, Final, Literal, get_args

import msgspec

ClientId = Literal[
    "webchat-ui",
    "openclaw-control-ui",
    "openclaw-browser-copilot",
    "openclaw-tui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-linux",
    "openclaw-ios",
    "openclaw-watchos",
    "openclaw-android",
    "node-host",
    "openclaw-worker",
    "test",
    "fingerprint",
    "openclaw-probe",
]
"""`GATEWAY_CLIENT_IDS` of OpenClaw 2026.9.6, a closed set: another id is a schema error."""

ClientMode = Literal["webchat", "cli", "ui", "backend", "node", "worker", "probe", "test"]
"""`GATEWAY_CLIENT_MODES` of OpenClaw 2026.9.6."""

CLIENT_IDS: Final[tuple[str, ...]] = get_args(ClientId)
CLIENT_MODES: Final[tuple[str, ...]] = get_args(ClientMode)

_OPERATOR_UI_IDS: Final = frozenset({"openclaw-control-ui", "openclaw-browser-copilot", "openclaw-tui"})
_BROWSER_UI_IDS: Final = frozenset({"openclaw-control-ui", "openclaw-browser-copilot"})

NonEmptyStr = Annotated[str, msgspec.Meta(min_length=1)]


class ClientInfo(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """`connect.params.client`: the program at the other end, as it describes itself."""

    id: ClientId
    version: NonEmptyStr
    platform: NonEmptyStr
    mode: ClientMode
    display_name: NonEmptyStr | None = None
    build_id: str | None = None
    device_family: NonEmptyStr | None = None
    model_identifier: NonEmptyStr | None = None
    time_zone: str | None = None
    instance_id: NonEmptyStr | None = None

    @property
    def is_cli(self) -> bool:
        """Upstream's `isGatewayCliClient`."""
        return self.mode == "cli"

    @property
    def is_operator_ui(self) -> bool:
        """Upstream's `isOperatorUiClient`: Control UI, copilot and TUI, which must bring a device in token mode."""
        return self.id in _OPERATOR_UI_IDS

    @property
    def is_browser_ui(self) -> bool:
        """Upstream's `isBrowserOperatorUiClient`."""
        return self.id in _BROWSER_UI_IDS

    @property
    def is_webchat(self) -> bool:
        """Upstream's `isWebchatClient`."""
        return self.mode == "webchat" or self.id == "webchat-ui"

    @property
    def must_send_origin(self) -> bool:
        """Whether upstream checks `Origin` even when the header is absent."""
        return self.is_browser_ui or self.is_webchat
