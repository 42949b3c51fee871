"""From inside one tenant's gateway: another tenant, the fleet, the router and the machine are out of reach."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_machine import DOUBLES, Machine, alive, ask, awake, evaluate

from tenant_local.confine import landlock
from tenant_local.confine.probe import ABI_SCOPE, Confinement
from tenant_local.fleet import LocalFleet
from tenant_router.fleet import GatewayAddress

GONE = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ESRCH, errno.ENOTDIR, errno.EROFS}


@dataclass
class Scene:
    machine: Machine
    fleet: LocalFleet
    ann: GatewayAddress
    bob: GatewayAddress
    admin: int
    opened: int
    """Port that the template's egress names."""
    path_socket: Path
    abstract: str
    operator: int
    """PID of a process of the operator's."""


VARIANTS = {
    "namespaces": Confinement(True, False, landlock.abi(), True),
    "user namespaces": Confinement(True, True, landlock.abi(), True),
    "Landlock alone": Confinement(False, False, landlock.abi(), True),
}


@pytest.fixture(params=list(VARIANTS))
async def scene(request: pytest.FixtureRequest, machine: Machine) -> AsyncIterator[Scene]:
    confinement = VARIANTS[request.param]
    if landlock.abi() < ABI_SCOPE:
        pytest.skip(f"this kernel has Landlock ABI {landlock.abi()}, these tests need {ABI_SCOPE}")
    if confinement.namespaces and not confinement.new_user and os.geteuid() != 0:
        pytest.skip("the tests do not run as root, without whom there are no namespaces but in a user namespace")
    for name in ("ann", "bob"):
        machine.tenant(name, credentials={"secretRef": {"name": f"{name}-keys"}})
        keys = {
            "kind": "Secret",
            "apiVersion": "v1",
            "metadata": {"name": f"{name}-keys"},
            "stringData": {"KEY": f"sk-{name}"},
        }
        machine.write(f"{name}-keys.json", keys)
    with ExitStack() as stack:
        admin = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        opened = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        machine.template(env=[{"name": "SHARED", "value": "shared"}], egress=[f"10.1.2.0/24:{opened}"])
        path_socket = machine.root / "docker.sock"
        by_path = stack.enter_context(socket.socket(socket.AF_UNIX))
        by_path.bind(str(path_socket))
        by_path.listen()
        abstract = f"openclaw-tenancy-test-{os.getpid()}"
        unnamed = stack.enter_context(socket.socket(socket.AF_UNIX))
        unnamed.bind(f"\0{abstract}")
        unnamed.listen()
        sleeper = await asyncio.create_subprocess_exec("sleep", "600", env={"OPERATOR_KEY": "sk-operator"})
        try:
            async with machine.fleet(confinement=confinement) as fleet:
                ann, bob = await awake(fleet, "ann"), await awake(fleet, "bob")
                port = admin.getsockname()[1]
                yield Scene(machine, fleet, ann, bob, port, opened, path_socket, abstract, sleeper.pid)
        finally:
            sleeper.kill()
            await sleeper.wait()


async def refused(scene: Scene, code: str, *allowed: int) -> None:
    with pytest.raises(OSError) as caught:
        got = await evaluate(scene.ann, code)
        pytest.fail(f"{code!r} worked: {got!r}")
    assert caught.value.errno in (allowed or GONE), caught.value


def host_pid(scene: Scene, name: str) -> int:
    """Return the PID that the machine knows a tenant's double by."""
    warden = scene.fleet.describe(name).pid
    return int(Path(f"/proc/{warden}/task/{warden}/children").read_text().split()[0])


async def test_files_of_others(scene: Scene) -> None:
    data, directory = scene.machine.data, scene.machine.directory
    bob = data / "tenants" / "bob"
    (bob / "state" / "secret.txt").write_text("of bob")
    (bob / "state").chmod(0o777)
    for file in (
        bob / "state" / "secret.txt",
        bob / "config" / "openclaw.json",
        bob / "gateway.log",
        data / "master.key",
        directory / "bob.json",
        directory / "bob-keys.json",
        data / "tenants" / "ann" / "gateway.lock",
        data / "tenants" / "ann" / "gateway.log",
        data / "tenants" / "ann" / "uid",
        Path("/etc/shadow"),
        Path.home() / ".bashrc",
    ):
        await refused(scene, f"result = open({str(file)!r}).read()")
        await refused(scene, f"open({str(file)!r}, 'r+').write('x')")
    for folder in (bob, bob / "state", directory, Path("/var/log")):
        await refused(scene, f"import os; result = os.listdir({str(folder)!r})")
    if scene.fleet.confinement.namespaces:
        assert await evaluate(scene.ann, f"import os; result = os.listdir({str(data)!r})") == ["tenants"]
        assert await evaluate(scene.ann, f"import os; result = os.listdir({str(bob.parent)!r})") == ["ann"]
    for climb in ("../bob/state/secret.txt", "../../bob/state/secret.txt", f"/proc/self/root{bob}/state/secret.txt"):
        await refused(scene, f"result = open({climb!r}).read()")
    await refused(scene, f"import os; os.symlink({str(bob / 'state')!r}, 'way'); result = os.listdir('way')")
    await refused(scene, f"import os; os.link({str(bob / 'state' / 'secret.txt')!r}, 'hard')", *GONE, errno.EXDEV)
    said = await ask(scene.ann, "/sh", f"cat {bob}/state/secret.txt {data}/master.key; ls {bob}/state")
    assert said["code"] != 0
    assert said["out"] == ""


