"""IMAP through the front: login, STARTTLS, and IDLE that goes from a session back to the front and to another session;
and what is left when one of the processes is killed."""

import base64
import imaplib
import os
import signal
import socket
import ssl

import account_peers
import tern_test as t
from imap_client import Client

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
    """Processes of sessions that are there, of this instance."""
    found = []
    ours = {str(instance.libexec / "mailbox") for instance in t.Instance.alive}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") not in ours:
                continue
            with open(f"/proc/{pid}/comm") as file:
                if file.read().strip() == "imap-session" and os.readlink(f"/proc/{pid}/exe").startswith(str(tern.libexec)):
                    found.append(pid)
        except OSError:
            pass
    return found


def raw(tern, login=True, encrypted=False):
    """A client byte by byte; encrypted: on the port of TLS from the first byte."""
    connection = socket.create_connection(("127.0.0.1", tern.port_base + (993 if encrypted else 143)), timeout=30)
    if encrypted:
        connection = ssl._create_unverified_context().wrap_socket(connection)
    client = Client(0, connection=connection)
    if login:
        client.command("LOGIN ada@example.test secret")
    return client


def authenticate(tern):
    client = raw(tern, login=False)
    t.ok(b"AUTH=PLAIN" in client.greeting and b"AUTH=SCRAM-SHA-256" in client.greeting and b"STARTTLS" in client.greeting, "the greeting",
         client.greeting)
    t.ok(client.command("SELECT INBOX")[0].startswith(b"BAD"), "no SELECT before the login")
    t.ok(client.command("AUTHENTICATE FOO")[0].startswith(b"NO No such"), "an unknown mechanism is refused, and is no wrong password")
    t.ok(b" IDLE " in client.greeting, "IDLE is told of at once")
    for command in ("NOOP x", "ID", "ID (", "ID (\"name\")", "LOGOUT x"):
        t.ok(client.command(command)[0].startswith(b"BAD"), f"arguments that are none: {command}")
    t.ok(client.command('ID ("name" NIL)')[1] == [b'* ID ("name" "tern")'], "ID before the login")
    client.send(b"a+b NOOP\r\n")
    t.ok(client.line().startswith(b"* BAD"), "a tag that is none is not answered")
    client.send(b"c AUTHENTICATE PLAIN\r\n")
    client.line()
    client.send(b"*\r\n")
    t.ok(client.wait(b"c")[0].startswith(b"BAD"), "a login that the client gives up")
    wrong = base64.b64encode(b"\0ada@example.test\0no").decode()
    t.ok(client.command(f"AUTHENTICATE PLAIN {wrong}")[0].startswith(b"NO [AUTHENTICATIONFAILED]"), "PLAIN, wrong")
    t.ok(client.command("LOGIN nobody@example.test secret")[0].startswith(b"NO [AUTHENTICATIONFAILED]"), "nobody's login")
    right = base64.b64encode(b"\0ada@example.test\0secret").decode()
    result = client.command(f"AUTHENTICATE PLAIN {right}")
    t.ok(result[0].startswith(b"OK [CAPABILITY "), "PLAIN, right", result)
    t.ok(client.command("LOGIN ada@example.test secret")[0].startswith(b"BAD"), "no second login")
    client = raw(tern, login=False)
    client.send(b"c AUTHENTICATE PLAIN\r\n")
    client.line()
    client.send(right.encode() + b"\r\n")
    t.ok(client.wait(b"c")[0].startswith(b"OK"), "PLAIN in two steps")
    for password, word in (("wrong", b"NO"), ("secret", b"OK")):
        client = raw(tern, login=False)
        exchange = account_peers.Scram("ada@example.test", password)
        client.send(b"s AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(exchange.first()) + b"\r\n")
        answer = client.line()
        client.send(base64.b64encode(exchange.final(base64.b64decode(answer[2:]))) + b"\r\n")
        answer = client.line()
        if answer.startswith(b"+"):
            t.is_(base64.b64decode(answer[2:]).decode(), "v=" + exchange.server, "the server proves itself")
            client.send(b"\r\n")
            answer = client.line()
        t.ok(answer.startswith(b"s " + word), f"SCRAM-SHA-256 with the password {password}", answer)
    client = raw(tern, login=False)
    for _ in range(5):
        client.command("LOGIN ada@example.test wrong")
    t.ok(client.at_end() is not None, "five wrong logins end the connection")
    client = raw(tern, login=False)
    client.send(b"l1 LOGIN {16}\r\n")
    client.line()
    client.send(b"ada@example.test {6+}\r\nsecret\r\nl2 SELECT INBOX\r\nl3 NOOP\r\n")
    t.ok(client.wait(b"l1")[0].startswith(b"OK") and client.wait(b"l2")[0].startswith(b"OK") and client.wait(b"l3")[0].startswith(b"OK"),
         "LOGIN with literals, and commands that came behind it")
    client = raw(tern, login=False)
    client.send(b"x LOGIN {99999999+}\r\n" + b"y" * 1000 + b"\r\n")
    t.ok(client.at_end() is not None, "a huge literal before the login ends the connection")


def tls(tern):
    client = raw(tern, login=False)
    client.send(b"a STARTTLS\r\nb CREATE injected\r\n")
    said = client.at_end() or b""
    t.ok(b"BYE" in said and b"b OK" not in said, "what stands behind STARTTLS in clear is never done", said)
    client = raw(tern, encrypted=True)
    t.ok(b"STARTTLS" not in client.greeting, "implicit TLS: no STARTTLS")
    result = client.command("SELECT INBOX")
    t.ok(result[0].startswith(b"OK"), "implicit TLS: a session", result)
    big = b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 60000
    t.ok(client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(big), big))[0].startswith(b"OK"), "implicit TLS: a megabyte in")
    t.ok(any(big in answer for answer in client.command("FETCH * BODY.PEEK[]")[1]), "implicit TLS: and out again")
    client.close()


