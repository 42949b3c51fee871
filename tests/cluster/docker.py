"""The docker command: whether its daemon answers, what it has, and builds of Dockerfiles."""

from __future__ import annotations

import os
import shlex
import subprocess

from .errors import ClusterError, CommandFailed
from .images.builder import Dockerfile
from .programs import find, need, run

ANSWER_SECONDS = 20.0
BUILD_SECONDS = 1800.0
TIMEOUT_SECONDS = 120.0


def answers() -> bool:
    """Whether there is a Docker daemon; the client alone is no use."""
    program = find("docker")
    if not program:
        return False
    try:
        done = subprocess.run([program, "version"], capture_output=True, timeout=ANSWER_SECONDS, check=False)
    except subprocess.TimeoutExpired:  # a daemon that hangs
        return False
    return done.returncode == 0


def has(image: str) -> bool:
    """Whether the daemon has an image by this name."""
    try:
        docker("image", "inspect", "--format", "{{.Id}}", image)
    except CommandFailed:
        return False
    return True


def build(image: Dockerfile, name: str) -> None:
    """`docker build` of a stage under a name; CLUSTER_DOCKER_BUILD has more options for it."""
    options = [
        *(word for key, value in image.args.items() for word in ("--build-arg", f"{key}={value}")),
        *(["--file", str(image.file)] if image.file else []),
        *(["--target", image.target] if image.target else []),
        *more_options(),
    ]
    docker("build", "--quiet", "--tag", name, *options, str(image.context), timeout=BUILD_SECONDS)


def more_options() -> list[str]:
    """The words of CLUSTER_DOCKER_BUILD, as a shell would split them."""
    said = os.environ.get("CLUSTER_DOCKER_BUILD", "")
    try:
        return shlex.split(said)
    except ValueError as error:
        raise ClusterError(f"CLUSTER_DOCKER_BUILD={said}: {error}", "for example --network=host") from None


def docker(*words: str, timeout: float = TIMEOUT_SECONDS) -> str:
    """The output of a docker command; CommandFailed with its words otherwise."""
    return run([need("docker", "install Docker"), *words], timeout=timeout)
