#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""seccomp_agent.py SOCKET DIR [NUMBER:ERRNO...]: receives seccomp listeners and answers what they ask.

Each connection's state is kept in DIR/state.N, its end in DIR/closed.N, each system call that was asked about
in DIR/calls ("NUMBER PID"). A call that is named fails with its errno, all others go on.
"""
import array
import fcntl
import json
import os
import select
import socket
import struct
import sys

RECV, SEND, CONTINUE = 0xC0502100, 0xC0182101, 1


def receive(conn):
    data, fds = b"", array.array("i")
    while True:
        part, anc, _, _ = conn.recvmsg(65536, socket.CMSG_SPACE(8 * 4))
        for level, kind, payload in anc:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(payload)
        data += part
        try:
            json.loads(data)
            return data, list(fds)
        except ValueError:
            if not part:
                return data, list(fds)


def answer(fd, answers, log):
    buf = bytearray(80)
    try:
        fcntl.ioctl(fd, RECV, buf)
    except OSError:
        return
    ident, pid, _, number = struct.unpack_from("QIIi", buf)
    print(number, pid, file=log, flush=True)
    error = answers.get(number, 0)
    try:
        fcntl.ioctl(fd, SEND, struct.pack("QqiI", ident, 0, -error, 0 if error else CONTINUE))
    except OSError:
        pass


def main():
    path, out = sys.argv[1:3]
    answers = dict(map(int, a.split(":")) for a in sys.argv[3:])
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path + ".new")
    server.listen()
    os.rename(path + ".new", path)
    log = open(out + "/calls", "a")
    poll, conns, n = select.poll(), {}, 0
    poll.register(server, select.POLLIN)
    listeners = set()
    while True:
        for fd, events in poll.poll():
            if fd == server.fileno():
                conn = server.accept()[0]
                conns[conn.fileno()] = [conn, n, False]
                poll.register(conn, select.POLLIN)
                n += 1
            elif fd in conns:
                conn, number, seen = conns[fd]
                if not seen:
                    data, fds = receive(conn)
                    with open(f"{out}/state.{number}", "wb") as f:
                        f.write(data)
                    for listener in fds:
                        listeners.add(listener)
                        poll.register(listener, select.POLLIN)
                    conns[fd][2] = True
                elif not conn.recv(1):
                    open(f"{out}/closed.{number}", "w").close()
                    poll.unregister(fd)
                    conn.close()
                    del conns[fd]
            elif fd in listeners:
                if events & select.POLLIN:
                    answer(fd, answers, log)
                if events & (select.POLLHUP | select.POLLERR):
                    poll.unregister(fd)
                    listeners.discard(fd)
                    os.close(fd)


main()
