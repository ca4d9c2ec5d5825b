#!/usr/bin/env python3
"""A client that idles is told of what a foreign program delivers, again and again, and all of it by one inotify instance:
a session hands it to imapd with the client, and imapd to the next session. TAP."""

import ctypes
import os
import re
import socket
import ssl
import time

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
if not t.is_root():
    t.skip_all("wants root, to look into other processes")
PIDFD_GETFD, TIMES = 438, 4
LIBRARY = ctypes.CDLL(None, use_errno=True)


def fronts(tern):
    return [pid for name, pid in tern.pids() if name in (str(tern.port_base + 143), str(tern.port_base + 993))]


def instances(tern):
    """[(process, descriptor, what it watches)] of the fronts' inotify instances."""
    found = []
    for pid in fronts(tern):
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{number}") == "anon_inode:inotify":
                    with open(f"/proc/{pid}/fdinfo/{number}") as info:
                        found.append((pid, int(number), info.read()))
            except OSError:
                pass
    return found


def held(tern):
    """The one that a client who idles has left with its front."""
    return t.wait_for(lambda: (found := instances(tern)) and all("inotify wd:" in entry[2] for entry in found) and found, 20) or []


def mark(pid, descriptor, directory):
    """Has the instance watch a directory in which nothing happens: by that it is known again."""
    process = os.pidfd_open(pid)
    ours = LIBRARY.syscall(PIDFD_GETFD, process, descriptor, 0)
    os.close(process)
    if ours < 0:
        return False
    watch = LIBRARY.inotify_add_watch(ours, str(directory).encode(), 0x400)  # IN_DELETE_SELF
    os.close(ours)
    return watch > 0


def is_marked(entry, directory):
    return f"ino:{directory.stat().st_ino:x} " in entry[2]


def deliver(box, number):
    """As mutt or procmail do."""
    name = f"1700000{number:03}.{os.getpid()}.foreign"
    owner = box.stat()
    path = box / "tmp" / name
    path.write_bytes(b"From: ann@example.test\nSubject: x\n\nwords\n")
    os.chown(path, owner.st_uid, owner.st_gid)
    path.rename(box / "new" / name)


def connect(tern, encrypted):
    if not encrypted:
        return Client(tern.port_base + 143)
    raw = socket.create_connection(("127.0.0.1", tern.port_base + 993), timeout=30)
    return Client(0, connection=ssl._create_unverified_context().wrap_socket(raw))


def pushes(tern, user, encrypted):
    how = "TLS" if encrypted else "plain"
    client = connect(tern, encrypted)
    client.command(f"LOGIN {user}@example.test secret")
    client.command("SELECT INBOX")
    client.send(b"i IDLE\r\n")
    t.ok(client.answer().startswith(b"+"), f"{how}: a client idles")
    box, elsewhere = tern.mail / "example.test" / user / "Maildir", tern.top / f"marked-{user}"
    elsewhere.mkdir()
    [instance, *more] = held(tern) or [None]
    t.ok(instance and not more, f"{how}: its front has one inotify instance", (instance, more))
    t.ok(mark(*instance[:2], elsewhere) and is_marked(held(tern)[0], elsewhere), f"{how}: it can be known again")
    watches = set(re.findall(r"wd:(\d+) ino:(\w+)", held(tern)[0][2]))
    slowest = 0
    for number in range(1, TIMES + 1):
        begun = time.monotonic()
        deliver(box, number)
        said = []
        while not any(answer == b"* %d EXISTS" % number for answer in said):
            said.append(client.answer())
        slowest = max(slowest, time.monotonic() - begun)
        [now, *more] = held(tern) or [("", "", "")]
        t.ok(not more and is_marked(now, elsewhere), f"{how}: told of message {number}, it idles with the same instance", (now, more))
        t.is_(set(re.findall(r"wd:(\d+) ino:(\w+)", now[2])), watches, f"{how}: and no watch was added")
    # Without it the folder would be looked at twice a minute.
    t.ok(slowest < 10, f"{how}: the slowest push took {slowest * 1000:.0f} ms")
    client.send(b"DONE\r\n")
    t.ok(client.wait(b"i")[0].startswith(b"OK"), f"{how}: DONE")
    t.ok(t.wait_for(lambda: not instances(tern)), f"{how}: and the front has none any more", instances(tern))
    client.command("SELECT INBOX")
    client.send(b"j IDLE\r\n")
    client.answer()
    held(tern)
    client.close()
    t.ok(t.wait_for(lambda: not instances(tern)), f"{how}: who goes while idling leaves none behind", instances(tern))


def main():
    with t.Instance(tls=True) as tern:
        for user in ("ada", "bob"):
            tern.add_user(user)
        tern.start()
        pushes(tern, "ada", False)
        pushes(tern, "bob", True)
        tern.stop()


main()
t.done()