def begin_idle(client):
    client.send(b"i IDLE\r\n")
    while not (line := client.line()).startswith(b"+"):
        pass
    return line


def end_idle(client):
    client.send(b"DONE\r\n")
    return client.wait(b"i")


def modseq(client):
    answers = b" ".join(client.command("STATUS INBOX (HIGHESTMODSEQ)")[1])
    return int(answers.split(b"HIGHESTMODSEQ ")[1].split(b")")[0])


def idle_keeps(tern, encrypted):
    """What a session knew it knows after an IDLE that it did not live through."""
    kind = "TLS" if encrypted else "clear"
    client = raw(tern, encrypted=encrypted)
    client.command("ENABLE CONDSTORE")
    client.command("SELECT INBOX")
    for name in (b"a", b"b", b"c"):
        client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(MESSAGE % name), MESSAGE % name))
    client.command("SEARCH RETURN (SAVE) SUBJECT b")
    saved, before = client.command("SEARCH $")[1], modseq(client)
    everything = client.command("FETCH 1:* (UID FLAGS)")[1]
    begin_idle(client)
    t.ok(t.wait_for(lambda: not sessions()), f"{kind}: no process while it idles")
    end_idle(client)
    t.is_(client.command("FETCH 1:* (UID FLAGS)")[1], everything, f"{kind}: the same numbers and flags after IDLE")
    t.is_(client.command("SEARCH $")[1], saved, f"{kind}: the same $")
    t.is_(modseq(client), before, f"{kind}: the same modseq")
    count = len(everything)
    begin_idle(client)
    t.ok(t.wait_for(lambda: not sessions()), f"{kind}: it idles again")
    maildir = tern.mail / "example.test" / "ada" / "Maildir"
    part = maildir / "tmp" / f"1700000000.{kind}.foreign"
    part.write_bytes(MESSAGE % b"dropped")
    owner = (maildir / "new").stat()
    os.chown(part, owner.st_uid, owner.st_gid)
    os.rename(part, maildir / "new" / part.name)
    t.is_(client.line(), b"* %d EXISTS" % (count + 1), f"{kind}: a file dropped into new/ is pushed")
    client.send(b"DONE\r\nn NOOP\r\n")
    t.ok(client.wait(b"i")[0].startswith(b"OK") and client.wait(b"n")[0].startswith(b"OK"), f"{kind}: DONE, and what stands behind it")
    begin_idle(client)
    client.send(b"FOO\r\n")
    t.ok(client.wait(b"i")[0].startswith(b"BAD"), f"{kind}: anything but DONE is BAD")
    t.ok(client.command("NOOP")[0].startswith(b"OK"), f"{kind}: and it goes on")
    client.command("LOGOUT")


