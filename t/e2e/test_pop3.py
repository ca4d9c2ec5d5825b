#!/usr/bin/env python3
"""POP3: every command by raw sockets and poplib, STLS, wrong logins and bans, two sessions at once, dropped and killed
sessions, what a message looks like on the wire; fetchmail, getmail and mpop for real."""

import base64
import ctypes
import json
import os
import poplib
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import account_peers
import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "pop3d", "imapd", "mailbox", "log")
poplib._MAXLINE = 1 << 20
MESSAGE = b"From: ann@example.test\nTo: ada@example.test\nSubject: number %d\nMessage-ID: <%d@example.test>\n\nwords %d\n"
ODD = [
    b"Subject: dots\n\n.\n..\n.a\nb.\n\n.",
    b"Subject: crlf\r\n\r\n.one\r\ntwo\r\n",
    b"Subject: mixed\n\none\r\ntwo\n\rthree\r\r\nfour\n",
    b"Subject: zero\n\na\0b\0\n\xff\xfe\x80\n",
    b"Subject: long\n\n" + b"x" * 200000 + b"\n." + b"y" * 70000 + b"\n",
    b"Subject: no end\n\nlast line",
    b"Subject: headers only\n",
    b"\nno header\n",
    b"Subject: big\n\n" + b".0123456789abcde\n" * 100000,
    b"Subject: =?utf-8?q?x?=\nFrom: b\xc3\xbccher@example.test\n\n\xe4\xb8\xad\n",
]
count = iter(range(1, 1000000))


def crlf(content):
    return re.sub(rb"(?<!\r)\n", b"\r\n", content)


class Pop:
    """A client byte by byte."""

    def __init__(self, tern, user=None, password="secret", source=None, encrypted=False):
        self.socket = socket.create_connection(("127.0.0.1", tern.port_base + (995 if encrypted else 110)), timeout=30,
                                               source_address=(source, 0) if source else None)
        if encrypted:
            self.encrypt()
        self.input = b""
        self.greeting = self.line()
        if user:
            self.command(f"USER {user}@example.test")
            self.login = self.command(f"PASS {password}")

    def encrypt(self):
        self.socket = ssl._create_unverified_context().wrap_socket(self.socket)

    def fill(self):
        got = self.socket.recv(1 << 18)
        if not got:
            raise EOFError
        self.input += got

    def until(self, end):
        at = 0
        while (found := self.input.find(end, at)) < 0:
            at = max(0, len(self.input) - len(end))
            self.fill()
        text, self.input = self.input[:found], self.input[found + len(end):]
        return text

    def line(self):
        return self.until(b"\r\n")

    def lines(self):
        """The rest of an answer of many lines, as it is on the wire."""
        if len(self.input) < 3:
            while len(self.input) < 3:
                self.fill()
        if self.input.startswith(b".\r\n"):
            self.input = self.input[3:]
            return b""
        return self.until(b"\r\n.\r\n") + b"\r\n"

    def send(self, data):
        self.socket.sendall(data)

    def command(self, text):
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.line()

    def many(self, text):
        """(first line, the others split) of a command; the others None if it failed."""
        first = self.command(text)
        return first, (self.lines().split(b"\r\n")[:-1] if first.startswith(b"+OK") else None)

    def message(self, text):
        first = self.command(text)
        return re.sub(rb"(?m)^\.", b"", self.lines()) if first.startswith(b"+OK") else first

    def at_end(self):
        try:
            while True:
                self.fill()
        except (EOFError, ConnectionResetError, ssl.SSLError):
            return self.input
        except TimeoutError:
            return None

    def close(self):
        self.socket.close()


def maildir(tern, user="ada"):
    return tern.mail / "example.test" / user / "Maildir"


def drop(tern, contents, user="ada"):
    """Puts files into new/, as a delivery by another program would, in this order."""
    box = maildir(tern, user)
    owner = box.stat()
    for content in contents:
        name = f"{1700000000 + next(count)}.M{next(count)}.far.example.test"
        (box / "tmp" / name).write_bytes(content)
        os.chown(box / "tmp" / name, owner.st_uid, owner.st_gid)
        os.rename(box / "tmp" / name, box / "new" / name)


def numbered(number):
    return [MESSAGE % (n, n, n) for n in range(number)]


def files(tern, user="ada"):
    return sorted(os.listdir(maildir(tern, user) / "cur") + os.listdir(maildir(tern, user) / "new"))


def empty(tern, user="ada"):
    client = Pop(tern, user)
    for number in range(1, int(client.command("STAT").split()[1]) + 1):
        client.command(f"DELE {number}")
    client.command("QUIT")
    client.close()


