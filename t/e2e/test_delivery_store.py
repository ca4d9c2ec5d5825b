"""Delivery into the mailboxes of accounts: what tern user makes gets mail that IMAP shows, subaddresses, quotas,
messages that a mailbox has already, and how soon an idle client hears of it."""

import fcntl
import imaplib
import os
import smtplib
import statistics
import threading
import time

import tern_test as t

t.need("tern", "master", "auth", "imapd", "mailbox", "local", "lookup", "smtpd", "log")
BODY = "some words\r\n" * 4
INIT = ["recipient_delimiter=+"]


def letter(subject, identity=None, body=BODY):
    name = f"Message-ID: <{identity}@peer.test>\r\n" if identity else ""
    return (f"From: ann@peer.test\r\nTo: ada@example.test\r\nDate: Fri, 28 Nov 2025 05:00:00 +0000\r\n{name}"
            f"Subject: {subject}\r\n\r\n{body}").encode()


def imap(tern, user="ada", folder="INBOX"):
    client = imaplib.IMAP4("127.0.0.1", tern.port_base + 143, timeout=30)
    client.login(f"{user}@{tern.domain}", "secret")
    if folder:
        client.select(folder)
    return client


def lmtp(tern, recipients, message):
    """(answers to RCPT, answers after the data)"""
    client = smtplib.LMTP("127.0.0.1", tern.lmtp_port, timeout=60)
    try:
        client.ehlo("peer.test")
        client.mail("ann@peer.test")
        answers = [client.rcpt(recipient) for recipient in recipients]
        taken = sum(code == 250 for code, _ in answers)
        if not taken:
            return answers, []
        client.putcmd("data")
        client.getreply()
        client.send(message + b"\r\n.\r\n")
        return answers, [client.getreply() for _ in range(taken)]
    finally:
        client.close()


def give(tern, recipient, message):
    answers, ends = lmtp(tern, [recipient], message)
    return (ends or answers)[0]


def subjects(tern, user="ada", folder="INBOX"):
    client = imap(tern, user, folder)
    found = [part[1].split(b": ", 1)[1].strip().decode() for part in
             client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] if isinstance(part, tuple)]
    client.logout()
    return found


def folders(tern, user="ada", verb="list"):
    client = imap(tern, user, None)
    found = sorted(line.decode().rsplit(" ", 1)[1].strip('"') for line in getattr(client, verb)()[1] if line)
    client.logout()
    return found


def only_password(tern, name, fields=""):
    """An account of which no table but auth's source knows."""
    path = tern.etc / "users.passwd"
    path.write_text(path.read_text() + f"{name}@{tern.domain}:{{PLAIN}}secret::::::{fields}\n")


