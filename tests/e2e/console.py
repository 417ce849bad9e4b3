#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
console.py recv SOCKET NAMEFILE OUTFILE [TEXT]
    Listens on SOCKET as an engine does, takes one terminal, writes the message's payload to NAMEFILE, types
    TEXT, and writes what the terminal says to OUTFILE until it ends. With TYPE=seqpacket another socket type.

console.py drive LOG COMMAND...
    Runs COMMAND in a terminal of 25 rows, 91 columns and obeys lines on its own stdin:
    type TEXT (python escapes) | expect TEXT | size ROWS COLS | insist ROWS COLS | signal NAME | shell COMMAND | eof | settings NAME | wait
    Everything that the terminal shows goes to LOG. `settings` writes the terminal's settings to LOG.NAME, `wait`
    those at the end to LOG.after; those before COMMAND are in LOG.start.
    `insist` sets the size, by turns with another, until the shell in there has seen it and said so: clients of engines
    begin to listen for a new size some time after their program has started, and forget what came before.
    `wait` waits for the end and prints the exit status. A deadline of 20 s holds for every step.
"""
import array, fcntl, os, pty, select, signal, socket, struct, subprocess, sys, termios, time

DEADLINE = float(os.environ.get("DEADLINE", "20"))


def recv(path, namefile, outfile, text=""):
    kind = socket.SOCK_SEQPACKET if os.environ.get("TYPE") == "seqpacket" else socket.SOCK_STREAM
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(path)
    s.listen(1)
    s.settimeout(DEADLINE)
    open(namefile + ".ready", "w").close()
    conn, _ = s.accept()
    conn.settimeout(DEADLINE)
    fds = array.array("i")
    msg, anc, _, _ = conn.recvmsg(4096, socket.CMSG_SPACE(64 * fds.itemsize))
    for level, what, data in anc:
        if level == socket.SOL_SOCKET and what == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    if len(fds) != 1:
        sys.exit("%d descriptors" % len(fds))
    with open(namefile + ".new", "wb") as f:
        f.write(msg)
    os.rename(namefile + ".new", namefile)
    if text:
        os.write(fds[0], text.encode())
    with open(outfile, "wb", buffering=0) as out:
        while True:
            try:
                data = os.read(fds[0], 65536)
            except OSError:
                break
            if not data:
                break
            out.write(data)


class Driver:
    def __init__(self, log, argv):
        self.log = open(log, "wb", buffering=0)
        self.logname = log
        self.seen = b""
        self.master, self.slave = pty.openpty()
        self.size(25, 91)
        self.settings("start")
        self.child = subprocess.Popen(argv, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                      start_new_session=True, preexec_fn=self.control, close_fds=True)

    def control(self):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def size(self, rows, cols):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(cols), 0, 0))

    def read(self, timeout):
        if select.select([self.master], [], [], timeout)[0]:
            data = os.read(self.master, 65536)
            self.log.write(data)
            self.seen += data

    def expect(self, text, meanwhile=lambda: None):
        end = time.monotonic() + DEADLINE
        want = text.encode().decode("unicode_escape").encode("latin-1")
        while want not in self.seen:
            if time.monotonic() > end:
                sys.exit("not seen: %r in %r" % (want, self.seen[-2000:]))
            meanwhile()
            self.read(0.1)
        self.seen = self.seen.split(want, 1)[1]

    def insist(self, rows, cols):
        self.size(rows, cols)
        self.type("until s=$(stty size); [ \"$s\" = '%s %s' ]; do sleep 0.1; done; echo \"<$s>\"\\r" % (rows, cols))
        last = [time.monotonic()]

        def again():
            if time.monotonic() > last[0] + 1:
                self.size(int(rows) + 1, cols)
                self.size(rows, cols)
                last[0] = time.monotonic()

        self.expect("<%s %s>" % (rows, cols), again)

    def type(self, text):
        os.write(self.master, text.encode().decode("unicode_escape").encode("latin-1"))

    def signal(self, name):
        self.child.send_signal(getattr(signal, "SIG" + name))

    def shell(self, command):
        subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, timeout=DEADLINE, check=True)

    def settings(self, name):
        with open(self.logname + "." + name, "w") as f:
            f.write(repr(termios.tcgetattr(self.slave)))

    def wait(self):
        end = time.monotonic() + DEADLINE
        while self.child.poll() is None:
            if time.monotonic() > end:
                self.child.kill()
                sys.exit("does not end; last: %r" % self.seen[-2000:])
            self.read(0.02)
        while select.select([self.master], [], [], 0)[0]:
            self.read(0)
        self.settings("after")
        r = self.child.returncode
        print(128 - r if r < 0 else r, flush=True)


def drive(log, *argv):
    d = Driver(log, argv)
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word in ("size", "insist"):
            getattr(d, word)(*rest.split())
        elif word == "eof":
            d.type("\\x04")
        elif word == "wait":
            d.wait()
        else:
            getattr(d, word)(rest)


if __name__ == "__main__":
    {"recv": recv, "drive": drive}[sys.argv[1]](*sys.argv[2:])
