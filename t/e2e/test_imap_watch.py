#!/usr/bin/env python3
"""A client that idles is told of what a foreign program delivers, again and again, and all of it by one inotify instance:
a session hands it to imapd with the client, and imapd to the next session. TAP."""

import ctypes
import os
import re
import signal
import socket
import ssl
import time

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
if not t.is_root():
    t.skip_all("wants root, to look into other processes")
OWNER = 699999
PIDFD_GETFD, TIMES, MANY = 438, 4, 20
COUNTS = {"ada": TIMES, "bob": TIMES}  # messages that are there already
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


def watched(entry):
    """The inodes."""
    return sorted(re.findall(r"wd:\w+ ino:(\w+)", entry[2]))


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
    watches = watched(held(tern)[0])
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
        t.ok(t.wait_for(lambda: sorted(watched(entry) for entry in instances(tern)) == [watches]), f"{how}: and the same is watched",
             (instances(tern), watches))
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


def idle(tern, user):
    client = connect(tern, False)
    client.command(f"LOGIN {user}@example.test secret")
    client.command("SELECT INBOX")
    client.send(b"i IDLE\r\n")
    client.answer()
    return client


def hears(client, count):
    client.socket.settimeout(10)  # without a watch it would be half a minute
    try:
        while client.answer() != b"* %d EXISTS" % count:
            pass
        return True
    except OSError:
        return False


def hog(uid):
    """A process that leaves this user no inotify instance."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setuid(uid)
        while LIBRARY.inotify_init1(0) >= 0:
            pass
        os.write(told, b"x")
        signal.pause()
    os.read(ready, 1)
    os.close(ready)
    os.close(told)
    return pid


def many_of_one_owner(tern):
    """All mailboxes are one user's, who may have no more instances: one is enough."""
    clients = [idle(tern, "ada")]
    held(tern)
    box = tern.mail / "example.test"
    hogging = hog((box / "ada").stat().st_uid)
    users = ["ada", "bob", *(f"user{i}" for i in range(MANY))]
    clients += [idle(tern, user) for user in users]
    t.ok(t.wait_for(lambda: [len(watched(entry)) for entry in instances(tern)] == [3 * len(users)], 20),
         f"one inotify instance watches {len(users)} mailboxes", instances(tern))
    t.ok("looked at from time to time" not in tern.log(), "none of them is looked at from time to time")
    os.kill(hogging, signal.SIGKILL)
    os.waitpid(hogging, 0)
    for turn in range(3):
        for user in users:
            deliver(box / user / "Maildir", 100 + turn)
        for i, client in enumerate(clients):
            count = turn + 1 + (COUNTS.get(users[max(0, i - 1)], 0))
            if not hears(client, count):
                t.ok(False, f"client {i} hears of message {count}", tern.log()[-500:])
                return
    t.ok(True, "each client hears of each message, two of one mailbox as well")
    for client in clients[::2]:
        client.close()
    t.ok(t.wait_for(lambda: [len(watched(entry)) for entry in instances(tern)] == [3 * len(clients[1::2])], 20),
         "who goes takes its watches along", instances(tern))
    for client in clients[1::2]:
        client.close()
    t.ok(t.wait_for(lambda: not instances(tern)), "and the last one the instance", instances(tern))


def main():
    # Of one who owns nothing else: who has no inotify instance left would not hear of mail in other tests either.
    owner = [f"{name}{OWNER}" for name in ("virtual_uid_maps=static:", "virtual_gid_maps=static:", "mail_uid=", "mail_gid=")]
    with t.Instance(tls=True, settings=owner) as tern:
        os.chown(tern.mail, OWNER, OWNER)
        for user in ("ada", "bob", *(f"user{i}" for i in range(MANY))):
            tern.add_user(user)
        tern.start()
        pushes(tern, "ada", False)
        pushes(tern, "bob", True)
        many_of_one_owner(tern)
        tern.stop()


main()
t.done()
