#!/usr/bin/env python3
"""A mixed load by 50 clients while sessions, imapd, auth, mailbox and local are killed: nothing that was answered OK is
lost, no UID means two messages, no wrong number is told (imap_chaos.py). Then without the caches.

TERN_IMAP_CLIENTS, TERN_IMAP_SECONDS and TERN_IMAP_SEED: how many clients, how long (20 s), and what is done."""

import os
import random
import shutil
import signal
import smtplib
import threading
import time

import imap_chaos as chaos
import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "local", "log")
if not t.is_root():
    t.skip_all("wants root, to find the processes of others")
SECONDS = float(os.environ.get("TERN_IMAP_SECONDS", "20"))
SEED = os.environ.get("TERN_IMAP_SEED") or str(random.randrange(1 << 32))
SANITIZERS = "--enable-sanitizers" in (t.BUILD / "config.log").read_text(errors="replace") if (t.BUILD / "config.log").is_file() else False
CLIENTS = int(os.environ.get("TERN_IMAP_CLIENTS", "20" if SANITIZERS else "50"))
USERS = ["ada", "bob", "cyd", "dan", "eve"][:max(1, CLIENTS // 10)]
KILLED = ("session", "session", "session", "session", "imapd", "mailbox", "auth", "local")


def processes(tern, name):
    """The processes of a program of this instance; "session": mailbox's children."""
    exe = str(tern.libexec / ("mailbox" if name == "session" else name))
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") != exe:
                continue
            with open(f"/proc/{pid}/comm") as comm:
                if (comm.read().strip() == "imap-session") == (name == "session"):
                    found.append(int(pid))
        except OSError:
            pass
    return found


class Killer(threading.Thread):
    def __init__(self, tern, over):
        super().__init__(daemon=True)
        self.tern, self.over, self.killed, self.next = tern, over, {}, []
        self.chance = random.Random(f"{SEED} killer")

    def run(self):
        while not self.over.wait(0.2 + self.chance.random()):
            if not self.next:  # all of them, in whatever order, before any comes again
                self.next = self.chance.sample(KILLED, len(KILLED))
            name = self.next.pop()
            pids = processes(self.tern, name)
            if not pids:
                self.next.insert(0, name)  # it has not begun yet: later
            for pid in self.chance.sample(pids, min(len(pids), self.chance.choice((1, 1, 5)))) if name == "session" else pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                    self.killed[name] = self.killed.get(name, 0) + 1
                except ProcessLookupError:
                    pass


class Sender(threading.Thread):
    """Delivers, by LMTP and by SMTP in turns."""

    def __init__(self, tern, number, over):
        super().__init__(daemon=True)
        self.tern, self.number, self.over = tern, number, over
        self.accepted = {user: set() for user in USERS}
        self.chance = random.Random(f"{SEED} sender {number}")

    def run(self):
        count = 0
        while not self.over.wait(self.chance.random() * 0.1):
            count += 1
            user, token = self.chance.choice(USERS), f"sd{self.number}.{count}"
            kind, port = (smtplib.LMTP, self.tern.lmtp_port) if self.number % 2 else (smtplib.SMTP, self.tern.smtp_port)
            try:
                with kind("127.0.0.1", port, local_hostname="client.test", timeout=60) as session:
                    session.sendmail("ann@example.test", [f"{user}@example.test"], chaos.message(token))
                self.accepted[user].add(token)
            except (smtplib.SMTPException, OSError):
                time.sleep(0.2)


def make_folders(tern, user):
    client = Client(tern.port_base + 143)
    client.command(f"LOGIN {user}@example.test secret")
    for folder in ("Work", "Copies"):
        client.command(f"CREATE {folder}")
    client.close()


def all_told(tern, user):
    """What a fresh session is told of every folder, and finds."""
    client = Client(tern.port_base + 143)
    client.command(f"LOGIN {user}@example.test secret")
    told = []
    for folder in (*chaos.FOLDERS, "Copies"):
        told += [answer for answer in client.command(f"EXAMINE {folder}")[1] if b"RECENT" not in answer]
        for command in ("FETCH 1:* (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE EMAILID SAVEDATE)", "UID SEARCH SUBJECT .1",
                        "UID SEARCH HEADER X-Token m", "UID SORT (REVERSE SUBJECT) UTF-8 ALL", "UID THREAD REFERENCES UTF-8 ALL",
                        f"STATUS {folder} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE HIGHESTMODSEQ MAILBOXID)"):
            result, answers = client.command(command)
            told += [result[:2], *answers]
    client.close()
    return told


def without_caches(tern):
    before = {user: all_told(tern, user) for user in USERS}
    tern.stop()
    gone = 0
    for folder, names, _ in os.walk(tern.directory):
        for name in list(names):
            if "cache" in name.lower():
                shutil.rmtree(os.path.join(folder, name))
                names.remove(name)
                gone += 1
    t.ok(gone >= len(USERS), "the caches are deleted", gone)
    tern.start()
    for user in USERS:
        now = all_told(tern, user)
        odd = [pair for pair in zip(before[user], now) if pair[0] != pair[1]]
        t.ok(now == before[user] and len(now) > 30, f"{user}: without a cache a client is told the same ({len(now)} answers)", odd[:3])


def load(tern):
    over, quiet = threading.Event(), threading.Event()
    boxes = {user: chaos.Mailbox(f"{user}@example.test") for user in USERS}
    actors = [chaos.Actor(tern.port_base + 143, boxes[USERS[number % len(USERS)]], number, SEED, "secret", over) for number in range(CLIENTS)]
    senders, killer = [Sender(tern, number, over) for number in range(2)], Killer(tern, quiet)
    for thread in (*actors, *senders, killer):
        thread.start()
    time.sleep(SECONDS)
    quiet.set()
    killer.join()
    over.set()
    for thread in (*actors, *senders):
        thread.join(90)
    t.ok(not any(thread.is_alive() for thread in (*actors, *senders)), "no client is stuck")
    counts = {}
    for box in boxes.values():
        for what, count in box.counts.items():
            counts[what] = counts.get(what, 0) + count
    print(f"# done: {counts}; connected again: {sum(actor.reconnects for actor in actors)}; killed: {killer.killed}")
    print(f"# delivered: {sum(len(tokens) for sender in senders for tokens in sender.accepted.values())}; longest round: {max(actor.longest for actor in actors):.2f} s")
    t.ok(all(counts.get(what, 0) > 0 for what in ("append", "flag", "flag_number", "move", "copy", "expunge", "read", "idle")), "everything was done", counts)
    t.ok(all(name in killer.killed for name in KILLED) or SECONDS < 20, "everything was killed", killer.killed)
    return boxes, actors, senders


def settle(tern):
    """Until all deliveries have arrived."""
    def settled():
        tern.queue_tool("ternqueue", "-f")
        return not tern.queued("tmp", "new", "cur", "hold")
    t.ok(t.wait_for(settled, 60, 0.5), "the queue is empty in the end", tern.queued())


def main():
    print(f"# TERN_IMAP_SEED={SEED}, {CLIENTS} clients, {SECONDS:.0f} s")
    settings = ["auth_failure_delay=0", "auth_ban_exceptions=127.0.0.0/8", "mail_max_userip_connections=0", "minimal_backoff_time=1s",
                "maximal_backoff_time=2s", "queue_run_delay=1s", "smtpd_client_connection_count_limit=0"]
    with t.Instance(settings=settings) as tern:
        for user in USERS:
            tern.add_user(user)
        (tern.etc / "users.passwd").write_text("".join(f"{user}@example.test:{{PLAIN}}secret\n" for user in USERS))
        tern.start()
        for user in USERS:
            make_folders(tern, user)
        boxes, actors, senders = load(tern)
        settle(tern)
        port, twice = tern.port_base + 143, 0
        for user, box in boxes.items():
            twice += chaos.check_mailbox(port, box, "secret", set().union(*(sender.accepted[user] for sender in senders)))
        compared = sum(chaos.check_states(port, box, [actor for actor in actors if actor.mailbox is box], "secret") for box in boxes.values())
        print(f"# deliveries that came twice, after a kill: {twice}; compared by QRESYNC: {compared}")
        for user, box in boxes.items():
            t.is_(box.faults[:20], [], f"{user}: {len(box.promised)} messages and {len(box.flags) + len(box.own)} flags are as promised, no number was wrong")
        t.ok(compared > 0, "QRESYNC was compared")
        without_caches(tern)
        said = [line for line in tern.log().splitlines() if "panic:" in line or "fatal:" in line or "Sanitizer" in line or "runtime error" in line]
        t.is_(said[:5], [], "no daemon had a fault")
        tern.stop()


main()
t.done()
