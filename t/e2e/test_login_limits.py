#!/usr/bin/env python3
"""login_connection_limit: a client has so many connections that have not logged in, by IMAP and by POP3; others, those
who have logged in, and exceptions are not concerned."""

import socket

import tern_test as t

t.need("tern", "master", "auth", "imapd", "pop3d", "mailbox", "log")
LIMIT = 5
HERE, OTHER = "127.0.0.2", "127.0.0.3"


class Connection:
    def __init__(self, port, source=HERE):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))
        self.file = self.socket.makefile("rwb")

    def line(self):
        try:
            return self.file.readline()
        except OSError:
            return b""

    def ask(self, *lines):
        """The last answer."""
        for line in lines:
            self.file.write(line + b"\r\n")
            self.file.flush()
            said = self.line()
            while said.startswith(b"* "):
                said = self.line()
        return said

    def close(self):
        for one in (self.file, self.socket):
            try:
                one.close()
            except OSError:
                pass


def greeting(port, source=HERE):
    one = Connection(port, source)
    said = one.line()
    one.close()
    return said


def limit(tern, protocol, port, hello, refusal, login, granted):
    held = [Connection(port) for _ in range(LIMIT)]
    t.ok(all(one.line().startswith(hello) for one in held), f"{protocol}: {LIMIT} are greeted")
    said = [greeting(port) for _ in range(3)]
    t.ok(all(text.startswith(refusal) for text in said), f"{protocol}: further ones are turned away", said)
    said = greeting(port, OTHER)
    t.ok(said.startswith(hello), f"{protocol}: another client is not", said)
    said = held[0].ask(*login)
    t.ok(said.startswith(granted), f"{protocol}: one logs in", said)
    more = Connection(port)
    said = more.line()
    t.ok(said.startswith(hello), f"{protocol}: whoever has logged in does not count", said)
    t.ok(greeting(port).startswith(refusal), f"{protocol}: now there are {LIMIT} again")
    held[1].close()
    t.ok(t.wait_for(lambda: greeting(port).startswith(hello)), f"{protocol}: one that goes makes room")
    for one in held + [more]:
        one.close()
    t.ok(tern.wait_log(f"limit exceeded: {LIMIT + 1} without a login from {HERE}"), f"{protocol}: the log says so")


def main():
    with t.Instance(settings=[f"login_connection_limit={LIMIT}", "login_connection_exceptions=192.0.2.1"], tls=True) as tern:
        tern.add_user("ada")
        tern.start()
        base = tern.port_base
        limit(tern, "IMAP", base + 143, b"* OK", b"* BYE Too many", [b"a LOGIN ada@example.test secret"], b"a OK")
        limit(tern, "POP3", base + 110, b"+OK", b"-ERR [SYS/TEMP] Too many", [b"USER ada@example.test", b"PASS secret"], b"+OK")
        held = [Connection(base + 993) for _ in range(LIMIT)]
        one = Connection(base + 993)
        t.is_(one.line(), b"", "with TLS from the first byte the connection ends at once")
        other = Connection(base + 993, OTHER)
        other.socket.settimeout(1)
        silent = False
        try:
            silent = other.socket.recv(1) != b""
        except TimeoutError:
            silent = True
        t.ok(silent, "another client's is waited for")
        for each in held + [one, other]:
            each.close()
        tern.set("login_connection_exceptions = 192.0.2.1, 127.0.0.0/30")
        t.is_(tern.run("reload").returncode, 0, "reload")
        held = [Connection(base + 143) for _ in range(3 * LIMIT)]
        t.ok(all(one.line().startswith(b"* OK") for one in held), "exceptions are not limited")
        for each in held:
            each.close()
        tern.set("login_connection_exceptions = nonsense")
        tern.run("reload")
        waiting = Connection(base + 143)  # imapd starts when somebody comes
        t.ok(tern.wait_log("login_connection_exceptions: nonsense is no address"), "what is no address is told")
        waiting.close()


main()
t.done()
