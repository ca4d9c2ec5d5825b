#!/usr/bin/env python3
"""Servers that answer sources of accounts by halves, or without end: nobody else's login waits for them."""

import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import tern_test as t

PROBE = t.BUILD / "t" / "e2e" / "source_probe"
if not os.access(PROBE, os.X_OK):
    t.skip_all("not built: t/e2e/source_probe (make check builds it)")
TOP = pathlib.Path(tempfile.mkdtemp(prefix="tern-rogue-"))


class Probe:
    """One source, asked as auth would; what does not answer within PATIENCE hangs."""

    PATIENCE = 20

    def __init__(self, source):
        self.process = subprocess.Popen([str(PROBE), source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.watch = threading.Timer(self.PATIENCE, self.process.kill)
        self.watch.start()
        self.hello = self.read()

    def read(self):
        return self.process.stdout.readline().rstrip("\n").split("\t")

    def say(self, *words):
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.stdin.close()
        self.process.wait()
        self.watch.cancel()
        t.is_(self.process.returncode, 0, "the process ended well")


# ---- PostgreSQL

def message(kind, body=b""):
    return kind + struct.pack(">I", len(body) + 4) + body


READY = message(b"Z", b"I")
COLUMN = message(b"T", struct.pack(">H", 1) + b"login\0" + struct.pack(">IHIHIH", 0, 0, 25, 0xffff, 0xffffffff, 0))
ROW = message(b"D", struct.pack(">HI", 1, 17) + b"anna@example.test")
HEAD = message(b"1") + message(b"2")
DONE = message(b"C", b"SELECT 1\0")


class RoguePostgres:
    """Lets everybody in, and answers each question with what it was given."""

    def __init__(self, name, answer):
        self.answer, self.folder = answer, TOP / name
        self.folder.mkdir()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.folder / ".s.PGSQL.5432"))
        self.listener.listen(10)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection:
            try:
                connection.recv(4096)
                connection.sendall(message(b"R", bytes(4)) + READY)
                text = b""
                while data := connection.recv(4096):
                    text += data
                    if text.endswith(b"S" + struct.pack(">I", 4)):
                        text = b""
                        connection.sendall(self.answer)
            except OSError:
                pass

    def source(self):
        path = self.folder / "pgsql.cf"
        path.write_text(f"hosts = unix:{self.folder}\nuser = mail\ndbname = mail\nsslmode = disable\ntimeout = 2s\n"
                        "connections = 2\nquery = SELECT login FROM users WHERE login = '%u'\n")
        return f"pgsql:{path}"


def pgsql():
    with Probe(RoguePostgres("whole", HEAD + COLUMN + ROW + DONE + READY).source()) as probe:
        probe.say("look", "anna@example.test")
        t.is_(probe.read()[0], "FOUND", "pgsql: a whole answer")
    for name, answer, wanted in (("half", HEAD + COLUMN + ROW + DONE, "does not answer in time"),
                                 ("rows", HEAD + COLUMN + ROW, "does not answer in time"),
                                 ("copy", HEAD + message(b"H", b"\0\0\0"), ""),
                                 ("later-copy", HEAD + COLUMN + ROW + DONE + message(b"H", b"\0\0\0"), "")):
        with Probe(RoguePostgres(name, answer).source()) as probe:
            begun = time.monotonic()
            probe.say("&look", "anna@example.test")
            probe.say("&look", "bert@example.test")
            answers = [probe.read() for _ in range(2)]
            t.ok(all(len(words) > 2 and words[1] == "RETRY" and wanted in words[2] for words in answers)
                 and time.monotonic() - begun < probe.PATIENCE - 2, f"pgsql: {name}: temporary, in its time", answers)


def main():
    try:
        pgsql()
    finally:
        shutil.rmtree(TOP)
    t.done()


main()