def plain():
    with t.Instance(settings=INIT) as tern:
        tern.add_user("ada")
        only_password(tern, "bob")
        tern.start()
        t.is_(give(tern, "ada@example.test", letter("first"))[0], 250, "LMTP takes mail for what tern user has made")
        t.is_(subjects(tern), ["first"], "IMAP shows it")
        t.ok({"Drafts", "Trash"} <= set(folders(tern, verb="lsub")), "with the folders of a new mailbox")
        tern.send("ann@peer.test", ["bob@example.test"], letter("second").replace(b"\r\n", b"\n"))
        tern.wait_stored("bob")
        t.is_(subjects(tern, "bob"), ["second"], "an account that only auth_sources knows gets mail by SMTP")
        t.is_(folders(tern, "bob", "lsub"), ["Archive", "Drafts", "Junk", "Sent", "Trash"],
              "its first delivery made and subscribed mail_auto_folders")
        text = tern.stored("bob")[0]
        t.ok(text.startswith(b"Return-Path: <ann@peer.test>\n") and b"\nDelivered-To: bob@example.test\n" in text,
             "Return-Path and Delivered-To are there", text[:300])
        t.is_(give(tern, "nobody@example.test", letter("x"))[0], 550, "nobody's mail is refused")
        t.is_(give(tern, "BOB@Example.Test", letter("case"))[0], 250, "upper case is the same account")
        t.is_(subjects(tern, "bob"), ["second", "case"], "and the same mailbox")

        client = imap(tern, "bob", None)
        client.create("Lists/tern")
        client.create("a.b")
        for extension, folder in (("Lists/tern", "Lists/tern"), ("a.b", "a.b"), ("Junk", "Junk")):
            t.is_(give(tern, f"bob+{extension}@example.test", letter(f"to {extension}"))[0], 250, f"+{extension} is taken")
            t.is_(subjects(tern, "bob", f'"{folder}"'), [f"to {extension}"], f"and lies in {folder}")
        only_password(tern, "eve", "nologin")
        t.ok(t.wait_for(lambda: give(tern, "eve@example.test", letter("shut"))[0] == 250), "who may not log in gets mail")
        t.ok(tern.wait_stored("eve"), "it is stored")
        tern.wait_empty()
        before = folders(tern, "bob")
        for extension in ("new", "../../up", ".", "..", "a..b", "cur", "%2e%2e", "x/../y", "inbox"):
            t.is_(give(tern, f'"bob+{extension}"@example.test', letter(f"odd {extension}"))[0], 250, f"+{extension} is taken")
        t.is_(len([one for one in subjects(tern, "bob") if one.startswith("odd ")]), 9, "and lies in INBOX")
        t.is_(folders(tern, "bob"), before, "no mailbox was made")
        t.is_(sorted(path.name for path in (tern.mail / "example.test").iterdir()), ["ada", "bob", "eve"], "nor a directory elsewhere")
        tern.set("mail_subaddress = create")
        tern.run("reload")
        t.wait_for(lambda: (give(tern, "bob+New/one@example.test", letter("made"))[0] == 250
                            and "New/one" in folders(tern, "bob", "lsub")))
        t.is_(set(subjects(tern, "bob", "New/one")), {"made"}, "create: the mailbox is made, subscribed and has the message")
        give(tern, '"bob+../up"@example.test', letter("odd up"))
        t.ok(not (tern.mail / "example.test" / "up").exists(), "never a path")
        client.logout()


def idle_waiter(tern, folder, seen, ready):
    client = imap(tern, "ada", folder)
    client.send(b"i1 IDLE\r\n")
    client.readline()
    ready.set()
    line = client.readline()
    seen.append((time.monotonic(), line))
    client.send(b"DONE\r\n")
    client.shutdown()


def idle():
    with t.Instance(settings=INIT) as tern:
        tern.add_user("ada")
        tern.start()
        give(tern, "ada@example.test", letter("first"))
        client = imap(tern, "ada", None)
        client.create("Work")
        client.logout()
        for address, folder in (("ada@example.test", "INBOX"), ("ada+Work@example.test", "Work")):
            spent = []
            for number in range(5):
                seen, waiters = [], []
                for _ in range(2):
                    ready = threading.Event()
                    waiters.append(threading.Thread(target=idle_waiter, args=(tern, folder, seen, ready)))
                    waiters[-1].start()
                    ready.wait(20)
                time.sleep(0.1)  # so that the sessions are surely idle: what is measured is the wake
                give(tern, address, letter(f"new {number}"))
                begun = time.monotonic()
                for waiter in waiters:
                    waiter.join(30)
                spent += [when - begun for when, line in seen if b"EXISTS" in line]
            t.is_(len(spent), 10, f"{folder}: two idle clients hear of each delivery")
            t.ok(statistics.median(spent or [9]) < 0.5, f"{folder}: at once", spent)


def until(client, start):
    """The first line that begins so."""
    while not (line := client.readline()).startswith(start):
        if not line:
            raise EOFError
    return line


