#!/usr/bin/env python3
"""A process whose session is over waits for the next session of its account: which one gets it and which one never
does, that nothing of the session before is seen, how it ends, and that no login is lost with it."""

import json
import os
import signal
import socket

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "pop3d", "mailbox", "log")
MESSAGE = b"From: ann@example.test\r\nTo: ada@example.test\r\nSubject: %s\r\n\r\nsome words\r\n"
SETTINGS = ["auth_failure_delay=0", "auth_ban_exceptions=127.0.0.0/8", "mail_max_userip_connections=2", "mailbox_linger_time=600s"]


def processes(tern, *names):
    """{pid: name} of this instance's processes for sessions."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file:
                name = file.read().strip()
            if name in names and os.readlink(f"/proc/{pid}/exe").startswith(str(tern.libexec)):
                found[int(pid)] = name
        except OSError:
            pass
    return found


def at_work(tern):
    return sorted(processes(tern, "imap-session", "pop3-session"))


def waiting(tern):
    return sorted(processes(tern, "imap-waits", "pop3-waits"))


def log_in(tern, user="ada"):
    client = Client(tern.port_base + 143)
    try:
        client.login, _ = client.command(f"LOGIN {user}@example.test secret")
    except EOFError:
        client.login = client.input
    return client


def log_out(tern, client, *before):
    """Until the process waits."""
    client.command("LOGOUT")
    client.close()
    return t.wait_for(lambda: waiting(tern) if len(waiting(tern)) > len(before) else None)


def session(tern, user="ada"):
    """A whole session: the process that served it."""
    client = log_in(tern, user)
    pids = at_work(tern)
    waits = waiting(tern)
    good = client.login.startswith(b"OK") and client.command("SELECT INBOX")[0].startswith(b"OK")
    log_out(tern, client, *waits)
    return pids[0] if good and len(pids) == 1 else None


def pop3(tern, user="ada"):
    """(whether it was let in, the process)"""
    with socket.create_connection(("127.0.0.1", tern.port_base + 110), timeout=30) as connection:
        lines = connection.makefile("rwb")
        answers = [lines.readline()]
        for command in (f"USER {user}@example.test", "PASS secret", "STAT"):
            lines.write(command.encode() + b"\r\n")
            lines.flush()
            answers.append(lines.readline())
        pids = sorted(processes(tern, "pop3-session"))
        lines.write(b"QUIT\r\n")
        lines.flush()
        answers.append(lines.readline())
    good = all(answer.startswith(b"+OK") for answer in answers)
    t.wait_for(lambda: not processes(tern, "pop3-session"))
    return good, pids[0] if len(pids) == 1 else None


def end_all(tern):
    """As an operator's kick does; True if none is left."""
    for user in ("ada", "bob"):
        tern.run("kick", f"{user}@example.test")
    return t.wait_for(lambda: not waiting(tern))


def who_gets_it(tern):
    first = session(tern)
    t.ok(first and waiting(tern) == [first], "the process of a session that is over waits", (first, waiting(tern)))
    t.is_(session(tern), first, "the next session of the account is served by it")
    t.is_(session(tern), first, "and the one after that")
    other = session(tern, "bob")
    t.ok(other and other != first, "another account's session is not")
    t.is_(waiting(tern), sorted([first, other]), "both wait")
    client = log_in(tern)
    t.is_((at_work(tern), waiting(tern)), ([first], [other]), "each account has its own")
    second = log_in(tern)
    t.ok(second.login.startswith(b"OK") and len(at_work(tern)) == 2 and waiting(tern) == [other], "a second session beside it has a new one",
         at_work(tern))
    rows = json.loads(tern.run("who", "--json").stdout)
    t.is_(sorted(row["pid"] for row in rows), at_work(tern), "tern who shows those at work, none that waits")
    third = log_in(tern)
    t.ok(not third.login.startswith(b"OK"), "a third is one too many (mail_max_userip_connections)", third.login)
    third.close()
    for one in (client, second):
        one.command("LOGOUT")
        one.close()
    t.ok(t.wait_for(lambda: len(waiting(tern)) == 3), "those of all three wait", waiting(tern))
    good, pid = pop3(tern)
    t.ok(good and pid not in (first, other) and len(waiting(tern)) == 4, "POP3 has a process of its own", (good, pid, waiting(tern)))
    for _ in range(3):
        t.is_(pop3(tern), (True, pid), "POP3: the same process, and the lock is free again")
    t.ok(end_all(tern), "kick ends those that wait, too", waiting(tern))
    t.is_(json.loads(tern.run("who", "--json").stdout or "[]"), [], "nobody is there")


