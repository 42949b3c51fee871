"""The conversation on the admin port, for the operator: `POST /suspend/{namespace}/{name}`, on one machine `/suspend/{name}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from . import answers

if TYPE_CHECKING:
    from ..server import Router


class SuspendStep(BaseModel):
    """One step; see `conversation.Suspends`."""

    step: Literal["fence", "prepare", "park", "open"]
    uid: str = Field(description="The incarnation of the gateway that this is about: a pod's uid.")


def suspend_routes(router: Router) -> APIRouter:
    """Return the routes below /suspend. 404: no such tenant; 409: another incarnation than the one that is named."""
    routes = APIRouter(prefix="/suspend")

    @routes.post("/{key:path}")
    async def suspend(key: str, body: SuspendStep) -> Any:
        steps = router.suspends
        try:
            match body.step:
                case "fence":
                    return msgspec.to_builtins(await steps.fence(key, body.uid))
                case "prepare":
                    return msgspec.to_builtins(await steps.prepare(key, body.uid))
                case "park":
                    return msgspec.to_builtins(await steps.park(key, body.uid))
                case "open":
                    await steps.open(key, body.uid)
                    return {}
        except answers.NoSuchTenant as unknown:
            raise HTTPException(404, str(unknown)) from None
        except answers.OtherIncarnation as other:
            raise HTTPException(409, str(other)) from None

    return routes