def daemons(tern, name):
    """The processes of a daemon of this instance: services of inet are named after their ports."""
    found = []
    for _, pid in tern.pids():
        try:
            if os.readlink(f"/proc/{pid}/exe") == str(tern.libexec / name):
                found.append(pid)
        except OSError:
            pass
    return found


def comes_back(tern, name):
    """Whether somebody can log in again, and select."""
    def attempt():
        try:
            client = raw(tern)
            return client.command("SELECT INBOX")[0].startswith(b"OK")
        except (OSError, EOFError):
            return False
    t.ok(t.wait_for(attempt, 20, 0.2), f"{name} killed: a login works again")


def state(client):
    """(whether it goes on, what it was told)"""
    try:
        return True, client.command("NOOP")
    except (EOFError, OSError):
        return False, client.input


def kills(tern):
    flag = iter(f"$k{number}" for number in range(10))
    for name in ("session", "mailbox", "auth", "imapd"):
        client, idle, secure = raw(tern), raw(tern), raw(tern, encrypted=True)
        for one in (client, idle, secure):
            one.command("SELECT INBOX")
        begin_idle(idle)
        t.ok(t.wait_for(lambda: len(sessions()) == 2), f"{name}: two sessions at work, one idle")
        word = next(flag)
        t.ok(client.command(f"STORE 1 +FLAGS ({word})")[0].startswith(b"OK"), f"{name}: a flag is answered OK")
        while b"FETCH" not in idle.line():  # its session is woken to say so
            pass
        t.ok(t.wait_for(lambda: len(sessions()) == 2), f"{name}: two sessions again, and one told and idle")
        pids = [int(pid) for pid in sessions()] if name == "session" else daemons(tern, name)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            t.wait_for(lambda: not t.alive(pid))
        if name in ("session", "imapd"):
            t.ok(secure.at_end() is not None, f"{name} killed: a client's connection with TLS ends")
        if name == "session":
            t.ok(client.at_end() is not None, "session killed: one in clear ends, too")
        if name == "imapd":
            t.ok(state(client)[0], "imapd killed: one in clear is the session's, and goes on")
            client.send(b"i IDLE\r\n")
            t.ok(client.at_end() is not None, "imapd killed: but can idle no more")
        if name == "session":
            t.ok(b"* BYE" in client.input and b"* BYE" in secure.input, "session killed: with a BYE", (client.input, secure.input))
        if name in ("mailbox", "auth"):
            t.is_((state(client)[0], state(secure)[0]), (True, True), f"{name} killed: sessions go on")
        comes_back(tern, name)
        if name == "imapd":
            t.ok(idle.at_end() is not None, "imapd killed: an idle client's connection ends")
        else:
            t.ok(end_idle(idle)[0].startswith(b"OK"), f"{name} killed: an idle client wakes")
        again = raw(tern)
        again.command("SELECT INBOX")
        answers = again.command("FETCH 1 FLAGS")[1]
        t.ok(any(word.encode() in answer for answer in answers), f"{name} killed: the flag is there", answers)
        for one in (client, idle, secure, again):
            one.close()
        t.ok(t.wait_for(lambda: not sessions()), f"{name} killed: no session is left behind", sessions())