def nothing_is_left(tern):
    """What one session did the next one knows nothing of."""
    client = log_in(tern)
    pid = at_work(tern)
    client.command("ENABLE CONDSTORE QRESYNC UTF8=ACCEPT IMAP4rev2")
    client.command(b"CREATE \"B\xc3\xbccher\"")
    for name in (b"one", b"two"):
        client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(MESSAGE % name), MESSAGE % name))
    client.command("SELECT INBOX")
    saved = client.command("SEARCH RETURN (SAVE COUNT) ALL")
    t.ok(saved[0].startswith(b"OK"), "the first session saves a result", saved)
    client.compress()
    client.command("NOPE")
    descriptors = len(os.listdir(f"/proc/{pid[0]}/fd"))
    log_out(tern, client)
    left = {os.readlink(f"/proc/{pid[0]}/fd/{number}") for number in os.listdir(f"/proc/{pid[0]}/fd")}
    t.ok(len(left) < descriptors and not any(str(tern.mail) in name or "inotify" in name for name in left),
         "a process that waits has no file of the mailbox open", left)
    client = log_in(tern)
    t.is_(at_work(tern), pid, "the second session is in the same process")
    t.ok(client.command("FETCH 1 FLAGS")[0].startswith(b"BAD"), "no mailbox is selected")
    names = b" ".join(client.command('LIST "" "B*"')[1])
    t.ok(b"B&APw-cher" in names and b"\xc3\xbc" not in names, "UTF8=ACCEPT and IMAP4rev2 are off", names)
    result, answers = client.command("SELECT INBOX")
    t.ok(not any(answer.startswith(b"* VANISHED") for answer in answers) and any(b"RECENT" in answer for answer in answers), "QRESYNC is off",
         answers)
    result, answers = client.command("SEARCH $")
    t.is_(answers, [b"* SEARCH"], "$ is empty")
    result, answers = client.command("STORE 1 +FLAGS ($word)")
    t.ok(result.startswith(b"OK") and answers and not any(b"MODSEQ" in answer for answer in answers), "CONDSTORE is off", answers)
    t.ok(client.compress().startswith(b"OK"), "compression was off, and can be begun")
    t.ok(client.command("NOOP")[0].startswith(b"OK"), "compressed, it goes on")
    log_out(tern, client)

    client = log_in(tern)
    client.command("SELECT INBOX")
    client.send(b"i IDLE\r\n")
    t.ok(client.answer().startswith(b"+"), "a client idles")
    t.ok(t.wait_for(lambda: waiting(tern) == pid and not at_work(tern)), "its process waits")
    client.send(b"DONE\r\n")
    t.ok(client.wait(b"i")[0].startswith(b"OK") and at_work(tern) == pid, "and serves it again when it comes back")
    client.send(b"j IDLE\r\n")
    while not client.answer().startswith(b"+"):
        pass
    t.ok(t.wait_for(lambda: waiting(tern) == pid), "it idles again")
    other = log_in(tern)
    t.is_(at_work(tern), pid, "another client of the account gets the process meanwhile")
    other.command(b"APPEND INBOX {%d+}\r\n%s" % (len(MESSAGE % b"x"), MESSAGE % b"x"))
    t.ok(b"EXISTS" in client.answer(), "the idle one hears of its message, from another process")
    t.ok(t.wait_for(lambda: len(waiting(tern)) == 1), "which waits then")
    client.send(b"DONE\r\n")
    t.ok(client.wait(b"j")[0].startswith(b"OK"), "it goes on")
    t.is_(len(json.loads(tern.run("who", "--json").stdout)), 2, "tern who counts two")
    for one in (client, other):
        one.command("LOGOUT")
        one.close()
    t.ok(end_all(tern), "all are ended")


