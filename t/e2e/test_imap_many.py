#!/usr/bin/env python3
"""Very many clients in IDLE, each its own user in the system's sense too: what one costs, that they cost no processor,
that each hears of its own mailbox alone, and that operators see them, also after kill -9 of mailbox. TAP.

TERN_IDLE_IMAP is how many (150: more than the kernel allows one user inotify instances)."""

import json
import os
import re
import resource
import shutil
import signal
import time

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
if not t.is_root():
    t.skip_all("wants root, for users of their own")
MANY = int(os.environ.get("TERN_IDLE_IMAP", "150"))
MOST = 10  # KiB a client
FIRST_USER = 700000

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if 2 * MANY + 500 > hard:
    t.skip_all(f"{2 * MANY + 500} descriptors are not allowed here")
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def make_users(tern, path):
    lines = []
    for i in range(MANY):
        home = tern.mail / "many" / f"u{i}"
        for name in ("cur", "new", "tmp"):
            (home / "Maildir" / name).mkdir(parents=True)
        for place in (home, home / "Maildir", *(home / "Maildir" / name for name in ("cur", "new", "tmp"))):
            os.chown(place, FIRST_USER + i, FIRST_USER + i)
        lines.append(f"u{i}@{tern.domain}:{{PLAIN}}secret:{FIRST_USER + i}:{FIRST_USER + i}::{home}::\n")
    path.write_text("".join(lines))
    path.chmod(0o640)
    shutil.chown(path, group="tern-auth")
    for place in (tern.mail, tern.mail / "many"):
        place.chmod(0o755)


def processes(tern):
    return [pid for name, pid in tern.pids()]


def at_work(tern):
    """Processes of sessions, those that are over included."""
    mailbox = tern.pid_of("mailbox")
    with open(f"/proc/{mailbox}/task/{mailbox}/children", encoding="ascii") as file:
        return file.read().split()


def pss(tern):
    total = 0
    for pid in processes(tern):
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M)[1])
    return total


def processor(tern):
    """Seconds of all daemons."""
    total = 0
    for pid in processes(tern):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            total += sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def idle(tern, i):
    client = Client(tern.port_base + 143)
    client.command(f"LOGIN u{i}@{tern.domain} secret")
    client.command("SELECT INBOX")
    client.send(b"i IDLE\r\n")
    if not client.answer().startswith(b"+"):
        raise EOFError(f"client {i} cannot idle")
    return client


def deliver(tern, i, number):
    box = tern.mail / "many" / f"u{i}" / "Maildir"
    path = box / "tmp" / f"1700000{number:03}.{i}.foreign"
    path.write_bytes(b"From: ann@example.test\nSubject: x\n\nwords\n")
    os.chown(path, FIRST_USER + i, FIRST_USER + i)
    path.rename(box / "new" / path.name)


def who(tern):
    return json.loads(tern.run("who", "--json").stdout or "[]")


def main():
    with t.Instance(settings=["login_connection_limit=0"]) as tern:
        sanitized = b"__asan_init" in (tern.libexec / "imapd").read_bytes()
        users = tern.etc / "many-users"
        make_users(tern, users)
        tern.set(f"auth_sources = passwd-file:{users}\nmail_location = maildir:$virtual_mailbox_base/many/%n/Maildir")
        tern.start()
        first = idle(tern, 0)
        first.close()
        t.wait_for(lambda: not at_work(tern), 30)
        before, begun = pss(tern), time.monotonic()
        clients = [idle(tern, i) for i in range(MANY)]
        print(f"# {MANY} clients log in and idle within {time.monotonic() - begun:.1f} s", flush=True)
        t.ok(t.wait_for(lambda: not at_work(tern), 60), "no process is left of their sessions")
        each = (pss(tern) - before) / MANY
        print(f"# {each:.1f} KiB each (PSS of all daemons)", flush=True)
        t.ok(each <= (20 * MOST if sanitized else MOST), "none costs more than it may", each)
        spent = processor(tern)
        time.sleep(5)
        spent = processor(tern) - spent
        print(f"# {spent * 200:.0f} ms of processor time in a second", flush=True)
        t.ok(spent < 0.5, "they take next to no processor time", spent)
        t.ok("looked at from time to time" not in tern.log(), "each mailbox is watched")
        picked = sorted({i * MANY // 40 for i in range(40)})
        for number in (1, 2):
            for i in picked:
                deliver(tern, i, number)
            for i in picked:
                clients[i].socket.settimeout(20)
                while clients[i].answer() != b"* %d EXISTS" % number:
                    pass
        t.ok(True, f"{len(picked)} of them hear of their messages")
        t.ok(t.wait_for(lambda: sum(row["idle"] for row in who(tern)) == MANY, 30), "tern who shows all", len(who(tern)))
        os.kill(tern.pid_of("mailbox"), signal.SIGKILL)
        t.ok(t.wait_for(lambda: sum(row["idle"] for row in who(tern)) == MANY, 60), "after kill -9 of mailbox, too", len(who(tern)))
        deliver(tern, picked[1], 3)
        while clients[picked[1]].answer() != b"* 3 EXISTS":
            pass
        t.is_(tern.run("kick", f"u{picked[1]}@{tern.domain}").stdout.strip(), "1", "one is ended by tern kick")
        t.ok(clients[picked[1]].at_end() is not None, "its connection ends")
        # Those that say nothing need no process, and no front waits for what the kernel does about their watches.
        begun = time.monotonic()
        for client in clients[::2]:
            client.socket.close()
        t.ok(t.wait_for(lambda: len(who(tern)) <= MANY // 2, 20 + MANY / 100), "half of them go without a word", len(who(tern)))
        print(f"# within {time.monotonic() - begun:.1f} s", flush=True)
        begun = time.monotonic()
        for client in clients[1::2]:
            client.send(b"DONE\r\nz LOGOUT\r\n") if client is not clients[picked[1]] else client.close()
        t.ok(t.wait_for(lambda: not who(tern), 60 + MANY / (5 if sanitized else 20)), "the others log out", len(who(tern)))
        print(f"# within {time.monotonic() - begun:.1f} s", flush=True)
        for client in clients:
            client.close()
        tern.stop()


main()
t.done()