def quota():
    with t.Instance(settings=INIT + ["mail_quota_warning_mail=yes"]) as tern:
        tern.add_user("ada")
        only_password(tern, "few", "userdb_quota_messages=3")
        only_password(tern, "small", "userdb_quota_storage=20000")
        tern.start()
        for number in range(2):
            t.is_(give(tern, "few@example.test", letter(f"m{number}"))[0], 250, f"message {number} of 3")
        t.is_(give(tern, "few@example.test", letter("m2"))[0], 250, "the third is the last")
        t.ok(tern.wait_log("quota: the mailbox of <few@example.test> is 95% full"), "the log says that it is almost full")
        code, text = lmtp(tern, ["few@example.test"], letter("m3"))[0][0]
        t.ok(code == 552 and b"5.2.2" in text, "LMTP refuses it at RCPT", (code, text))
        with tern.smtp() as client:
            client.ehlo("peer.test")
            client.mail("ann@peer.test")
            code, text = client.rcpt("few@example.test")
        t.ok(code == 552 and b"5.2.2" in text, "SMTP too", (code, text))
        found = subjects(tern, "few")
        t.ok("Your mailbox is 95 percent full" in found, "its user was told", found)
        client = imap(tern, "few")
        client.store("1:*", "+FLAGS", "\\Deleted")
        client.expunge()
        client.logout()
        t.is_(give(tern, "few@example.test", letter("m4"))[0], 250, "room that was made is used at once")
        client = imap(tern, "few")
        client.select("INBOX")
        client.send(b"z STORE 1:* +FLAGS (\\Deleted)\r\ny EXPUNGE\r\n")
        until(client, b"y OK")
        for number in range(2):
            client.append("INBOX", "", None, b"x\r\n")
        client.send(b"w APPEND INBOX {3}\r\n")
        t.ok(until(client, b"+").startswith(b"+"), "a session may send the last message")
        t.is_(give(tern, "few@example.test", letter("m5"))[0], 250, "a delivery comes before it")
        client.send(b"x\r\n\r\n")
        t.ok(until(client, b"w ").startswith(b"w NO [OVERQUOTA]"), "then there is no room for the session's")
        client.logout()
        t.is_(lmtp(tern, ["few@example.test"], letter("m6"))[0][0][0], 552, "nor for another delivery")

        answers, ends = lmtp(tern, ["small@example.test", "ada@example.test"], letter("big", body="x" * 70 + "\r\n" * 1))
        t.is_([code for code, _ in ends], [250, 250], "what fits is delivered")
        big = "y" * 70 + "\r\n"
        answers, ends = lmtp(tern, ["small@example.test", "ada@example.test"], letter("too big", body=big * 400))
        t.is_([code for code, _ in ends], [552, 250], "what does not, is not; the other recipient gets it")
        t.ok(b"5.2.2" in ends[0][1], "with 5.2.2", ends)
        t.ok("non-delivery" not in tern.log(), "who was told by LMTP is sent no notice")
        t.is_(give(tern, "small@example.test", letter("nearly", body=big * 275))[0], 250, "the last goes a little over")
        t.is_(lmtp(tern, ["small@example.test"], letter("none"))[0][0][0], 552, "then it is full")
        tern.set("mail_quota_full_tempfail = yes")
        tern.run("reload")
        code = t.wait_for(lambda: (answer := lmtp(tern, ["small@example.test"], letter("later"))[0][0])[0] == 452 and answer)
        t.ok(code and b"4.2.2" in code[1], "mail_quota_full_tempfail: later", code)


