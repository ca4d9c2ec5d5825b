#!/usr/bin/env python3
"""Clients that attack at full speed, in processes of their own, while one client does
its work: garbage, unknown recipients, connections by the thousand, content without
an end, replies that nobody reads. (Each limit by itself is in dialogues/smtpd.) TAP."""

import multiprocessing
import os
import random
import re
import socket
import statistics
import time

import mail_peers as peers
import tern_test as t

SECONDS = 3       # of each attack
ATTACKERS = 3     # processes, of PARALLEL sessions each
PARALLEL = 10
WORST = 5.0       # seconds that no transaction of the good client may take
SIZE_LIMIT = 1000000
MEMORY = 300000   # KiB that smtpd may have grown to in the end

if not t.program("master") or not t.program("smtpd"):
    t.skip_all("tern is not built")


def dial(port, rng):
    session = socket.socket()
    session.bind((f"127.9.{rng.randint(0, 255)}.{rng.randint(1, 254)}", 0))
    session.settimeout(2)
    session.connect(("127.0.0.1", port))
    return session


def garbage(session, rng):
    session.sendall(b"".join(rng.randbytes(rng.randint(1, 3000)) + b"\r\n" for _ in range(20)))
    return len(session.recv(65536)) > 0


def unknown_recipients(session, rng):
    session.sendall(b"EHLO x.example\r\nMAIL FROM:<a@x.example>\r\n" +
                    b"".join(b"RCPT TO:<no-%d@example.test>\r\n" % rng.getrandbits(40) for _ in range(500)))
    return b"421" not in session.recv(65536)


def storm(session, rng):
    return False


def no_end(session, rng):
    if session not in no_end.begun:
        no_end.begun.add(session)
        session.sendall(b"EHLO x.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<ada@example.test>\r\nDATA\r\n")
        session.recv(4096)
    session.sendall(b"0123456789abcdef\r\n" * 4000)
    return True


no_end.begun = set()


def deaf(session, rng):
    session.sendall(b"EHLO x.example\r\n" * 200)
    return True


def half(session, rng):
    session.sendall(rng.choice([b"EHLO x.exam", b"MAIL FR", b"\r", b"EHLO x.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<ada@example.test>\r\nDATA\r\nhalf"]))
    return False


def attack(kind, port, seed, until):
    rng = random.Random(seed)
    sessions = []
    while time.monotonic() < until:
        try:
            if len(sessions) < PARALLEL:
                sessions.append(dial(port, rng))
            session = rng.choice(sessions)
            if not kind(session, rng):
                sessions.remove(session)
                session.close()
        except OSError:
            if session in sessions:
                sessions.remove(session)
            session.close()
    os._exit(0)


def good_client(tern, name, end):
    times, refused = [], []
    while time.monotonic() < end or len(times) < 20:
        started = time.monotonic()
        try:
            client = peers.Client(tern.smtp_port)
            reply = client.mail("good@client.example", ["ada@example.test"], b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 50)[-1]
            client.quit()
        except OSError as error:
            reply = (repr(error), "")
        times.append(time.monotonic() - started)
        if reply[0] != "250":
            refused.append(reply)
        time.sleep(0.01)
    print(f"# {name}: {len(times)} messages, median {statistics.median(times) * 1000:.1f} ms, worst {max(times) * 1000:.1f} ms", flush=True)
    t.ok(not refused and max(times) < WORST, f"a client does its work: {name}", (refused[:3], max(times)))
    return len(times)


def under_attack(tern, kind):
    until = time.monotonic() + SECONDS
    attackers = [multiprocessing.Process(target=attack, args=(kind, tern.smtp_port, i, until), daemon=True) for i in range(ATTACKERS)]
    for process in attackers:
        process.start()
    sent = good_client(tern, kind.__name__.replace("_", " "), until)
    for process in attackers:
        process.join(20)
    return sent


def memory(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M)[1])
    return total


def main():
    settings = ["smtpd_peername_lookup=no", f"message_size_limit={SIZE_LIMIT}", "smtpd_timeout=20s"]
    with t.Instance(settings=settings) as tern:
        tern.add_user("ada")
        tern.start()
        before = [pid for name, pid in tern.pids()]
        sent = good_client(tern, "alone", time.monotonic() + 1)
        for kind in (garbage, unknown_recipients, storm, no_end, deaf, half):
            sent += under_attack(tern, kind)
        sent += good_client(tern, "afterwards", time.monotonic() + 1)
        smtpd = [pid for name, pid in tern.pids() if re.search(r"smtpd|%d" % tern.smtp_port, name)]
        used = memory(smtpd)
        print(f"# smtpd afterwards: {used} KiB in {len(smtpd)} processes", flush=True)
        with open(f"/proc/{smtpd[0]}/maps", encoding="ascii", errors="replace") as file:
            sanitized = "asan" in file.read()
        t.ok(sanitized or used < MEMORY, "its memory has bounds", used)
        t.ok(t.wait_for(lambda: len(tern.mailbox("ada")) >= sent, 30, 0.1), "all mail of the good client has arrived, once",
             (len(tern.mailbox("ada")), sent))
        t.is_(len(tern.mailbox("ada")), sent, "and nothing of the attackers'")
        t.ok(set(before) <= {pid for _, pid in tern.pids()}, "no process was replaced", (before, tern.pids()))
        t.ok(t.wait_for(lambda: peers.queue_is_empty(tern), 25, 0.1), "nothing is left in the queue's folders",
             [str(x) for x in (tern.spool / "queue").glob("*/*")][:10])
        peers.check_health(tern)


main()
t.done()
