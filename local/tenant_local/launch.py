"""The process that becomes a gateway: `python -I -S -c "... main()" CONTROL FLAGS [MODULE...]`.

The fleet starts it, at once or ahead of need (a spare), with one end of a SEQPACKET socket pair as descriptor CONTROL.
It forks in two. The *warden* is PID 1 of the namespaces (or, where there are none, the subreaper): it forwards SIGTERM,
reaps, and takes everything with it when it ends. It asks the gateway to end when the fleet is gone, which it sees by
its end of the socket. The *gateway* process waits for its plan, confines itself by it and becomes the runtime.

Everything here counts against the wake: only built-in modules and `confine`, no typing, no socket, no json.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs an import of enum
import _socket
import marshal
import os
import select
import sys

from .confine import kernel, landlock, namespaces, privileges, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

MAX_PLAN = 1 << 20
"""Bytes of a plan; the rendered environment is the largest part of it and execve takes no more than that either."""
MAX_DESCRIPTORS = 16
FLAG_NAMESPACES = "n"
FLAG_NEW_USER = "u"
LISTEN_FD = 3
"""Where the runtime finds its listening socket (sd_listen_fds(3))."""
SIGKILL_ALL = _signal.SIGUSR1
"""Tells a warden without namespaces to kill the gateway and all that it started, which its own death would not do."""
EXIT_NOT_STARTED = 125
"""The launcher could not do what the plan says; the reason went to the control socket and to the log."""


def main() -> NoReturn:
    """Become the warden and the gateway of one tenant. Never returns."""
    control = _socket.socket(fileno=int(sys.argv[1]))
    flags = sys.argv[2]
    os.set_inheritable(control.fileno(), False)
    try:
        if FLAG_NAMESPACES in flags:
            pid = namespaces.clone(FLAG_NEW_USER in flags)
            if pid:
                control.send(b"pid %d" % pid)
                os._exit(0)
        else:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
            control.send(b"pid %d" % os.getpid())
        kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGTERM)
    except OSError as error:
        _give_up(control, f"no gateway process: {error}")
    mine, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        mine.close()
        _become_gateway(theirs, control, sys.argv[3:])
    theirs.close()
    _watch_over(child, control, mine, in_namespaces=FLAG_NAMESPACES in flags)


def _give_up(control: _socket.socket, text: str) -> NoReturn:
    try:
        os.write(2, (text + "\n").encode())
        control.send(b"failed " + text.encode()[:2000])
    except OSError:
        pass  # the fleet is gone, and with it whoever wanted to know
    os._exit(EXIT_NOT_STARTED)


# The warden


def _watch_over(child: int, control: _socket.socket, gateway: _socket.socket, in_namespaces: bool) -> NoReturn:
    """Pass the plan on, forward SIGTERM, reap; end with the gateway, leaving none of its processes behind."""
    alarm, bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    _signal.set_wakeup_fd(bell)
    for number in (_signal.SIGTERM, SIGKILL_ALL, _signal.SIGCHLD, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(number, lambda *_: None)
    # Not even a process of the same user may look into this one and take its descriptors.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    poll = select.poll()
    poll.register(alarm, select.POLLIN)
    poll.register(control.fileno(), select.POLLIN)
    planned = False
    while True:
        for descriptor, events in poll.poll():
            if descriptor == alarm:
                numbers = os.read(alarm, 512)
                if _signal.SIGTERM in numbers:
                    if not planned:
                        os._exit(0)
                    _signal_gateway(child, _signal.SIGTERM)
                if SIGKILL_ALL in numbers:
                    _signal_gateway(child, _signal.SIGKILL)
                status = _reap(child)
                if status is not None:
                    _end(status, in_namespaces)
            elif events & select.POLLIN and not planned:
                planned = _pass_on(child, control, gateway)
                # From here on only its end is of interest: POLLHUP is reported unasked.
                poll.modify(control.fileno(), 0)
                gateway.close()
                if in_namespaces:
                    privileges.drop_capabilities()
            elif events & (select.POLLHUP | select.POLLERR):
                poll.unregister(control.fileno())
                if not planned:
                    os._exit(0)
                _signal_gateway(child, _signal.SIGTERM)


def _pass_on(child: int, control: _socket.socket, gateway: _socket.socket) -> bool:
    """Hand plan and descriptors to the gateway; keep the lock's, so that it is held until the last process is gone."""
    data, ancillary, _, _ = control.recvmsg(MAX_PLAN, _socket.CMSG_SPACE(4 * MAX_DESCRIPTORS))
    received = _descriptors(ancillary)
    if not data:
        os._exit(0)
    plan = marshal.loads(data)  # noqa: S302  # from the fleet, over a socket nobody else has
    gateway.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _packed(received))])
    for name, descriptor in zip(plan["descriptors"], received, strict=True):
        if name.startswith("cgroup"):
            # Takes 6-20 ms (it waits for RCU), so it goes on beside the gateway's start instead of within it.
            try:
                os.write(descriptor, b"%d" % child)
            except OSError:
                pass  # it ended already, or the OS does not offer this limit after all
        if name == "lock":
            os.set_inheritable(descriptor, False)
        else:
            os.close(descriptor)
    return True