def woken_and_killed(tern):
    """A session that goes on after an IDLE and is killed then is lost: no other may begin again where that IDLE began."""
    client = raw(tern)
    client.command("SELECT INBOX")
    begin_idle(client)
    t.ok(t.wait_for(lambda: not sessions()), "woken: idle")
    end_idle(client)
    t.ok(client.command("STORE 1 +FLAGS ($woken)")[0].startswith(b"OK") and len(sessions()) == 1, "woken: a session is at work")
    os.kill(int(sessions()[0]), signal.SIGKILL)
    said = client.at_end()
    t.ok(said is not None and b"* BYE" in said, "woken, then killed: the client hears BYE", said)
    client.close()


def nothing_between(tern):
    """What others expunge is told within a command, never behind its tagged answer."""
    client, other = raw(tern), raw(tern)
    for one in (client, other):
        one.command("SELECT INBOX")
    client.command("CREATE Between")
    for command in ("COPY 1 Between", b"APPEND INBOX {%d+}\r\n%s" % (len(MESSAGE % b"x"), MESSAGE % b"x")):
        other.command(b"APPEND INBOX (\\Deleted) {%d+}\r\n%s" % (len(MESSAGE % b"gone"), MESSAGE % b"gone"))
        client.command("NOOP")
        other.command("EXPUNGE")
        result, answers = client.command(command)
        told = [answer for answer in answers if b"EXPUNGE" in answer]
        client.send(b"q NOOP\r\n")
        late = [answer for answer in client.wait(b"q")[1] if b"EXPUNGE" in answer]
        t.ok(result.startswith(b"OK") and told and not late, f"{command[:6]}: an expunge is told before its answer", (result, answers, late))
    client.close()
    other.close()
    t.wait_for(lambda: not sessions())


def still_here():
    """Clients that idle hear now and then that somebody is there, and nothing of it in between."""
    with t.Instance(tls=True, settings=["imap_idle_notify_interval=1"]) as tern:
        tern.add_user("ada")
        tern.start()
        for encrypted in (False, True):
            kind = "TLS" if encrypted else "clear"
            client, other = raw(tern, encrypted=encrypted), raw(tern, encrypted=encrypted)
            for one in (client, other):
                one.command("SELECT INBOX")
                begin_idle(one)
            t.is_([client.line() for _ in range(3)], [b"* OK Still here"] * 3, f"{kind}: a client that idles hears that it is served")
            result = end_idle(client)
            t.ok(result[0].startswith(b"OK") and all(answer == b"* OK Still here" for answer in result[1]), f"{kind}: and then DONE", result)
            count = len(client.command("UID SEARCH ALL")[1][0].split()) - 2
            client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(MESSAGE % b"x"), MESSAGE % b"x"))
            while (line := other.line()) == b"* OK Still here":
                pass
            t.is_(line, b"* %d EXISTS" % (count + 1), f"{kind}: another one has heard it whole, and of a new message")
            client.close()
            other.close()


with t.Instance(tls=True, settings=["auth_failure_delay=0", "auth_ban_exceptions=127.0.0.0/8"]) as tern:
    tern.add_user("ada")
    (tern.etc / "users.passwd").write_text("ada@example.test:{PLAIN}secret\n")  # SCRAM is offered where it can work for all
    tern.start()
    dialogue(tern, False)
    dialogue(tern, True)
    authenticate(tern)
    tls(tern)
    idle_keeps(tern, False)
    idle_keeps(tern, True)
    nothing_between(tern)
    woken_and_killed(tern)
    kills(tern)
    log = tern.log()
    t.ok("login: user=<ada@example.test>, method=PLAIN, rip=127.0.0.1, TLS" in log, "the log says who came, and how")
    t.is_([line for line in log.splitlines() if "panic:" in line or "fatal:" in line or "Sanitizer" in line], [], "nothing went wrong")
    tern.stop()
still_here()
t.done()
