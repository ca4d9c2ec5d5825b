#!/usr/bin/env python3
"""Thousands of sessions that do nothing or next to nothing, while one client does
its work: what a session costs, and that the others are not in its way. TAP.

TERN_IDLE is the number of idle sessions (3000)."""

import os
import re
import resource
import select
import socket
import statistics
import threading
import time

import mail_peers as peers
import tern_test as t

IDLE = int(os.environ.get("TERN_IDLE", "3000"))
SLOW = 300            # sessions that send a byte a second
TRANSACTIONS = 60     # of the good client in each phase
WORST = 5.0           # seconds that none of them may take

if not t.program("master") or not t.program("smtpd"):
    t.skip_all("tern is not built")

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
NEEDED = IDLE + SLOW + 500
if hard != resource.RLIM_INFINITY and hard < NEEDED:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (NEEDED, NEEDED))
    except (ValueError, OSError):
        t.skip_all(f"{NEEDED} descriptors are not allowed here")
else:
    resource.setrlimit(resource.RLIMIT_NOFILE, (NEEDED, hard))


def smtpd_pids(tern):
    return sorted(pid for name, pid in tern.pids() if re.search(r"(^|\D)%d\b|smtpd" % tern.smtp_port, name))


def pss(pids):
    """KiB, of all these processes."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M)[1])
    return total


def source_address(number):
    return f"127.0.{number // 2000 + 1}.{number % 200 + 1}"


def open_idle(tern, number):
    """Sessions past EHLO. They are opened side by side; the answers are read as they come."""
    sessions, waiting = [], {}
    for first in range(0, number, 500):
        for i in range(first, min(first + 500, number)):
            session = socket.socket()
            session.bind((source_address(i), 0))
            session.settimeout(30)
            session.connect(("127.0.0.1", tern.smtp_port))
            sessions.append(session)
            waiting[session] = b""
        until = time.monotonic() + 30
        for session in list(waiting):
            session.settimeout(max(0.1, until - time.monotonic()))
            try:
                if session.recv(500)[:3] != b"220":
                    return sessions, f"session {len(sessions)}: no greeting"
                session.sendall(b"EHLO idle.example\r\n")
            except OSError as error:
                return sessions, f"session {len(sessions)}: {error}"
        for session in list(waiting):
            try:
                if session.recv(2000)[:3] != b"250":
                    return sessions, f"session {len(sessions)}: EHLO is refused"
            except OSError as error:
                return sessions, f"session {len(sessions)}: {error}"
            del waiting[session]
    return sessions, ""


sent = 0


def good_client(tern, name, seconds=0):
    """TRANSACTIONS, and for so many seconds: every other one on a connection of its own."""
    global sent
    times, refused = [], []
    end = time.monotonic() + seconds
    content = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 100
    standing = peers.Client(tern.smtp_port)
    while len(times) < TRANSACTIONS or time.monotonic() < end:
        started = time.monotonic()
        number = len(times)
        client = standing if number % 2 else peers.Client(tern.smtp_port)
        reply = client.mail("good@client.example", [f"ada@{tern.domain}"], content)[-1]
        times.append(time.monotonic() - started)
        if reply[0] != "250":
            refused.append(reply)
        if client is not standing:
            client.quit()
        sent += 1
        if seconds:
            time.sleep(0.01)
    standing.quit()
    print(f"# good client, {name}: {len(times)} messages, median {statistics.median(times) * 1000:.1f} ms, worst {max(times) * 1000:.1f} ms", flush=True)
    t.ok(not refused and max(times) < WORST, f"a client does its work, {name}", (refused[:3], max(times)))


def drip(sessions, stop):
    """A byte a second to each session, at any time, none of them a whole command."""
    while not stop.wait(1.0 / 20):
        for session in sessions[drip.turn::20]:
            try:
                session.send(b"X")
            except OSError:
                pass
        drip.turn = (drip.turn + 1) % 20


drip.turn = 0


def still_open(sessions):
    """How many have not been closed by the server."""
    count = 0
    poll = select.poll()
    by_number = {}
    for session in sessions:
        poll.register(session, select.POLLIN)
        by_number[session.fileno()] = session
    closed = {number for number, _ in poll.poll(0)}
    count = len(by_number) - len(closed)
    return count


def idle_sessions(tern):
    good_client(tern, "alone")
    pids = smtpd_pids(tern)
    before = pss(pids)
    started = time.monotonic()
    sessions, trouble = open_idle(tern, IDLE)
    t.ok(not trouble and len(sessions) == IDLE, f"{IDLE} sessions are served to their EHLO", trouble)
    print(f"# {IDLE} sessions opened in {time.monotonic() - started:.1f} s", flush=True)
    pids = smtpd_pids(tern)
    after = pss(pids)
    print(f"# smtpd ({len(pids)} processes): {before} KiB before, {after} KiB with {IDLE} idle sessions: "
          f"{(after - before) * 1024 / IDLE:.0f} bytes a session", flush=True)
    good_client(tern, f"beside {IDLE} idle sessions")
    t.is_(still_open(sessions), IDLE, "no idle session was closed")
    return sessions


def slow_sessions(tern, sessions):
    slow, stop = sessions[:SLOW], threading.Event()
    thread = threading.Thread(target=drip, args=(slow, stop))
    thread.start()
    good_client(tern, f"beside {SLOW} clients that send a byte a second as well", 4)
    stop.set()
    thread.join()
    t.is_(still_open(sessions), len(sessions), "they are borne with for smtpd_timeout")


def slow_content(tern):
    """Clients within their content, too, are in nobody's way."""
    clients = []
    for i in range(100):
        client = peers.Client(tern.smtp_port, source=source_address(i))
        for command in ("MAIL FROM:<slow@client.example>", f"RCPT TO:<ada@{tern.domain}>", "DATA"):
            reply = client.say(command)
        if reply[0] != "354":
            t.ok(False, "DATA", reply)
        clients.append(client)
    stop = threading.Event()
    thread = threading.Thread(target=drip, args=([x.socket for x in clients], stop))
    thread.start()
    good_client(tern, "beside 100 that drip into their content", 3)
    stop.set()
    thread.join()
    for client in clients:
        client.close()