async def test_system_is_read_only(scene: Scene) -> None:
    # A program that nobody runs: one that runs is refused as busy, whoever asks.
    for file in ("/usr/bin/x", "/etc/x", "/etc/passwd", "/bin/false", "/x", "/proc/sys/kernel/hostname", "/dev/x"):
        await refused(scene, f"open({file!r}, 'a').write('x')")
    for module in (DOUBLES / "double_gateway" / "__main__.py", Path(os.__file__)):
        await refused(scene, f"open({str(module)!r}, 'a').write('x')")
    await refused(scene, "import os; os.mknod('disk', 0o60600, os.makedev(254, 0))")
    for call in ("mount", "umount2", "unshare", "setns", "ptrace", "bpf", "keyctl"):
        code = f"import ctypes; c = ctypes.CDLL(None, use_errno=True); r = c.syscall(__NR_{call}, 0, 0, 0, 0, 0)"
        number = {"mount": 165, "umount2": 166, "unshare": 272, "setns": 308, "ptrace": 101, "bpf": 321, "keyctl": 250}[
            call
        ]
        code = code.replace(f"__NR_{call}", str(number)) + "; e = ctypes.get_errno(); result = [r, e]"
        if os.uname().machine == "x86_64":
            assert await evaluate(scene.ann, code) == [-1, errno.EPERM], call


async def test_processes_of_others(scene: Scene) -> None:
    for pid in {host_pid(scene, "bob"), scene.fleet.describe("bob").pid, scene.operator, os.getpid(), 1}:
        own = (1, 2) if scene.fleet.confinement.namespaces else ()
        if pid in own:
            continue
        for file in ("environ", "cmdline", "mem", "maps", "root/etc/shadow", "cwd", "fd"):
            read = (
                "os.listdir" if file == "fd" else "os.readlink" if file == "cwd" else "lambda p: open(p, 'rb').read(9)"
            )
            await refused(scene, f"import os; result = ({read})('/proc/{pid}/{file}')")
        await refused(scene, f"import os; os.kill({pid}, 0)")
        await refused(scene, f"import os, signal; os.kill({pid}, signal.SIGTERM)")
        await refused(scene, f"import os, signal; f = os.pidfd_open({pid}); signal.pidfd_send_signal(f, 9)")
        await refused(
            scene,
            "import ctypes, os; c = ctypes.CDLL(None, use_errno=True)\n"
            f"if c.ptrace(16, {pid}, 0, 0) != 0: e = ctypes.get_errno(); raise OSError(e, os.strerror(e))",
        )
    assert alive(scene.operator)
    assert await ask(scene.bob, "/pid")
    # Its own warden holds the lock and the fleet's trust.
    warden = 1 if scene.fleet.confinement.namespaces else scene.fleet.describe("ann").pid
    for file in ("environ", "mem", "fd/4"):
        await refused(scene, f"result = open('/proc/{warden}/{file}', 'rb').read(9)")
    await refused(scene, f"import os, signal; os.kill({warden}, signal.SIGKILL)")
    assert alive(scene.fleet.describe("ann").pid or 0)


DIAL = """
import socket
s = socket.socket({family}, {kind}, {protocol})
s.settimeout(5)
{how}
result = True
"""


async def dial(scene: Scene, port: int, how: str = "s.connect(('127.0.0.1', {port}))", protocol: int = 0) -> bool:
    text = DIAL.format(family="socket.AF_INET", kind="socket.SOCK_STREAM", protocol=protocol, how=how.format(port=port))
    return bool(await evaluate(scene.ann, text))


async def test_ports_of_others(scene: Scene) -> None:
    fast_open = "s.sendto(b'GET / HTTP/1.1', socket.MSG_FASTOPEN, ('127.0.0.1', {port}))"
    fast_message = "s.sendmsg([b'GET / HTTP/1.1'], [], socket.MSG_FASTOPEN, ('127.0.0.1', {port}))"
    for port in (scene.bob.port, scene.admin):
        for protocol, how in (
            (0, "s.connect(('127.0.0.1', {port}))"),
            (0, fast_open),
            (0, fast_message),
            (0, "s.setsockopt(6, 30, 1); s.connect(('127.0.0.1', {port})); s.send(b'x')"),
            (262, "s.connect(('127.0.0.1', {port}))"),  # MPTCP falls back to TCP
            (132, "s.connect(('127.0.0.1', {port}))"),  # SCTP
        ):
            with pytest.raises(OSError) as caught:
                await dial(scene, port, how, protocol)
            assert caught.value.errno in (errno.EACCES, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP), (how, caught.value)
    for family, name in ((40, "vsock"), (43, "smc"), (17, "packet"), (21, "rds"), (30, "tipc"), (38, "alg")):
        with pytest.raises(OSError) as caught:
            await evaluate(scene.ann, f"import socket; socket.socket({family}, socket.SOCK_STREAM)")
        assert caught.value.errno == errno.EAFNOSUPPORT, name
    with pytest.raises(OSError):
        await evaluate(scene.ann, "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)")
    uring = (
        "import ctypes; c = ctypes.CDLL(None, use_errno=True); r = c.syscall(425, 8, 0); result = ctypes.get_errno()"
    )
    assert await evaluate(scene.ann, uring) == errno.ENOSYS


