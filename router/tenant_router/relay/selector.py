"""Byte relay between pairs of connected sockets, run inside an asyncio loop's own selector.

RelaySelector is an ordinary asyncio selector that also owns the relayed sockets.  Their events never become asyncio
handles: select() moves the bytes itself (recv_into -> send) and returns only when asyncio has something to do.
Memory is bounded: a direction whose receiver is full stops being read, with at most one buffer of leftover."""

import os
import select
import selectors
import socket
import time

IN, OUT, ONESHOT = select.EPOLLIN, select.EPOLLOUT, select.EPOLLONESHOT
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
BUF = bytearray(int(os.environ.get("RELAY_BUF", 131072)))  # shared by all: nothing stays in it between events
VIEW = memoryview(BUF)


class Side:
    """One socket of a pair: read from, and written to with what its peer read."""

    __slots__ = ("bytes_in", "eof", "fd", "on_close", "peer", "pending", "recv_into", "send", "sock")

    def __init__(self, sock, on_close=None):
        self.sock, self.fd, self.recv_into, self.send = sock, sock.fileno(), sock.recv_into, sock.send
        self.pending, self.eof, self.bytes_in, self.on_close = b"", False, 0, on_close


class RelaySelector(selectors.EpollSelector):
    def __init__(self, linger=30):
        super().__init__()
        self.ep = select.epoll.fromfd(os.dup(self.fileno()))  # the same kernel epoll set
        self.sides, self.waiters, self.half_closed, self.linger = {}, {}, {}, linger
        self.loop = None  # set by whoever makes the loop

    def close(self):
        self.ep.close()
        super().close()

    # -- before the relay: await one event of a socket, which stays in the epoll set (one-shot) until closed or relayed
    def watch(self, sock, event):
        """Return a future that is done at the next such event of the socket."""
        fd = sock.fileno()
        (self.ep.modify if fd in self.waiters else self.ep.register)(fd, event | ONESHOT)
        fut = self.waiters[fd] = self.loop.create_future()
        return fut

    def release(self, sock):
        """Take the socket out of the epoll set; it stays open."""
        if self.waiters.pop(sock.fileno(), None) is not None:
            self.ep.unregister(sock.fileno())

    def discard(self, sock):
        """Close a socket that is not relayed."""
        self.waiters.pop(sock.fileno(), None)
        sock.close()

    # -- the relay
    def relay(self, a, b, to_a=b"", to_b=b"", on_close=None):
        """Take over two sockets whose send buffers have room, first writing to_a and to_b; on_close(side_a) when both are closed."""
        x, y = Side(a, on_close), Side(b)
        x.peer, y.peer, x.pending, y.pending = y, x, memoryview(bytes(to_a)), memoryview(bytes(to_b))
        for s in (x, y):
            self.sides[s.fd] = s
            if self.waiters.pop(s.fd, None) is None:  # was never waited for
                self.ep.register(s.fd, ONESHOT)
        try:
            for s in (x, y):
                if s.pending:
                    s.pending = s.pending[s.send(s.pending) :]
            self.arm(x)
            self.arm(y)
        except OSError:
            self.drop(x)
        return x

    def drop(self, s):
        """Close both sockets of the pair now (idempotent)."""
        for x in (s, s.peer):
            if self.sides.get(x.fd) is x:
                del self.sides[x.fd]
                self.half_closed.pop(x, None)
                x.sock.close()  # also leaves the epoll set
                if x.on_close:
                    x.on_close(x)

    def sweep(self):
        """Call now and then: drops pairs of which one side closed more than `linger` seconds ago."""
        now = time.monotonic()
        for s, t in list(self.half_closed.items()):
            if t > now:
                break
            self.drop(s)

    def arm(self, s):
        """Read s unless it ended or its peer still has pending bytes; wait for room if s itself has pending bytes."""
        self.ep.modify(s.fd, ((0 if s.eof or s.peer.pending else IN) | (OUT if s.pending else 0)) or ONESHOT)

    def select(self, timeout=None):
        poll, get, ready, leave = self.ep.poll, self.sides.get, [], False
        wait = timeout if timeout is None or timeout > 0 else 0
        end = time.monotonic() + wait if wait else wait
        while True:
            for fd, ev in poll(wait):
                s = get(fd)
                if s is None:  # asyncio's own, a waiter, or a socket closed just now
                    w = self.waiters.get(fd)
                    if w is not None:
                        leave = True
                        if not w.done():
                            w.set_result(None)
                    elif (key := self.get_map().get(fd)) is not None:
                        ready.append((key, ((READ if ev & ~OUT else 0) | (WRITE if ev & ~IN else 0)) & key.events))
                elif ev == IN:  # the hot path: two system calls and a few bytecodes
                    try:
                        n = s.recv_into(BUF)
                        if n:
                            s.bytes_in += n
                            p = s.peer
                            try:
                                m = p.send(VIEW[:n])
                            except BlockingIOError:
                                m = 0
                            if m != n:
                                p.pending = memoryview(bytes(VIEW[m:n]))
                                self.arm(s)
                                self.arm(p)
                            continue
                        self.end_of_input(s)
                    except BlockingIOError:
                        continue
                    except OSError:
                        self.drop(s)
                    leave = True
                else:
                    self.rare(s, ev)
                    leave = True  # callbacks may have scheduled work: let asyncio look
            if ready or leave or wait == 0:
                return ready
            if wait:
                wait = end - time.monotonic()
                if wait <= 0:
                    return ready

    def end_of_input(self, s):
        s.eof = True
        p = s.peer
        if not p.pending:
            p.sock.shutdown(socket.SHUT_WR)  # pass the half-close on
            if p.eof and not s.pending:
                return self.drop(s)
        self.arm(s)
        self.half_closed[s] = time.monotonic() + self.linger

    def rare(self, s, ev):
        """Write readiness, errors and hang-ups."""
        p = s.peer
        try:
            if ev & OUT:
                if s.pending:
                    s.pending = s.pending[s.send(s.pending) :]
                self.arm(s)
                if not s.pending:
                    if not p.eof:
                        self.arm(p)
                    else:
                        s.sock.shutdown(socket.SHUT_WR)
                        if s.eof and not p.pending:
                            return self.drop(s)
            if ev & (select.EPOLLERR | select.EPOLLHUP) and not ev & IN:
                if not p.pending:
                    return self.drop(s)  # nothing left to deliver
                self.half_closed[s] = time.monotonic() + self.linger
            if ev & IN and not s.eof and not p.pending:
                n = s.recv_into(BUF)
                if not n:
                    return self.end_of_input(s)
                s.bytes_in += n
                p.pending = memoryview(bytes(VIEW[:n]))
                self.rare(p, OUT)
        except BlockingIOError:
            self.arm(s)
        except OSError:
            self.drop(s)