def limits(tern, port):
    clients = [peers.Client(port, source="127.0.0.77") for _ in range(10)]
    t.ok(all(x.greeting[0] == "220" for x in clients), "as many sessions of one client as it may have")
    one_more = peers.Client(port, source="127.0.0.77", helo=None)
    t.ok(one_more.greeting[0] == "421" and "too many connections from 127.0.0.77" in one_more.greeting[1], "one more gets 421",
         one_more.greeting)
    t.ok(tern.wait_log("Connection concurrency limit exceeded: 11 from unknown[127.0.0.77] for service"), "and a warning")
    other = peers.Client(port, source="127.0.0.78")
    t.ok(other.greeting[0] == "220", "another client is served")
    clients.pop().quit()

    def again():
        client = peers.Client(port, source="127.0.0.77", helo=None)
        client.close()
        return client.greeting[0] == "220"

    t.ok(t.wait_for(again), "and the first again when one of its sessions has ended")
    for client in [*clients, one_more, other]:
        client.close()


def full_service(tern, port, most):
    """More clients than a service of one process has sessions: the rest waits its turn."""
    clients = []
    for i in range(most + 5):
        client = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source_address(i), 0))
        clients.append(client)
    served = t.wait_for(lambda: len(select.select(clients, [], [], 0.2)[0]) >= most, 10)
    t.ok(served, f"{most} clients are greeted at once")
    t.is_(len(select.select(clients, [], [], 0.5)[0]), most, "and no more than there is room for")
    for client in clients[:5]:
        client.sendall(b"QUIT\r\n")
    t.ok(t.wait_for(lambda: len(select.select(clients[most:], [], [], 0.2)[0]) == 5, 10), "who waited is served as others leave")
    t.ok(all(x.recv(3) == b"220" for x in clients[most:]), "with a greeting")
    for client in clients:
        client.close()


def several_processes(tern, port):
    clients = [peers.Client(port, source=source_address(i)) for i in range(45)]
    t.ok(all(x.greeting[0] == "220" for x in clients), "a service of several processes makes as many as it takes")
    for client in clients:
        client.quit()


def main():
    room = 2 * (IDLE + SLOW + 200)
    settings = ["smtpd_peername_lookup=no", f"service_session_limit={room}", "smtpd_timeout=300s", "drain_time=1s"]
    with t.Instance(settings=settings) as tern:
        limited = tern.port_base + 26
        tern.set(f"{limited} inet n - - - - smtpd\n  -o smtpd_client_connection_count_limit=10"
                 " -o smtpd_client_event_limit_exceptions=", "master.cf")
        full, several = tern.port_base + 27, tern.port_base + 28
        tern.set(f"{full} inet n - - - 1 smtpd\n  -o service_session_limit=20 -o smtpd_stress_threshold_percent=100", "master.cf")
        tern.set(f"{several} inet n - - - 4 smtpd\n  -o service_session_limit=20 -o smtpd_stress_threshold_percent=100", "master.cf")
        tern.add_user("ada")
        tern.start()
        all_pids = sorted(pid for name, pid in tern.pids() if name not in ("local", "virtual", "smtp", "bounce"))
        sessions = idle_sessions(tern)
        slow_sessions(tern, sessions)
        slow_content(tern)
        for session in sessions:
            session.close()
        t.ok(t.wait_for(lambda: tern.log().count("lost connection after") >= IDLE - SLOW, 20), "their ends are noted",
             tern.log().count("lost connection after"))
        good_client(tern, "when they have gone")
        print(f"# smtpd afterwards: {pss(smtpd_pids(tern))} KiB", flush=True)
        limits(tern, limited)
        full_service(tern, full, 20)
        several_processes(tern, several)
        now = sorted(pid for _, pid in tern.pids())
        t.ok(set(all_pids) <= set(now), "no process was replaced", (all_pids, now))
        t.ok(t.wait_for(lambda: len(tern.mailbox("ada")) >= sent, 20), "all mail of the good client has arrived",
             len(tern.mailbox("ada")))
        peers.check_health(tern)


main()
t.done()
