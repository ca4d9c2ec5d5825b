#!/usr/bin/env python3
"""What a front keeps of a connection with TLS that it has lent to a session: all that the client sends while its
session gives it back, and no client that takes nothing when its session is over, or that has gone. And what a session does that
does not go while its client idles: because of COMPRESS, or of a "$" that is too large to be kept elsewhere."""

import json
import os
import signal
import socket
import ssl
import time

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "keys", "log")
SIZES = (1000, 60000, 300000, 3000000)


def encrypted(tern):
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # little is under way
    raw.settimeout(30)
    raw.connect(("127.0.0.1", tern.port_base + 993))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = Client(0, connection=context.wrap_socket(raw))
    result, _ = client.command("LOGIN ada@example.test secret")
    if not result.startswith(b"OK"):
        raise EOFError(result)
    client.command("SELECT INBOX")
    return client


def message(size):
    lines = (b"%09d\r\n" % number for number in range(size // 11))
    return b"Subject: %d\r\n\r\n" % size + b"".join(lines)


def behind_idle(tern, wait):
    """DONE and an APPEND come while the session has already read IDLE."""
    client = encrypted(tern)
    for number, size in enumerate(SIZES):
        text = message(size)
        append = b"a%d APPEND INBOX {%d+}\r\n%s\r\nn%d NOOP\r\n" % (number, len(text), text, number)
        client.send(b"i%d IDLE\r\n" % number + (b"" if wait else b"DONE\r\n" + append))
        what = f"{size} octets {'after' if wait else 'with'} the IDLE"
        try:
            if wait:
                client.answer()
                client.send(b"DONE\r\n" + append)
            results = [client.wait(tag % number)[0] for tag in (b"i%d", b"a%d", b"n%d")]
            t.ok(all(result.startswith(b"OK") for result in results), what + ": all is answered", results)
            found = [answer for answer in client.command("FETCH * BODY.PEEK[]")[1] if b"BODY[]" in answer]
            t.ok(found and text in found[-1], what + ": the message is whole")
        except (OSError, EOFError) as problem:
            t.ok(False, what + ": the client goes on", repr(problem))
            client.close()
            client = encrypted(tern)
    client.close()


def compressed(tern):
    """DONE has been decompressed only in part when IDLE begins: a read of the session's takes 16384 octets."""
    client = Client(tern.port_base + 143)
    client.command("LOGIN ada@example.test secret")
    client.command("SELECT INBOX")
    client.compress()
    commands = b"".join(b"n NOOP\r\n" for _ in range(2000))
    commands += b"p" * (16384 - len(commands) - len(b" NOOP\r\ni IDLE\r\n")) + b" NOOP\r\ni IDLE\r\n"
    client.send(commands + b"DONE\r\n")
    client.socket.settimeout(20)
    try:
        t.ok(client.wait(b"i")[0].startswith(b"OK"), "compressed, DONE behind IDLE is heard")
    except (OSError, EOFError) as problem:
        t.ok(False, "compressed, DONE behind IDLE is heard", repr(problem))
    client.send(b"i IDLE\r\n")
    t.ok(client.answer().startswith(b"+"), "it idles")
    other = encrypted(tern)
    other.command("APPEND INBOX {3+}\r\nx\r\n")
    t.ok(client.answer().endswith(b"EXISTS"), "and hears of a message")
    other.close()
    client.send(b"DONE\r\n")
    t.ok(client.wait(b"i")[0].startswith(b"OK"), "DONE ends it")
    client.close()


def saved(tern):
    """6,000 ranges in "$"."""
    cur = tern.mail / "example.test" / "bob" / "Maildir" / "cur"
    for folder in ("new", "tmp", "cur"):
        (cur.parent / folder).mkdir(parents=True, exist_ok=True)
    for number in range(12000):
        (cur / f"{1600000000 + number}.M{number}.host,S=4:2,").write_bytes(b"\r\nx\n")
    if t.is_root():
        owner = (tern.mail / "example.test" / "ada" / "Maildir").stat()
        for place, folders, files in os.walk(tern.mail / "example.test" / "bob"):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(place, name), owner.st_uid, owner.st_gid)
    client = Client(tern.port_base + 143)
    client.command("LOGIN bob@example.test secret")
    t.ok(b"* 12000 EXISTS" in client.command("SELECT INBOX")[1], "12,000 messages")
    for first in (1, 6001):
        asked = b",".join(b"%d" % number for number in range(first, first + 6000, 2))
        client.command(b"STORE %s +FLAGS.SILENT (\\Flagged)" % asked)
    client.command("SEARCH RETURN (SAVE) FLAGGED")
    count = client.command("SEARCH RETURN (COUNT) $")[1]
    t.ok(any(b"COUNT 6000" in answer for answer in count), "every other one is in $", count)
    client.send(b"i IDLE\r\n")
    t.ok(client.answer().startswith(b"+"), "the client idles")
    client.send(b"DONE\r\n")
    t.ok(client.wait(b"i")[0].startswith(b"OK"), "no more")
    count = client.command("SEARCH RETURN (COUNT) $")[1]
    t.ok(any(b"COUNT 6000" in answer for answer in count), "and they are still in it", count)
    client.close()


def connections(tern):
    """Descriptors of the fronts."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for name, pid in tern.pids() if name == str(tern.port_base + 993))


def deaf(tern):
    """It asks for much and reads nothing; an operator ends its session."""
    before, client = connections(tern), encrypted(tern)
    client.send(b"".join(b"d%d FETCH 1:* BODY.PEEK[]\r\n" % number for number in range(10)))
    time.sleep(0.5)
    t.ok(connections(tern) > before, "(a client that takes nothing is there)")
    t.is_(tern.run("kick", "ada@example.test").returncode, 0, "its session is ended")
    t.ok(t.wait_for(lambda: connections(tern) <= before, 20), "and its connection with it",
         (before, connections(tern)))
    client.close()


def closes(client):
    client.socket.close()


def says_goodbye(client):
    """TLS's own; the answer is not waited for."""
    client.socket.settimeout(0.01)
    try:
        client.socket.unwrap()
    except (OSError, ValueError):
        pass
    client.socket.close()


def plain(tern):
    client = Client(tern.port_base + 143)
    client.command("LOGIN ada@example.test secret")
    client.command("SELECT INBOX")
    return client


def gone(tern):
    """For a client that idles and goes without a word no session is made: it can go while mailbox makes none."""
    for what, log_in, go in (("plain", plain, closes), ("TLS", encrypted, closes), ("TLS, with its goodbye", encrypted, says_goodbye)):
        client = log_in(tern)
        client.send(b"i IDLE\r\n")
        client.answer()
        t.wait_for(lambda: all(row["idle"] for row in json.loads(tern.run("who", "--json").stdout)))
        before, mailbox = tern.log().count("disconnected: user=<ada"), tern.pid_of("mailbox")
        os.kill(mailbox, signal.SIGSTOP)
        try:
            go(client)
            t.ok(t.wait_for(lambda: tern.log().count("disconnected: user=<ada") > before, 20), f"{what}: the client goes")
        finally:
            os.kill(mailbox, signal.SIGCONT)
        t.ok(t.wait_for(lambda: tern.run("who").stdout == "", 20), f"{what}: mailbox hears of it")
    client = plain(tern)
    client.send(b"i IDLE\r\n")
    client.answer()
    client.send(b"DONE\r\na APPEND INBOX {6+}\r\nlast\r\n\r\n")
    client.socket.shutdown(socket.SHUT_WR)
    t.ok(client.wait(b"a")[0].startswith(b"OK"), "who has said something before is served")
    client.close()


def main():
    settings = ["auth_failure_delay=0", "mailbox_linger_limit=0", "mail_append_limit=10000000"]
    with t.Instance(settings=settings, tls=True) as tern:
        tern.add_user("ada")
        tern.add_user("bob")
        tern.start()
        behind_idle(tern, False)
        behind_idle(tern, True)
        compressed(tern)
        saved(tern)
        gone(tern)
        deaf(tern)
        tern.stop()


main()
t.done()