def sessions(tern):
    """This instance's sessions' processes."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file:
                if file.read().strip() == "pop3-session" and os.readlink(f"/proc/{pid}/exe").startswith(str(tern.libexec)):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def front(tern):
    client = Pop(tern)
    t.ok(client.greeting.startswith(b"+OK "), "the greeting", client.greeting)
    for command in ("STAT", "LIST", "RETR 1", "NOOP", "FOO", "", "PASS x", "APOP a b"):
        t.ok(client.command(command).startswith(b"-ERR"), f"before the login: {command or 'an empty line'}")
    words = client.many("CAPA")[1]
    for word in (b"TOP", b"UIDL", b"USER", b"PIPELINING", b"RESP-CODES", b"AUTH-RESP-CODE", b"EXPIRE NEVER", b"UTF8 USER", b"LANG", b"STLS",
                 b"IMPLEMENTATION tern"):
        t.ok(word in words, f"CAPA: {word.decode()}", words)
    sasl = next(word for word in words if word.startswith(b"SASL "))
    t.ok(b"PLAIN" in sasl and b"SCRAM-SHA-256" in sasl, "CAPA: SASL", sasl)
    t.ok(b"PLAIN" in client.many("AUTH")[1], "AUTH alone lists mechanisms")
    client.close()
    client = Pop(tern)
    t.ok(client.command("UTF8").startswith(b"+OK"), "UTF8")
    t.is_(client.many("LANG")[1][0], b"en English", "LANG lists")
    t.ok(client.command("LANG en").startswith(b"+OK en "), "LANG en")
    t.ok(client.command("LANG uga").startswith(b"-ERR"), "LANG of nobody")
    t.is_(client.command("QUIT"), b"+OK Bye", "QUIT before the login")
    t.is_(client.at_end(), b"", "ends it")
    client = Pop(tern)
    client.send(b"FOO\r\n" * 10)
    t.ok(b"Too many" in (client.at_end() or b""), "ten bad commands before the login end it")
    for bad, name in ((b"USER a\0b\r\n", "NUL"), (b"USER a\nPASS b\r\n", "a bare LF"), (b"USER " + b"x" * 20000 + b"\r\n", "a long line")):
        client = Pop(tern)
        client.send(bad)
        said = client.at_end()
        # A reset, for what was not read of a long line, may overtake the answer.
        t.ok(said is not None and (said.startswith(b"-ERR") or (not said and len(bad) > 1000)), f"{name} before the login ends it", said)


def logins(tern):
    client = Pop(tern, "ada", "wrong")
    t.ok(client.login.startswith(b"-ERR [AUTH] "), "a wrong password", client.login)
    t.ok(client.command("PASS secret").startswith(b"-ERR"), "needs the name again")
    client.command("USER ada@example.test")
    t.ok(client.command("PASS secret").startswith(b"+OK"), "and the right one works on the same connection")
    t.ok(client.command("USER ada@example.test").startswith(b"-ERR"), "no second login")
    client.command("QUIT")
    t.ok(Pop(tern, "nobody").login.startswith(b"-ERR [AUTH] "), "nobody's login")
    client = Pop(tern)
    client.send(b"USER ada@example.test\r\nPASS wrong\r\n" * 5)
    t.is_((client.at_end() or b"").count(b"[AUTH]"), 5, "five wrong logins end the connection")
    right = base64.b64encode(b"\0ada@example.test\0secret").decode()
    client = Pop(tern)
    said = client.command("AUTH FOO")
    t.ok(said.startswith(b"-ERR") and b"[AUTH]" not in said, "an unknown mechanism is no wrong password", said)
    t.ok(client.command("AUTH PLAIN !!!").startswith(b"-ERR"), "no base64")
    client.command("AUTH PLAIN")
    t.ok(client.command("*").startswith(b"-ERR"), "a login that the client gives up")
    t.ok(client.command("AUTH PLAIN " + base64.b64encode(b"\0ada@example.test\0no").decode()).startswith(b"-ERR [AUTH]"), "PLAIN, wrong")
    t.ok(client.command(f"AUTH PLAIN {right}").startswith(b"+OK"), "PLAIN with its response")
    client.command("QUIT")
    client = Pop(tern)
    t.is_(client.command("AUTH PLAIN"), b"+ ", "PLAIN in two steps")
    t.ok(client.command(right).startswith(b"+OK"), "goes, too")
    client.command("QUIT")
    client = Pop(tern)
    exchange = account_peers.Scram("ada@example.test", "secret")
    answer = client.command(b"AUTH SCRAM-SHA-256 " + base64.b64encode(exchange.first()))
    answer = client.command(base64.b64encode(exchange.final(base64.b64decode(answer[2:]))))
    t.is_(base64.b64decode(answer[2:]).decode(), "v=" + exchange.server, "SCRAM-SHA-256: the server proves itself")
    t.ok(client.command("").startswith(b"+OK"), "SCRAM-SHA-256")
    client.command("QUIT")


def tls(tern):
    client = Pop(tern)
    client.send(b"STLS\r\nUSER ada@example.test\r\n")
    said = client.at_end() or b""
    t.ok(said.startswith(b"-ERR") and said.count(b"\r\n") == 1, "what stands behind STLS in clear is never done", said)
    client = Pop(tern)
    client.command("USER ada@example.test")
    t.ok(client.command("STLS").startswith(b"+OK"), "STLS")
    client.encrypt()
    t.ok(client.command("PASS secret").startswith(b"-ERR"), "nothing said before it counts")
    words = client.many("CAPA")[1]
    t.ok(b"STLS" not in words and b"USER" in words, "CAPA without STLS", words)
    t.ok(client.command("STLS").startswith(b"-ERR"), "no second STLS")
    client.command("USER ada@example.test")
    t.ok(client.command("PASS secret").startswith(b"+OK"), "a login after STLS")
    t.ok(client.command("STLS").startswith(b"-ERR"), "no STLS in a session")
    t.ok(client.command("QUIT").startswith(b"+OK"), "QUIT by TLS")
    client = Pop(tern, "ada", encrypted=True)
    t.ok(client.login.startswith(b"+OK"), "TLS from the first byte")
    client.command("QUIT")


def commands(tern):
    drop(tern, numbered(4))
    client = Pop(tern, "ada")
    sizes = [len(crlf(content)) for content in numbered(4)]
    t.is_(client.command("STAT"), b"+OK 4 %d" % sum(sizes), "STAT")
    t.is_(client.many("LIST")[1], [b"%d %d" % (n + 1, size) for n, size in enumerate(sizes)], "LIST")
    t.is_(client.command("LIST 2"), b"+OK 2 %d" % sizes[1], "LIST of one")
    uidl = client.many("UIDL")[1]
    t.ok(len(set(uidl)) == 4 and all(re.fullmatch(rb"\d [0-9a-f]{16}", line) for line in uidl), "UIDL in Dovecot's form", uidl)
    t.is_(client.command("UIDL 3"), b"+OK " + uidl[2], "UIDL of one")
    imap = Client(tern.port_base + 143)
    imap.command("LOGIN ada@example.test secret")
    status = b" ".join(imap.command("STATUS INBOX (UIDVALIDITY)")[1])
    validity = int(re.search(rb"UIDVALIDITY (\d+)", status)[1])
    t.ok(uidl[0].endswith(b"%08x" % validity), "it ends in UIDVALIDITY", (uidl, validity))
    t.is_(client.message("RETR 3"), crlf(numbered(4)[2]), "RETR")
    t.is_(client.message("TOP 3 0"), crlf(numbered(4)[2].split(b"\n\n")[0] + b"\n\n"), "TOP 0")
    t.is_(client.message("TOP 3 5"), crlf(numbered(4)[2]), "TOP of more than there is")
    for command in ("RETR", "RETR 0", "RETR 5", "RETR x", "RETR 99999999999999999999", "TOP 1", "TOP 1 x", "TOP 1 -1", "DELE 0", "DELE",
                    "LIST 5", "UIDL 5", "LIST 1 2", "LAST", "FOO", "PASS x", "STAT x"):
        t.ok(client.command(command).startswith(b"-ERR"), f"-ERR to {command}")
    t.ok(client.command("NOOP").startswith(b"+OK"), "NOOP")
    t.ok(client.command("dele 2").startswith(b"+OK"), "DELE, in small letters")
    t.ok(client.command("DELE 2").startswith(b"-ERR") and client.command("RETR 2").startswith(b"-ERR"), "what is deleted is not there")
    t.is_(client.command("STAT"), b"+OK 3 %d" % (sum(sizes) - sizes[1]), "STAT after DELE")
    t.is_([line.split()[0] for line in client.many("LIST")[1]], [b"1", b"3", b"4"], "numbers stay")
    client.command("RSET")
    t.is_(client.command("STAT"), b"+OK 4 %d" % sum(sizes), "RSET")
    words = client.many("CAPA")[1]
    t.ok(b"STLS" not in words and b"USER" in words and any(word.startswith(b"SASL ") and b" PLAIN" in word for word in words), "CAPA in a session", words)
    t.ok(client.command("LANG *").startswith(b"+OK i-default"), "LANG in a session")
    t.ok(client.command(b"NOOP " + b"x" * 5000).startswith(b"-ERR"), "a long line")
    drop(tern, [b"Subject: new\n\n"])
    imap.command("SELECT INBOX")
    imap.command("STORE 1 +FLAGS \\Deleted")
    imap.command("EXPUNGE")
    t.is_(client.command("STAT"), b"+OK 4 %d" % sum(sizes), "what IMAP does meanwhile changes no number")
    t.ok(client.command("RETR 1").startswith(b"-ERR"), "a message that IMAP has expunged")
    t.is_(client.message("RETR 2"), crlf(numbered(4)[1]), "the one after it")
    client.command("DELE 1")
    client.command("DELE 4")
    t.is_(client.command("QUIT"), b"+OK Bye", "QUIT")
    client = Pop(tern, "ada")
    t.is_([line.split()[1] for line in client.many("UIDL")[1]][:2], [line.split()[1] for line in uidl[1:3]], "unique IDs stay")
    t.is_(int(client.command("STAT").split()[1]), 3, "QUIT deletes what was marked")
    client.send(b"FOO\r\n" * 20)
    t.ok(b"Too many" in (client.at_end() or b""), "twenty bad commands end a session")
    imap.close()
    empty(tern)


def content(tern):
    drop(tern, ODD)
    client = Pop(tern, "ada")
    listed = [int(line.split()[1]) for line in client.many("LIST")[1]]
    for number, odd in enumerate(ODD, 1):
        wanted = crlf(odd)
        if not wanted.endswith(b"\r\n"):
            wanted += b"\r\n"
        name = odd.strip().split(b"\n")[0].decode()
        got = client.message(f"RETR {number}")
        t.ok(got == wanted, f"{name}: RETR is the message in CR LF form", (got[:200], wanted[:200]))
        t.is_(listed[number - 1], len(crlf(odd)), f"{name}: its size is right")
        if b"\r" in odd:
            continue
        head, _, body = wanted.partition(b"\r\n\r\n") if not wanted.startswith(b"\r\n") else (b"", b"", wanted[2:])
        separator = wanted[len(head):len(wanted) - len(body)]
        lines = body.split(b"\r\n")[:2]
        top = client.message(f"TOP {number} 2")
        t.ok(top == head + separator + body[:len(b"\r\n".join(lines)) + 2], f"{name}: TOP 2", top[:200])
    client.command("QUIT")
    peer = poplib.POP3("127.0.0.1", tern.port_base + 110, timeout=30)
    peer.stls(ssl._create_unverified_context())
    peer.user("ada@example.test")
    peer.pass_("secret")
    t.is_(peer.stat()[0], len(ODD), "poplib: STAT")
    t.is_(len(set(peer.uidl()[1])), len(ODD), "poplib: UIDL")
    t.is_(b"\r\n".join(peer.retr(1)[1]), crlf(ODD[0]), "poplib: RETR")
    t.ok("STLS" not in peer.capa() and "TOP" in peer.capa(), "poplib: CAPA")
    peer.dele(1)
    peer.rset()
    peer.top(2, 1)
    peer.quit()
    empty(tern)
    t.is_(files(tern), [], "all are deleted")
    box = maildir(tern)
    for number, message in enumerate(numbered(3)):
        path = box / "new" / f"17000000{number:02}.M1.far,S={len(message)},W={len(crlf(message))}"
        path.write_bytes(message)
        path.chmod(0)  # whoever opens it is refused
        os.chown(path, box.stat().st_uid, box.stat().st_gid)
    client = Pop(tern, "ada")
    t.is_([int(line.split()[1]) for line in client.many("LIST")[1]], [len(crlf(message)) for message in numbered(3)],
          "LIST opens no file whose name says its size")
    t.is_(len(client.many("UIDL")[1]), 3, "nor does UIDL")
    t.ok(client.command("RETR 1").startswith(b"-ERR [SYS/PERM]"), "RETR of a file that may not be opened: waiting does not mend it")
    t.ok(client.command("TOP 1 0").startswith(b"-ERR [SYS/PERM]"), "and TOP")
    client.command("QUIT")
    empty(tern)


def for_good(tern):
    """What waiting does not mend is [SYS/PERM] (RFC 3206), [CONTACTADMIN] by IMAP; what it does, [SYS/TEMP]."""
    table = tern.etc / "users.passwd"
    before = table.read_text()
    rows = {"low": "1:1::/low::", "stranger": "no-such-user:100::/stranger::", "nowhere": "::::: userdb_mail=mbox:~/mail"}
    table.write_text(before + "".join(f"{name}@example.test:{{PLAIN}}secret:{row}\n" for name, row in rows.items()))
    for name in rows:
        t.wait_for(lambda: not (said := Pop(tern, name).login).startswith(b"-ERR [AUTH]") and said)
        said = Pop(tern, name).login
        t.ok(said.startswith(b"-ERR [SYS/PERM] "), f"{name}: an account without a mailbox", said)
        imap = Client(tern.port_base + 143)
        said = imap.command(f"LOGIN {name}@example.test secret")[0]
        t.ok(said.startswith(b"NO [CONTACTADMIN] "), f"{name}: by IMAP", said)
        imap.close()
    t.ok(Pop(tern, "low", "wrong").login.startswith(b"-ERR [AUTH] "), "who has no right password learns nothing of it")
    table.write_text(before)
    box = maildir(tern)
    journal = box / "tern-pop3"
    journal.unlink(missing_ok=True)
    journal.mkdir()
    t.ok((said := Pop(tern, "ada").login).startswith(b"-ERR [SYS/"), "a mailbox that cannot be opened", said)
    journal.rmdir()
    journal.symlink_to("/etc/passwd")
    t.ok((said := Pop(tern, "ada").login).startswith(b"-ERR [SYS/PERM] "), "a link where a file should be", said)
    journal.unlink()
    table.rename(table.with_suffix(".away"))
    t.ok(t.wait_for(lambda: (said := Pop(tern, "ada").login).startswith(b"-ERR [SYS/TEMP] ") and said), "accounts that cannot be read now")
    table.with_suffix(".away").rename(table)
    t.ok(t.wait_for(lambda: Pop(tern, "ada").login.startswith(b"+OK")), "and can be again")


def pipelining(tern):
    drop(tern, numbered(100))
    client = Pop(tern)
    text = b"USER ada@example.test\r\nPASS secret\r\nSTAT\r\n" + b"".join(b"RETR %d\r\nDELE %d\r\n" % (n, n) for n in range(1, 101)) + b"QUIT\r\n"
    client.send(text)
    said = client.at_end()
    t.is_(said.count(b"+OK"), 3 + 200 + 1, "a whole session in one packet is answered")
    t.ok(said.endswith(b"\r\n+OK Bye\r\n"), "to its end", said[-100:])
    t.is_(files(tern), [], "and done")


def fill(tern, user):
    """4,000 messages that nobody has looked at."""
    box = maildir(tern, user)
    owner = box.parent.stat()
    for place in (box, box / "tmp", box / "new", box / "cur"):
        place.mkdir(exist_ok=True)
        os.chown(place, owner.st_uid, owner.st_gid)
    for number in range(4000):
        path = box / "cur" / f"{1700000000 + number}.M{number}P4711.far.example.test:2,S"
        path.write_bytes(MESSAGE % (number, number, number))
        os.chown(path, owner.st_uid, owner.st_gid)
    return box


def first_look(tern):
    """A large mailbox that nobody has read yet: who logs in is let in before it is read, and nothing else is different."""
    box = fill(tern, "lena")
    (box / "tern-lock").mkdir()
    client = Pop(tern, "lena")
    t.is_(client.login, b"+OK Logged in", "a large mailbox that is new: the login's answer says no number")
    t.ok(client.command("STAT").startswith(b"-ERR [SYS/"), "if it cannot be read, the next command says so")
    t.is_(client.at_end(), b"", "and the connection ends")
    t.is_(Pop(tern, "lena").command("QUIT")[:10], b"-ERR [SYS/", "QUIT too")
    (box / "tern-lock").rmdir()
    client = Pop(tern)
    client.send(b"USER lena@example.test\r\nPASS secret\r\nSTAT\r\nUIDL 4000\r\nLIST 1\r\nDELE 1\r\nQUIT\r\n")
    said = client.at_end().split(b"\r\n")
    octets = sum(len(crlf(MESSAGE % (n, n, n))) for n in range(4000))
    uidl, validity = said[3].split()[2][:8], int(said[3].split()[2][8:], 16)
    t.is_((said[1], said[2], uidl), (b"+OK Logged in", b"+OK 4000 %d" % octets, b"%08x" % 4000), "all in one packet: the right answers")
    t.is_(said[4:], [b"+OK 1 %d" % len(crlf(MESSAGE % (0, 0, 0))), b"+OK Goes with QUIT", b"+OK Bye", b""], "to the end")
    client = Pop(tern, "lena")
    t.is_(client.login, b"+OK Logged in, 3999 messages", "the login after it says the number")
    t.is_(client.command("UIDL 3999"), b"+OK 3999 %08x%08x" % (4000, validity), "and the unique IDs are the same")
    client.close()
    fill(tern, "lea")
    Pop(tern, "lea").socket.close()
    t.ok(t.wait_for(lambda: Pop(tern, "lea").login == b"+OK Logged in, 4000 messages"), "a client that leaves at once: it is read all the same")


def two(tern):
    drop(tern, numbered(3))
    first = Pop(tern, "ada")
    second = Pop(tern, "ada")
    t.ok(second.login.startswith(b"-ERR [IN-USE] "), "a second session is refused", second.login)
    t.ok(second.at_end() is not None, "and its connection ends")
    imap = Client(tern.port_base + 143)
    imap.command("LOGIN ada@example.test secret")
    t.ok(imap.command("SELECT INBOX")[0].startswith(b"OK"), "IMAP beside it is fine")
    imap.close()
    first.command("DELE 1")
    first.close()
    again = Pop(tern, "ada")
    t.is_(int(again.command("STAT").split()[1]), 3, "a dropped connection deletes nothing")
    again.command("DELE 1")
    again.command("QUIT")
    right_after = Pop(tern, "ada")
    t.ok(b", 2 messages" in right_after.login, "right after QUIT the next may come", right_after.login)
    right_after.command("QUIT")


def no_delay(tern):
    """The end of a long answer does not wait for an acknowledgement: TCP_NODELAY of the session's own socket."""
    if not t.is_root():
        return
    client = Pop(tern, "ada")
    pid = os.pidfd_open(sessions(tern)[0])
    found = []
    for number in range(3, 64):
        taken = ctypes.CDLL(None, use_errno=True).syscall(438, pid, number, 0)  # pidfd_getfd
        if taken < 0:
            continue
        try:
            copy = socket.socket(fileno=taken)
        except OSError:  # no socket; kept open it would hold the session's lock
            os.close(taken)
            continue
        with copy:
            if copy.family == socket.AF_INET:
                found.append(copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    os.close(pid)
    t.is_(found, [1], "a session's connection sends at once")
    client.command("QUIT")


def foreign(tern):
    """Another program renames files under a session."""
    empty(tern)
    drop(tern, numbered(4))
    client = Pop(tern, "ada")
    client.command("DELE 1")
    box = maildir(tern)
    for name in os.listdir(box / "new"):
        os.rename(box / "new" / name, box / "cur" / f"{name}:2,S")
    client.command("DELE 2")
    client.command("QUIT")
    again = Pop(tern, "ada")
    t.is_(again.command("STAT").split()[1], b"2", "what was renamed by another program meanwhile is deleted all the same")
    t.is_(len(files(tern)), 2, "with its file")
    for name in os.listdir(box / "cur"):
        os.rename(box / "cur" / name, box / "cur" / name.replace(":2,S", ":2,FS"))
    t.is_(again.message("RETR 2"), crlf(numbered(4)[3]), "and read")
    again.close()
    t.wait_for(lambda: not sessions(tern))
    drop(tern, numbered(2))  # for the next part


def kills(tern):
    client = Pop(tern, "ada")
    client.command("DELE 1")
    client.command("DELE 2")
    for pid in sessions(tern):
        os.kill(pid, signal.SIGKILL)
    t.ok(client.at_end() is not None, "kill -9 before QUIT ends the connection")
    t.is_(len(files(tern)), 4, "and deletes nothing")
    empty(tern)
    wrong, outcomes = [], set()
    for attempt in range(24):
        drop(tern, numbered(40))
        client = Pop(tern, "ada")
        client.send(b"".join(b"DELE %d\r\n" % number for number in range(1, 31)))
        for _ in range(30):
            client.line()
        pids = sessions(tern)
        client.send(b"QUIT\r\n")
        time.sleep(attempt * 0.0004)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        said = client.at_end() or b""
        t.wait_for(lambda: not sessions(tern))
        again = Pop(tern, "ada")
        left = int(again.command("STAT").split()[1])
        bodies = [again.message(f"RETR {number}") for number in range(1, left + 1)]
        outcomes.add(left)
        if left not in (10, 40) or (b"+OK Bye" in said and left != 10) or any(body.startswith(b"-ERR") for body in bodies):
            wrong.append((attempt, left, said))
        again.close()
        t.wait_for(lambda: not sessions(tern))
        empty(tern)
    t.is_(wrong, [], f"kill -9 during QUIT: all that was marked goes, or nothing (left: {outcomes})")


def peers(tern):
    port, box = tern.port_base + 110, tern.top / "peers"
    box.mkdir()

    def run(*words, **options):
        return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, **options)

    if shutil.which("fetchmail"):
        for number, more in ((port, "sslproto ''"), (port, 'sslproto "TLS1.2+" no sslcertck'), (tern.port_base + 995, "ssl no sslcertck")):
            empty(tern)
            drop(tern, numbered(10))
            got, settings = box / "fetched", box / "fetchmailrc"
            got.write_bytes(b"")
            settings.write_text(f'set idfile "{box}/ids"\nset pidfile "{box}/pid"\npoll 127.0.0.1 protocol pop3 port {number} user "ada@example.test" '
                                f'password "secret" {more} fetchall no keep mda "cat >> {got}"\n')
            settings.chmod(0o600)
            result = run("fetchmail", "-f", settings, "-a", "--nosyslog", env={**os.environ, "HOME": str(box)})
            t.ok(result.returncode == 0 and got.read_bytes().count(b"Message-ID:") == 10 and not files(tern),
                 f"fetchmail ({more}): ten fetched and deleted", result.stdout[-500:] + result.stderr[-500:])
    if shutil.which("getmail"):
        empty(tern)
        drop(tern, numbered(10))
        getmail = box / "getmail"
        for part in ("cur", "new", "tmp"):
            (getmail / "mail" / part).mkdir(parents=True)
        (getmail / "getmailrc").write_text(f"[retriever]\ntype=SimplePOP3SSLRetriever\nserver=127.0.0.1\nport={tern.port_base + 995}\n"
                                           "username=ada@example.test\npassword=secret\n"
                                           f"[destination]\ntype=Maildir\npath={getmail}/mail/\n[options]\ndelete=true\nverbose=1\n")
        words = []
        if os.geteuid() == 0:
            for place, _, names in os.walk(getmail):
                for path in [place] + [os.path.join(place, name) for name in names]:
                    shutil.chown(path, "nobody", "nogroup")
            for place in (box, tern.top):
                place.chmod(0o755)
            words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        result = run(*words, "getmail", f"--getmaildir={getmail}", "--rcfile=getmailrc")
        t.ok(len(os.listdir(getmail / "mail" / "new")) == 10 and not files(tern), "getmail: ten fetched and deleted by TLS",
             result.stdout[-500:] + result.stderr[-500:])
    if shutil.which("mpop"):
        empty(tern)
        drop(tern, numbered(10))
        into, settings = box / "mpop", box / "mpoprc"
        for part in ("cur", "new", "tmp"):
            (into / part).mkdir(parents=True)
        settings.write_text(f"account a\nhost 127.0.0.1\nport {tern.port_base + 995}\nuser ada@example.test\npassword secret\ntls on\ntls_starttls off\n"
                            f"tls_certcheck off\ndelivery maildir {into}\nuidls_file {box}/uidls\nkeep on\n")
        settings.chmod(0o600)
        results = []
        for _ in range(2):
            result = run("mpop", "-C", settings, "a")
            results.append(len(os.listdir(into / "new")))
        t.ok(results == [10, 10] and len(files(tern)) == 10, "mpop: ten fetched and kept, then none again", (results, result.stderr[-500:]))
    if shutil.which("curl"):
        result = run("curl", "-sSk", "-u", "ada@example.test:secret", "--ssl-reqd", f"pop3://127.0.0.1:{port}/1")
        empty(tern)
        t.is_(result.returncode, 0, "curl: RETR after STLS")


