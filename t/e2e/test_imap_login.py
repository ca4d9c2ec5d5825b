"""IMAP through the front: login, STARTTLS, and IDLE that goes from a session back to the front and to another session."""

import imaplib
import os
import ssl

import tern_test as t

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
MESSAGE = b"From: ann@example.test\r\nTo: ada@example.test\r\nSubject: %s\r\n\r\nsome words\r\n"


def connect(tern, encrypted):
    client = imaplib.IMAP4("127.0.0.1", tern.port_base + 143, timeout=30)
    if encrypted:
        client.starttls(ssl._create_unverified_context())
    return client


def log_in(tern, encrypted=False):
    client = connect(tern, encrypted)
    client.login("ada@example.test", "secret")
    return client


def dialogue(tern, encrypted):
    kind = "TLS" if encrypted else "clear"
    client = connect(tern, encrypted)
    try:
        client.login("ada@example.test", "wrong")
        wrong = "let in"
    except imaplib.IMAP4.error as error:
        wrong = str(error)
    t.ok("AUTHENTICATIONFAILED" in wrong, f"{kind}: a wrong password is refused", wrong)
    t.is_(client.login("ada@example.test", "secret")[0], "OK", f"{kind}: the right one is not")
    before = int(client.select()[1][0])
    typ, data = client.append("INBOX", "(\\Seen $Work)", None, MESSAGE % b"one")
    t.ok(typ == "OK" and b"APPENDUID" in data[0], f"{kind}: APPEND", data)
    client.noop()
    typ, data = client.fetch(str(before + 1), "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    t.ok(b"$Work" in data[0][0] and data[0][1] == b"Subject: one\r\n\r\n", f"{kind}: it is read as it was written", data)

    client.send(b"i1 IDLE\r\n")
    t.ok(client.readline().startswith(b"+ "), f"{kind}: IDLE begins")
    t.ok(t.wait_for(lambda: not sessions()), f"{kind}: an idle client has no process")
    other = log_in(tern)
    other.append("INBOX", None, None, MESSAGE % b"two")
    told = client.readline()
    t.is_(told, b"* %d EXISTS\r\n" % (before + 2), f"{kind}: another session's message is pushed")
    other.select()
    other.store(str(before + 1), "+FLAGS", "\\Deleted")
    other.expunge()
    seen = []
    while not any(b"EXPUNGE" in line for line in seen) and len(seen) < 10:
        seen.append(client.readline())
    t.ok(any(line == b"* %d EXPUNGE\r\n" % (before + 1) for line in seen), f"{kind}: an expunge, by its right number", seen)
    client.send(b"DONE\r\n")
    line = client.readline()
    while line and not line.startswith(b"i1 "):
        line = client.readline()
    t.is_(line, b"i1 OK Idle completed\r\n", f"{kind}: DONE ends it")
    client.tagged_commands.clear()
    typ, data = client.fetch(f"1:{before + 1}", "(UID)")
    t.is_(len(data), before + 1, f"{kind}: the view is what the client was told")
    client.logout()
    other.logout()


def sessions():
    """Processes of sessions that are there."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file:
                if file.read().strip() == "imap-session":
                    found.append(pid)
        except OSError:
            pass
    return found


with t.Instance(tls=True) as tern:
    tern.add_user("ada")
    tern.start()
    dialogue(tern, False)
    dialogue(tern, True)
    log = tern.log()
    t.ok("login: user=<ada@example.test>, method=PLAIN, rip=127.0.0.1, TLS" in log, "the log says who came, and how")
    t.is_([line for line in log.splitlines() if "panic:" in line or "fatal:" in line or "Sanitizer" in line], [], "nothing went wrong")
    tern.stop()
t.done()
