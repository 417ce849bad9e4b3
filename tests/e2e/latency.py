#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""latency.py redis|postgres ADDRESS PORT SECONDS: asks one small question after the other over one connection, a
millisecond apart, and writes the time of each answer in microseconds, a line each."""
import socket
import struct
import sys
import time


class Redis:
    def __init__(self, sock):
        self.sock = sock

    def ask(self):
        self.sock.sendall(b"PING\r\n")
        if self.sock.recv(64) != b"+PONG\r\n":
            raise SystemExit("redis: not PONG")


class Postgres:
    def __init__(self, sock):
        self.sock = sock
        self.buf = b""
        text = b"user\0postgres\0database\0postgres\0\0"
        sock.sendall(struct.pack("!II", len(text) + 8, 196608) + text)
        self.until_ready()

    def until_ready(self):
        while True:
            while len(self.buf) < 5 or len(self.buf) < 1 + struct.unpack("!I", self.buf[1:5])[0]:
                more = self.sock.recv(65536)
                if not more:
                    raise SystemExit("postgres: the connection ended")
                self.buf += more
            kind, size = self.buf[:1], 1 + struct.unpack("!I", self.buf[1:5])[0]
            body, self.buf = self.buf[5:size], self.buf[size:]
            if kind == b"E":
                raise SystemExit("postgres: " + body.decode(errors="replace"))
            if kind == b"Z":
                return

    def ask(self):
        text = b"select 1\0"
        self.sock.sendall(b"Q" + struct.pack("!I", len(text) + 4) + text)
        self.until_ready()


kind, address, port, seconds = sys.argv[1:]
with socket.create_connection((address, int(port)), timeout=10) as sock:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    service = {"redis": Redis, "postgres": Postgres}[kind](sock)
    end = time.monotonic() + float(seconds)
    times = []
    while time.monotonic() < end:
        start = time.perf_counter()
        service.ask()
        times.append(time.perf_counter() - start)
        time.sleep(0.001)
print("\n".join(f"{t * 1e6:.0f}" for t in times))