def bans():
    settings = ["auth_failure_delay=0", "auth_address_failures=3", "auth_ban_time=1h", "auth_cache_time=0"]
    with t.Instance(settings=settings) as tern:
        tern.add_user("ada")
        tern.start()
        for password in ("x", "y"):
            Pop(tern, "ada", password, source="127.0.0.9").close()
        imap = Client(0, connection=socket.create_connection(("127.0.0.1", tern.port_base + 143), timeout=30, source_address=("127.0.0.9", 0)))
        imap.command("LOGIN ada@example.test z")
        imap.close()
        found = json.loads(tern.run("auth", "--json", "bans", check=True).stdout)
        t.is_([ban["subject"] for ban in found], ["127.0.0.9"], "wrong logins by POP3 and IMAP count together")
        client = Pop(tern, "ada", source="127.0.0.9")
        t.ok(client.login.startswith(b"-ERR ["), "who is banned is not let in with the right password", client.login)
        t.ok(Pop(tern, "ada").login.startswith(b"+OK"), "others are")
        tern.stop()


def parameters():
    with t.Instance(settings=["pop3_uidl_format=%f", "pop3_login_delay=2s", "auth_ban_exceptions=127.0.0.0/8"]) as tern:
        tern.add_user("ada")
        tern.start()
        client = Pop(tern)
        t.ok(b"LOGIN-DELAY 2" in client.many("CAPA")[1], "CAPA: LOGIN-DELAY")
        client.close()
        drop(tern, numbered(2))
        Pop(tern, "ada").command("QUIT")
        client = Pop(tern, "ada")
        t.ok(client.login.startswith(b"-ERR [LOGIN-DELAY] "), "a login too soon", client.login)

        def names():
            client = Pop(tern, "ada")
            found = client.many("UIDL")[1] if client.login.startswith(b"+OK") else None
            client.close()
            return found
        seen = []
        t.ok(t.wait_for(lambda: seen.append(names()) or seen[-1], 15, 0.3), "in time it is let in")
        t.is_([line.split()[1].decode() for line in seen[-1]], [re.sub(":.*", "", name) for name in files(tern)],
              "%f: unique IDs are names of files")
        tern.stop()
    with t.Instance(settings=["pop3_uidl_format=%v-%u"]) as tern:
        tern.add_user("ada")
        tern.start()
        drop(tern, numbered(2))
        uidl = Pop(tern, "ada").many("UIDL")[1]
        t.ok(re.fullmatch(rb"1 \d+-1", uidl[0]) and re.fullmatch(rb"2 \d+-2", uidl[1]), "%v-%u: Courier's", uidl)
        tern.stop()