def _signal_gateway(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:
        pass


def _reap(child: int) -> int | None:
    """Reap whatever ended; return the gateway's exit status when it was among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code


def _end(status: int, in_namespaces: bool) -> NoReturn:
    if not in_namespaces:
        # PID 1's end takes all others along. Without one, whoever lost its parent is our child now: end those until none is left.
        while True:
            children = _children()
            if not children:
                break
            for pid in children:
                try:
                    os.kill(pid, _signal.SIGKILL)
                except ProcessLookupError:
                    pass
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break
    os._exit(status)


def _children() -> list[int]:
    me = os.getpid()
    with open(f"/proc/self/task/{me}/children") as file:
        return [int(pid) for pid in file.read().split()]


# The gateway


def _become_gateway(plans: _socket.socket, control: _socket.socket, preload: list[str]) -> NoReturn:
    # The warden ends after the gateway unless somebody killed it; then nobody is left to keep order.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGKILL)
    try:
        for name in preload:
            module, _, function = name.partition(":")
            __import__(module)
            if function:
                getattr(sys.modules[module], function)()
        data, ancillary, _, _ = plans.recvmsg(MAX_PLAN, _socket.CMSG_SPACE(4 * MAX_DESCRIPTORS))
        if not data:
            os._exit(0)
        plan = marshal.loads(data)  # noqa: S302
        plans.close()
        given = dict(zip(plan["descriptors"], _descriptors(ancillary), strict=True))
        os.dup2(given["log"], 1)
        os.dup2(given["log"], 2)
        os.close(given.pop("log"))
        _prepare(plan, given)
    except Exception as error:
        _give_up(control, f"no gateway process: {type(error).__name__}: {error}")
    control.close()
    _run(plan)


def _prepare(plan: dict[str, Any], given: dict[str, int]) -> None:
    os.setsid()
    os.umask(0o077)
    for name in [name for name in given if name.startswith("cgroup")]:
        os.close(given.pop(name))
    if plan["rlimits"]:
        import resource  # costs a shared library

        for kind, value in plan["rlimits"]:
            hard = resource.getrlimit(kind)[1]
            limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (limit, limit))
    listening = given.pop("listen", None)
    # The lock stays open in this process and must not reach what it starts; only exec'ing the runtime keeps it.
    lock = given.pop("lock")
    if listening is not None:
        if lock == LISTEN_FD:
            lock = os.dup(lock)
        os.dup2(listening, LISTEN_FD)
        if listening != LISTEN_FD:
            os.close(listening)
    os.set_inheritable(lock, plan["run"][0] == "exec")
    _confine(plan["confine"])
    os.chdir(plan["cwd"])


def _confine(confine: dict[str, Any] | None) -> None:
    """Leave the rest of the machine behind."""
    if confine is None:
        return
    view = confine["view"]
    if view is not None:
        namespaces.enter_view(view["stage"], view["read"], view["write"], view["links"], view["temporary"])
    if confine["drop"]:
        privileges.drop_capabilities()
    privileges.no_new_privileges()
    rules = confine["landlock"]
    if rules is not None:
        landlock.restrict(rules["read"], rules["write"], rules["devices"], rules["bind"], rules["connect"])
    if confine["seccomp"] is not None:
        seccomp.install(confine["seccomp"])


def _run(plan: dict[str, Any]) -> NoReturn:
    kind, *command = plan["run"]
    environment = plan["env"]
    if plan["listens"]:
        environment["LISTEN_PID"] = str(os.getpid())
    if kind == "exec":
        try:
            os.execve(command[0], command, environment)
        except OSError as error:
            os.write(2, f"{command[0]} can't be started: {error}\n".encode())
            os._exit(EXIT_NOT_STARTED)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [path for path in plan["path"] if path not in sys.path]
    sys.argv[:] = command
    import runpy

    code = 0
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = _exit_code(error)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            found += memoryview(data[: len(data) // 4 * 4]).cast("i").tolist()
    return found


def _packed(descriptors: list[int]) -> bytes:
    return b"".join(number.to_bytes(4, sys.byteorder) for number in descriptors)
