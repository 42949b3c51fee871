"""Calls the CSI driver without Kubernetes: reads `[[METHOD, {field: value}], ...]`, prints `[[CODE, answer or message], ...]`.

Run by path with the Python of `setup.py`, as `driver.py` is: `calls.py SOCKET`. Fields are those of csi.proto in JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import csi_pb2 as csi
import grpc
from google.protobuf.json_format import MessageToDict, ParseDict

CALL_SECONDS = 60.0


def call(channel: Any, method: str, fields: dict[str, Any]) -> tuple[str, Any]:
    """The status code by name, and the answer or what was said instead."""
    service = csi.DESCRIPTOR.services_by_name["Controller"]
    types = service.methods_by_name[method]
    ask = channel.unary_unary(
        f"/{service.full_name}/{method}",
        request_serializer=getattr(csi, types.input_type.name).SerializeToString,
        response_deserializer=getattr(csi, types.output_type.name).FromString,
    )
    try:
        answer = ask(ParseDict(fields, getattr(csi, types.input_type.name)()), timeout=CALL_SECONDS)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", MessageToDict(answer)


if __name__ == "__main__":
    with grpc.insecure_channel(f"unix://{sys.argv[1]}") as opened:
        print(json.dumps([call(opened, method, fields) for method, fields in json.load(sys.stdin)]))