def save_ids(box):
    """Gives some messages the unique IDs that they had before Dovecot, as migrations to it do."""
    path = box / "dovecot-uidlist"
    before = path.read_text()
    fields = {"3": "Pold-3", "5": "Gabc Pold-5", "7": "P"}
    path.write_text(re.sub(r"(?m)^(\d+) (.*:)", lambda row: f"{row[1]} {fields[row[1]]} {row[2]}" if row[1] in fields else row[0], before))
    for index in box.glob("dovecot.index*"):
        index.unlink()


def moved(form, saved=False):
    """A mailbox that was Dovecot's: what Dovecot's own POP3 says of it, and what ours does. saved: with unique IDs in its list."""
    program = "/usr/lib/dovecot/pop3"
    if not os.access(program, os.X_OK) or not t.is_root():
        return
    with t.Instance(settings=["pop3_uidl_format=" + form] if form else []) as tern:
        tern.add_user("ada")
        drop(tern, numbered(12))
        owner = maildir(tern).stat()
        run, settings = tern.top / "dovecot", tern.top / "dovecot.conf"
        run.mkdir()
        os.chown(run, owner.st_uid, owner.st_gid)
        tern.top.chmod(0o755)
        settings.write_text(f"protocols = pop3\nbase_dir = {run}\nmail_location = maildir:{maildir(tern)}\nssl = no\nlog_path = /dev/stderr\n"
                            f"first_valid_uid = 1\nmail_home = {run}\n" + (f"pop3_uidl_format = {form}\n" if form else ""))
        name = pwd.getpwuid(owner.st_uid).pw_name
        def ask(commands):
            return subprocess.run(["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", program, "-c", settings],
                                  input=commands, capture_output=True, timeout=30, env={"PATH": "/usr/bin:/bin", "USER": name, "HOME": str(run)})
        if saved:
            ask(b"UIDL\r\nQUIT\r\n")
            save_ids(maildir(tern))
        result = ask(b"LIST\r\nUIDL\r\nDELE 2\r\nQUIT\r\n")
        theirs = [part.split(b"\r\n")[1:-1] for part in result.stdout.split(b".\r\n")[:2]]
        theirs[0].pop(0) if theirs[0][0].startswith(b"+OK") else None
        tern.start()
        client = Pop(tern, "ada")
        ours = [client.many(command)[1] for command in ("LIST", "UIDL")]
        client.close()
        theirs, ours = ([[line.split()[1] for line in part] for part in parts] for parts in (theirs, ours))
        for part in theirs:
            del part[1]
        t.ok(len(theirs[1]) == 11 and ours == theirs, f"moved from Dovecot, {form or 'its default'}: the same sizes and unique IDs",
             (ours, theirs, result.stderr))
        if saved:
            t.is_([word for word in ours[1] if word.startswith((b"old-", b"1700"))],
                  [b"old-3", b"old-5", next(word for word in theirs[1] if word.startswith(b"1700"))], "those that Dovecot had saved are among them")
            drop(tern, numbered(1))
            client = Pop(tern, "ada")
            t.is_(client.many("UIDL")[1][1].split()[1], b"old-3", "and stay when others come")
            t.is_(client.command("UIDL 2"), b"+OK 2 old-3", "UIDL of one")
            client.close()
        tern.stop()


with t.Instance(tls=True, settings=["auth_failure_delay=0", "auth_ban_exceptions=127.0.0.0/8"]) as tern:
    tern.add_user("ada")
    tern.add_user("lena")
    tern.add_user("lea")
    (tern.etc / "users.passwd").write_text("ada@example.test:{PLAIN}secret\nlena@example.test:{PLAIN}secret\nlea@example.test:{PLAIN}secret\n")  # SCRAM is offered where it can work for all
    tern.start()
    for part in (front, logins, tls, commands, content, for_good, pipelining, first_look, two, no_delay, foreign, kills, peers):
        part(tern)
    log = tern.log()
    t.ok("login: user=<ada@example.test>, method=PLAIN, rip=127.0.0.1, TLS" in log, "the log says who came, and how")
    t.ok("retr=100/" in log, "and what was fetched")
    t.is_([line for line in log.splitlines() if "panic:" in line or "fatal:" in line or "Sanitizer" in line], [], "nothing went wrong")
    tern.stop()
bans()
parameters()
for wanted in (None, "%f", "%v-%u", "%v.%u"):
    moved(wanted)
moved(None, saved=True)
t.done()