def no_login_is_lost(tern):
    first = session(tern)
    os.kill(first, signal.SIGKILL)
    t.ok(t.wait_for(lambda: not t.alive(first)), "a process that waits is killed")
    second = session(tern)
    t.ok(second and second != first, "the next login has another")
    t.freeze(second)
    client = Client(tern.port_base + 143)
    client.send(b"l LOGIN ada@example.test secret\r\n")
    t.ok(t.wait_for(lambda: [row["pid"] for row in json.loads(tern.run("who", "--json").stdout)] == [second]),
         "a process that hangs is given a session")
    os.kill(second, signal.SIGKILL)
    t.ok(client.wait(b"l")[0].startswith(b"OK"), "it dies before it has read so: another one answers")
    t.ok(client.command("SELECT INBOX")[0].startswith(b"OK") and second not in at_work(tern), "and goes on")
    third = at_work(tern)[0]
    log_out(tern, client)
    maildir = tern.mail / "example.test" / "ada" / "Maildir"
    maildir.rename(maildir.with_name("before"))
    client = log_in(tern)
    t.ok(client.login.startswith(b"OK") and at_work(tern) != [third], "a mailbox whose directory is another one by now has a new process",
         client.login)
    t.ok(b"* 0 EXISTS" in client.command("SELECT INBOX")[1], "and is the new one")
    log_out(tern, client)
    t.ok(end_all(tern), "all are ended")


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def leaks(tern):
    """Many sessions in one process, then it has served its time."""
    pids, sizes, files = [], [], []
    client = log_in(tern)
    for name in (b"one", b"two", b"three"):
        client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(MESSAGE % name), MESSAGE % name))
    log_out(tern, client)
    t.ok(end_all(tern), "messages are there")
    for number in range(110):
        client = log_in(tern)
        pids += at_work(tern)
        if number % 3 == 1:
            client.compress()
        client.command("SELECT INBOX")
        client.command("FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
        client.command("SEARCH TEXT words")
        client.command("NOPE")
        client.send(b"x FETCH {5+}\r\n12345 NOPE\r\n")
        client.wait(b"x")
        if number == 99:  # the last of the process
            client.command("LOGOUT")
            client.close()
            t.ok(t.wait_for(lambda: not waiting(tern) and not at_work(tern)), "after so many sessions it does not wait")
            continue
        log_out(tern, client)
        sizes.append(memory(waiting(tern)[0]))
        files.append(len(os.listdir(f"/proc/{waiting(tern)[0]}/fd")))
    t.is_(sorted(pids.count(pid) for pid in set(pids)), [10, 100], "a process serves a hundred sessions")
    with open(f"/proc/{waiting(tern)[0]}/maps") as maps:
        # What is freed stays aside with the sanitizer; there the process has been asked what it has allocated, or it would
        # not have waited a hundred times.
        room = 200000 if "libasan" in maps.read() else 200
    t.ok(sizes[90] - sizes[5] < room, f"its memory does not grow: {sizes[5]} KB, then {sizes[90]} KB")
    t.is_(files[90], files[5], "nor do its descriptors")
    for number in range(60):
        good, pid = pop3(tern)
        if number == 5:
            before = memory(pid), len(os.listdir(f"/proc/{pid}/fd"))
    after = memory(pid), len(os.listdir(f"/proc/{pid}/fd"))
    t.ok(after[0] - before[0] < room and after[1] == before[1], "neither do those of POP3's", (before, after))
    t.ok(end_all(tern), "all are ended")
    client = log_in(tern)
    client.command("SELECT INBOX")
    pids = set()
    for number in range(50):
        client.send(b"i IDLE\r\n")
        while not client.answer().startswith(b"+"):
            pass
        pids.update(t.wait_for(lambda: waiting(tern)))
        if number == 5:
            before = memory(*pids), len(os.listdir(f"/proc/{next(iter(pids))}/fd"))
        client.send(b"DONE\r\n")
        client.wait(b"i")
    client.send(b"i IDLE\r\n")
    pids.update(t.wait_for(lambda: waiting(tern)))
    after = memory(*pids), len(os.listdir(f"/proc/{next(iter(pids))}/fd"))
    t.ok(len(pids) == 1 and after[0] - before[0] < room and after[1] == before[1], "nor by IDLE again and again, in one process",
         (pids, before, after))
    client.close()
    t.ok(end_all(tern), "all are ended")


def ends(tern):
    """Nobody waits whom mailbox no longer knows."""
    session(tern)
    busy = log_in(tern, "bob")
    os.kill(tern.pid_of("mailbox"), signal.SIGKILL)
    t.ok(t.wait_for(lambda: not waiting(tern)), "mailbox is killed: those that wait end")
    t.ok(busy.command("NOOP")[0].startswith(b"OK"), "one at work goes on")
    busy.command("LOGOUT")
    t.ok(t.wait_for(lambda: not at_work(tern) and not waiting(tern)), "and ends with its session")
    t.ok(t.wait_for(lambda: log_in(tern).login.startswith(b"OK"), 20), "logins work again")
    t.wait_for(lambda: waiting(tern))
    busy = log_in(tern, "bob")
    tern.run("reload")
    t.ok(t.wait_for(lambda: not waiting(tern)), "a reload ends those that wait")
    t.ok(busy.command("NOOP")[0].startswith(b"OK"), "one at work goes on")
    busy.command("LOGOUT")
    t.ok(t.wait_for(lambda: not at_work(tern) and not waiting(tern)), "and ends with its session")
    tern.set("mailbox_linger_limit = 2")
    tern.run("reload")
    pids = [t.wait_for(lambda: session(tern, user), 20) for user in ("ada", "bob", "eve")]
    t.ok(t.wait_for(lambda: waiting(tern) == sorted(pids[1:])), "more than mailbox_linger_limit: the oldest ends", (pids, waiting(tern)))
    tern.set("mailbox_linger_time = 1s")
    tern.run("reload")
    t.ok(t.wait_for(lambda: session(tern), 20), "mailbox_linger_time = 1s: one waits")
    t.ok(t.wait_for(lambda: not waiting(tern)), "and ends")
    tern.set("mailbox_linger_time = 0")
    tern.run("reload")
    client = log_in(tern)
    t.ok(client.login.startswith(b"OK"), "mailbox_linger_time = 0: logins work")
    client.command("LOGOUT")
    t.ok(t.wait_for(lambda: not at_work(tern)) and not waiting(tern), "and none waits")
    tern.set("mailbox_linger_time = 600s")
    tern.run("reload")
    t.ok(t.wait_for(lambda: session(tern), 20) and waiting(tern), "600s: one waits again")
    tern.stop()
    t.ok(t.wait_for(lambda: not waiting(tern)), "everything stops: none is left")


with t.Instance(settings=SETTINGS) as tern:
    for user in ("ada", "bob", "eve"):
        tern.add_user(user)
    tern.start()
    who_gets_it(tern)
    nothing_is_left(tern)
    no_login_is_lost(tern)
    leaks(tern)
    ends(tern)
    log = tern.log()
    t.is_([line for line in log.splitlines() if "panic:" in line or "fatal:" in line or "Sanitizer" in line or "runtime error" in line], [],
          "nothing went wrong")
t.done()