async def test_port_of_the_templates_egress_is_open_whatever_the_address(scene: Scene) -> None:
    assert await dial(scene, scene.opened)


async def test_unix_sockets_of_others(scene: Scene) -> None:
    for address in (str(scene.path_socket), f"\0{scene.abstract}"):
        code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({address!r})"
        await refused(scene, code, *GONE, errno.ECONNREFUSED, errno.EAFNOSUPPORT)


async def test_binds_no_other_port(scene: Scene) -> None:
    for port in (scene.bob.port, 18789, 8080, 0):
        with pytest.raises(OSError) as caught:
            await evaluate(scene.ann, f"import socket; s = socket.socket(); s.bind(('127.0.0.1', {port}))")
        assert caught.value.errno == errno.EACCES


async def test_environment_and_descriptors(scene: Scene) -> None:
    env = await ask(scene.ann, "/env")
    assert env["KEY"] == "sk-ann"
    assert env["SHARED"] == "shared"
    assert not {"sk-bob", "sk-operator"} & set(env.values())
    named = {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "TMPDIR", "KEY", "SHARED", "LISTEN_FDS", "LISTEN_PID"}
    assert set(env) <= named | {"OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH"}
    open_files = await evaluate(
        scene.ann,
        "import os; result = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if os.path.lexists(f'/proc/self/fd/{n}')]",
    )
    own: tuple[str, ...] = ("/dev/null", "socket:", "pipe:", str(scene.machine.data / "tenants" / "ann"), "anon_inode:")
    own += ("/proc/", "/gateway.l")  # the lock's path as seen from another root
    assert all(name.startswith(own) or "/ann/gateway.l" in name for name in open_files), open_files
    said = await ask(
        scene.ann,
        "/sh",
        "ls -l /proc/self/fd | grep -c -e gateway.lock -e master.key; cat /proc/$PPID/environ | tr '\\0' '\\n'",
    )
    assert said["out"].splitlines()[0] == "0"
    status = await evaluate(scene.ann, "result = open('/proc/self/status').read()")
    for line in (
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
    ):
        assert line in status
    await refused(scene, "import os; open(f'/proc/self/fd/{max(map(int, os.listdir(\"/proc/self/fd\")))}/../x')")


async def test_normal_work_goes_on(scene: Scene) -> None:
    state = scene.machine.data / "tenants" / "ann" / "state"
    for script, out in (
        ("mkdir -p a/b && echo hi > a/b/f && mv a/b/f a/g && cat a/g && ln -s g a/l && cat a/l && rm -r a", "hi\nhi"),
        ("pwd", str(state)),
        ("python3 -c 'import ssl, socket, sqlite3; print(ssl.create_default_context().cert_store_stats()[\"x509_ca\"] > 10)'", "True"),
        ("git init -q repo && cd repo && git config user.email a@b && git config user.name a && echo x > x && git add x"
         " && git commit -qm x && git log --oneline | wc -l", "1"),
        ("test -r /etc/resolv.conf && test -r /etc/hosts && getent hosts localhost > /dev/null && echo ok", "ok"),
        ("mktemp -d > /dev/null && echo ok", "ok"),
        ("echo x > $HOME/x && cat $HOME/x", "x"),
        ("echo x > $TMPDIR/x && cat $TMPDIR/x", "x"),
        ("(sleep 0.01 & wait) && echo ok", "ok"),
        ("echo $((`cat /proc/meminfo | wc -l` > 3))", "1"),
        ("head -c 4 /dev/urandom | wc -c; echo > /dev/null", "4"),
    ):  # fmt: skip
        said = await ask(scene.ann, "/sh", script)
        assert (said["code"], said["out"].strip()) == (0, out), (script, said)
    # A connection to where it may go is not refused by us: nobody listens there.
    with pytest.raises(ConnectionRefusedError):
        await dial(scene, 443)
    assert await dial(scene, scene.ann.port)
    if scene.fleet.confinement.namespaces:
        said = await ask(
            scene.ann,
            "/sh",
            "echo x > /tmp/x && cat /tmp/x && ls / | tr '\\n' ' ' && python3 -c 'import pty; print(pty.openpty())'",
        )
        assert said["code"] == 0, said
        said = await ask(scene.ann, "/sh", "ps ax | wc -l")
        assert int(said["out"]) < 10