def put_off():
    """RFC 2033: what has to wait for one recipient waits at the client."""
    settings = ["mail_quota_full_tempfail=yes", "deliver_lock_attempts=1", "direct_delivery_milliseconds=20000"]
    with t.Instance(settings=INIT + settings) as tern:
        for name in ("ada", "bob"):
            tern.add_user(name)
        only_password(tern, "small", "userdb_quota_storage=20000")
        box = tern.mail / "example.test" / "box"
        with open(tern.etc / "users", "a", encoding="ascii") as table:
            table.write("box@example.test example.test/box\n")
        tern.start()
        give(tern, "ada@example.test", letter("first"))
        big = letter("big", body=("y" * 70 + "\r\n") * 400)
        _, ends = lmtp(tern, ["small@example.test", "ada@example.test"], big)
        t.is_([code for code, _ in ends], [452, 250], "too large for now: that recipient is told to come again")
        t.ok(b"4.2.2" in ends[0][1], "with 4.2.2", ends)
        t.is_(tern.queued(), [], "and nothing is queued")
        t.is_(subjects(tern), ["first", "big"], "the other one has it once")

        tmp = tern.mail / "example.test" / "ada" / "Maildir" / "tmp"
        tmp.rmdir()
        tmp.write_text("in the way")
        _, ends = lmtp(tern, ["bob@example.test", "ada@example.test", "small@example.test"], letter("blocked"))
        t.is_([code for code, _ in ends], [250, 451, 250], "a mailbox that cannot be written")
        t.is_(tern.queued(), [], "again nothing is queued")
        tern.send("ann@peer.test", ["ada@example.test"], letter("by SMTP").replace(b"\r\n", b"\n"))
        t.ok(t.wait_for(lambda: len(tern.queued("cur")) == 1), "who sends by SMTP leaves it to the queue")
        tmp.unlink()
        tmp.mkdir(mode=0o700)
        owner = tmp.parent.stat()
        os.chown(tmp, owner.st_uid, owner.st_gid)
        t.is_(give(tern, "ada@example.test", letter("blocked"))[0], 250, "the client's second attempt")
        tern.command("ternqueue", "-f")
        tern.wait_empty()
        t.is_(sorted(subjects(tern)), ["big", "blocked", "by SMTP", "first"], "everything once")
        t.is_(subjects(tern, "bob"), ["blocked"], "for the others too")

        t.is_(give(tern, "box@example.test", letter("one"))[0], 250, "a mailbox in one file")
        with open(box, "rb+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            fcntl.flock(file, fcntl.LOCK_EX)
            code, text = give(tern, "box@example.test", letter("two"))
            t.ok(code == 451 and text.count(b"4.2.0"), "that is locked: later", (code, text))
        t.is_(tern.queued(), [], "and nothing is queued")
        t.is_(box.read_bytes().count(b"Subject:"), 1, "nor written")


def duplicates():
    with t.Instance(settings=INIT + ["mail_duplicate_window=1d", "deliver_lock_attempts=1"]) as tern:
        tern.add_user("ada")
        tern.start()
        for _ in range(2):
            t.is_(give(tern, "ada@example.test", letter("one", "a"))[0], 250, "a message that comes again is taken")
        t.is_(subjects(tern), ["one"], "and stored once")
        give(tern, "ada@example.test", letter("one", "a", "another body\r\n"))
        t.is_(len(subjects(tern)), 2, "the same Message-ID with another body is another message")
        for _ in range(2):
            give(tern, "ada@example.test", letter("nameless"))
        t.is_(subjects(tern).count("nameless"), 2, "without a Message-ID nothing is left out")
        lmtp(tern, ["ada@example.test", "ada+x@example.test"], letter("both", "b"))
        t.is_(subjects(tern).count("both"), 1, "two recipients of one transaction that are one mailbox")
        for number in range(3):
            give(tern, "ada@example.test", letter(f"n{number}", "same"))
        size = next(tern.mail.glob("example.test/ada/Maildir/tern-delivered")).stat().st_size
        t.ok(0 < size <= 24000, "what is remembered is bounded", size)
        with open(next(tern.mail.glob("example.test/ada/Maildir/tern-delivered")), "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            t.is_(give(tern, "ada@example.test", letter("locked", "c"))[0], 250, "a message comes while somebody keeps that file locked")
            t.ok(t.wait_for(lambda: subjects(tern).count("locked") == 1), "and is stored all the same")


plain()
idle()
quota()
put_off()
duplicates()
t.done()
