"""`python -m cluster up|down|status|env|images|kubectl|stop|start|enter`; README.md explains them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import ClusterError
from .gotools import GoTools
from .images.ours import TARGETS, ours
from .layout import Layout, Level
from .node import cgroups
from .progress import Progress
from .providers import DEFAULT_NAME, Scratch, choice, provider
from .scratch import ScratchCluster, programs


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(
        prog="python -m cluster", description="The Kubernetes cluster for tests that CLUSTER means."
    )
    commands = whole.add_subparsers(dest="command", required=True)

    def command(name: str, help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help)
        made.add_argument("--name", default=DEFAULT_NAME, help="one of several clusters; default: %(default)s")
        return made

    up = command("up", "build what is missing, start what does not run")
    up.add_argument("--level", type=Level, choices=list(Level), default=Level.NODE, help="default: node")
    up.add_argument("--no-controllers", action="store_true", help="level apiserver: leave out the controller-manager")
    down = command("down", "stop it; the next up continues with its data")
    down.add_argument("--wipe", action="store_true", help="forget its data, keys and logs as well")
    build = command("build", "only compile the programs; exit code 2 where this machine cannot run a node")
    build.add_argument("--level", type=Level, choices=list(Level), default=Level.NODE, help="default: node")
    command("status", "what runs")
    command("env", "print its KUBECONFIG and PATH, for eval")
    command("stop", "stop one component, as a failure would").add_argument("component")
    command("start", "start a stopped component again").add_argument("component")
    command("kubectl", "run its kubectl").add_argument("words", nargs=argparse.REMAINDER)
    command("enter", "run a program inside the node").add_argument("words", nargs=argparse.REMAINDER)
    images = command(
        "images", "build this repository's images and have them in the cluster, those of all targets or of some"
    )
    images.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="of the Dockerfile; default: all")
    images.add_argument("--list", action="store_true", help="only list what a scratch node has")
    return whole


def images(options: argparse.Namespace) -> None:
    chosen = provider(Progress(), options.name)
    if not options.list:
        print(*chosen.load(ours(options.targets or TARGETS)), sep="\n")
    elif isinstance(chosen, Scratch):
        print(*chosen.cluster.node.images.names(), sep="\n")
    else:
        raise ClusterError(
            "only a scratch node tells which images it has", "CLUSTER=scratch, or ask the node: crictl images"
        )


def show(name: str) -> int:
    """Tell what runs of the cluster that is meant; 1 where nothing does."""
    chosen = provider(Progress(), name)
    if isinstance(chosen, Scratch):
        return show_scratch(chosen.cluster)
    ready = chosen.running()
    print(f"{choice(name)}: API server {'ready' if ready else 'NOT ready'}")
    print(f"KUBECONFIG={chosen.kubectl.kubeconfig}")
    return 0 if ready else 1


def show_scratch(cluster: ScratchCluster) -> int:
    status = cluster.status()
    if not status:
        print(f"{cluster.instance.name}: not running")
        return 1
    print(f"{cluster.instance.name}: level {status.level}, API server {'ready' if status.ready else 'NOT ready'}")
    print(f"KUBECONFIG={cluster.instance.kubeconfig}")
    for process in status.processes:
        state = f"{process.resident_bytes / 1e6:6.0f} MB" if process.alive else "   DEAD"
        print(f"  {process.name:20} {process.pid:>8} {state}")
    return 0


def build(layout: Layout, level: Level) -> int:
    """Compile what a level needs; 2 and the reason where the level cannot run here."""
    if level == Level.NODE:
        try:
            cgroups.check()
        except ClusterError as error:
            print(f"cluster: {error}", file=sys.stderr)
            return 2
    GoTools(layout, Progress()).ensure(programs(level))
    return 0


def environment(kubeconfig: Path, layout: Layout) -> str:
    """Shell words that make a terminal's kubectl and helm talk to this cluster."""
    return f"export KUBECONFIG={kubeconfig}\nexport PATH={layout.bin}:$PATH"


def run(options: argparse.Namespace) -> int:
    layout = Layout.default()
    cluster = ScratchCluster(layout, options.name, Progress())
    match options.command:
        case "up":
            if options.level == Level.NODE:
                chosen = provider(Progress(), options.name)
                chosen.up()
                print(environment(chosen.kubectl.kubeconfig, layout))
            else:
                cluster.up(options.level, not options.no_controllers)
                print(environment(cluster.instance.kubeconfig, layout))
        case "down":
            stopped = provider(Progress(), options.name).down(options.wipe)
            print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
        case "build":
            return build(layout, options.level)
        case "status":
            return show(options.name)
        case "env":
            print(environment(provider(Progress(), options.name).kubectl.kubeconfig, layout))
        case "stop":
            cluster.stop(options.component)
        case "start":
            cluster.start(options.component)
        case "kubectl":
            kubectl = provider(Progress(), options.name).kubectl
            os.execve(kubectl.program, [kubectl.program, *options.words], {**os.environ, **kubectl.env})
        case "enter":
            argv = cluster.node.enter_command(options.words or ["bash"])
            os.execvp(argv[0], argv)
        case "images":
            images(options)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    try:
        return run(parser().parse_args(words))
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
