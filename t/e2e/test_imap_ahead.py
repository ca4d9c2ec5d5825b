#!/usr/bin/env python3
"""Messages that threads read ahead of a command: every answer is what it is without threads, octet by octet, over odd mail of
every size; with files that are gone, renamed and cannot be read, with a client that leaves and a session that is killed.

TERN_SEED: the mail, and what is asked of which messages."""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile

import tern_test as t
from imap_client import Client, Stand

MESSAGES = 1500
ITEMS = [
    "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE", "ENVELOPE", "BODY", "BODYSTRUCTURE INTERNALDATE", "RFC822.SIZE", "ALL", "FULL",
    "BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT)]", "ENVELOPE BODY.PEEK[HEADER.FIELDS (TO CC REFERENCES)] RFC822.SIZE",
    "ENVELOPE BODY.PEEK[HEADER]", "BODYSTRUCTURE BODY.PEEK[1]<0.50>", "PREVIEW BODY", "INTERNALDATE",
]
SEARCHES = ["SUBJECT report", "FROM novak", "SENTSINCE 2-Jan-2024", "SENTBEFORE 2-Jan-2024", "HEADER List-Id x", "BODY zanzibar", "TEXT budget", "SINCE 1-Jan-2020",
            "OLDER 1000", "OR SUBJECT report NOT BEFORE 15-Nov-2023", "LARGER 5000 FROM ann", "NOT SENTON 2-Jan-2024 UNSEEN"]
OTHERS = ["SORT (DATE) UTF-8 ALL", "SORT (REVERSE SUBJECT ARRIVAL) UTF-8 ALL", "SORT (SIZE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL",
          "THREAD ORDEREDSUBJECT UTF-8 SUBJECT report", "STATUS INBOX (MESSAGES SIZE)"]


def seeds():
    top = pathlib.Path(__file__).parents[2] / "fuzz" / "seeds"
    files = [path for folder in ("fuzz_imap_structure", "fuzz_mime", "fuzz_header", "fuzz_preview") for path in sorted((top / folder).iterdir())]
    return [path.read_bytes() for path in files if path.is_file()]


def made(number, chance):
    size = chance.choice([0, 50, 2000, 3000, 12000, 40000])
    lines = [b"Subject: report %d" % number, b"From: " + chance.choice([b"Erika Novak <e@x.test>", b"ann@x.test"]), b"Message-ID: <%d@x.test>" % number,
             b"References: <%d@x.test>" % chance.randrange(MESSAGES)]
    if chance.random() < 0.8:
        lines.append(b"Date: %d Jan 2024 10:00:00 +0200" % chance.randrange(1, 5))
    if chance.random() < 0.05:
        lines += [b"X-Long-%d: " % n + b"y" * 900 for n in range(chance.choice([3, 10, 30]))]
    lines += [b"Content-Type: multipart/mixed; boundary=b", b"", b"--b", b"", b"budget zanzibar" if chance.random() < 0.1 else b"text", b"--b",
              b"Content-Type: message/rfc822", b"", b"Subject: inner", b"", b"z" * size, b"--b--", b""]
    return chance.choice([b"\n", b"\r\n"]).join(lines)


def fill(mail, chance):
    for place in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(mail, place))
    odd = seeds()
    for number in range(MESSAGES):
        text = chance.choice(odd) if chance.random() < 0.3 else made(number, chance)
        if number in (300, 700):
            text += b"Q" * (5 << 20) + b"\n"
        elif number % 150 == 75:
            text += b"w" * 77 + b"\n" * 300000
        if number % 200 == 9:
            text = b""
        name = f"{1700000000 + number * 60}.M{number}P1.far"
        if number % 3 == 0:
            name += f",S={len(text)}" + (f",W={len(text) + text.count(10) - text.count(bytes([13, 10]))}" if number % 2 else "")
        path = os.path.join(mail, "cur", name + ":2," + chance.choice(["", "S", "FS"]))
        with open(path, "wb") as file:
            file.write(text)
        os.utime(path, (1700000000 + number * 61, 1700000000 + number * 61))


class Copy:
    """The mailbox and its folder's file, with hard links: all copies have the same UIDs, and nothing else in common."""

    def __init__(self, mail, threads):
        self.top = tempfile.mkdtemp(prefix="tern-ahead-")
        self.mail = os.path.join(self.top, "Maildir")
        shutil.copytree(mail, self.mail, copy_function=os.link)
        for name in os.listdir(mail):
            if name.startswith("tern-"):
                os.unlink(os.path.join(self.mail, name))
                shutil.copyfile(os.path.join(mail, name), os.path.join(self.mail, name))
        self.stand = Stand(mail=self.mail, threads=threads)

    def client(self):
        client = self.stand.client()
        client.socket.settimeout(120)
        client.command("SELECT INBOX")
        return client

    def close(self):
        t.wait_for(lambda: not sessions(self.stand))  # they put in order what their client has left
        self.stand.__exit__()
        shutil.rmtree(self.top)


def asked(chance):
    commands = []
    for items in ITEMS:
        low = chance.randrange(1, MESSAGES)
        sets = ["1:*", f"{low}:*", f"1:{low},{chance.randrange(1, MESSAGES)}:*", ",".join(str(n) for n in range(1, MESSAGES, 2)),
                ",".join(f"{n}:{n + 60}" for n in range(1, MESSAGES - 60, 90))]
        commands += [f"{uid}FETCH {chance.choice(sets)} ({items})" for uid in ("", "UID ")]
    commands += [f"SEARCH {key}" for key in SEARCHES] + OTHERS
    chance.shuffle(commands)
    return commands


def answers(copy, commands):
    """FLAGS of a mailbox that has a new file by then, which comes when the clock lets it, is no part of them."""
    told = []
    client = copy.client()
    for command in commands:
        result, untagged = client.command(command)
        told.append((command, result, [line for line in untagged if not line.startswith((b"* FLAGS", b"* OK [PERMANENTFLAGS"))]))
    client.close()
    return told


def compare(mail, name, commands, before=lambda copy: None):
    """Each number of threads has a copy of its own, from nothing; what comes first is read, and what is asked again is not."""
    wanted = None
    for threads in (0, 1, 4):
        copy = Copy(mail, threads)
        before(copy)
        told = answers(copy, commands)
        told += answers(copy, commands[:8])
        if wanted is None:
            wanted = told
            good = sum(result.startswith(b"OK") for _, result, _ in told)
            t.ok(good >= len(told) // 4 and any(len(lines) > 100 for _, _, lines in told), f"{name}: there are answers", good)
        else:
            wrong = [(one[0], first_difference(one, other)) for one, other in zip(told, wanted) if one != other]
            t.ok(len(told) == len(wanted) and not wrong, f"{name}: {threads} threads answer as none does", wrong[:3])
        copy.close()


def first_difference(one, other):
    if one[1] != other[1]:
        return one[1], other[1]
    return next(((a[:300], b[:300]) for a, b in zip(one[2], other[2]) if a != b), (len(one[2]), len(other[2])))


def fresh(mail, chance):
    for turn in range(3):
        commands = asked(chance)
        commands.insert(0, ["FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)", "SEARCH SUBJECT report", "THREAD REFS UTF-8 ALL"][turn])
        compare(mail, f"turn {turn}", commands)


def evict(copy):
    """Every other file is not in the kernel's memory any more (where the file system has a disk): it has to be waited for."""
    for name in sorted(os.listdir(os.path.join(copy.mail, "cur")))[::2]:
        file = os.open(os.path.join(copy.mail, "cur", name), os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def evicted(mail):
    for command in ("FETCH 1:* (RFC822.SIZE ENVELOPE BODYSTRUCTURE)", "SEARCH SUBJECT report", "STATUS INBOX (SIZE)", "SORT (SIZE) UTF-8 ALL"):
        compare(mail, f"files on disk, {command[:20]}", [command, "FETCH 1:* (ENVELOPE)"], evict)


def spoiled(mail, chance):
    """Between SELECT and the first FETCH other programs have been there."""
    victims = chance.sample(range(60, MESSAGES), 120)

    def spoil(copy):
        names = {int(name.split(".M")[1].split("P")[0]): name for name in os.listdir(os.path.join(copy.mail, "cur"))}
        copy.client = lambda original=copy.client: select_then(original, names, copy)

    def select_then(original, names, copy):
        client = original()
        for place, number in enumerate(victims):
            path = os.path.join(copy.mail, "cur", names[number])
            if not os.path.lexists(path):
                continue
            if place % 4 == 0:
                os.unlink(path)
            elif place % 4 == 1:
                os.rename(path, path + "R")
            elif place % 4 == 2:
                os.unlink(path)
                os.mkfifo(path)
            else:
                os.unlink(path)
                os.symlink("/etc/passwd", path)
        return client

    for first in ("FETCH 1:* (RFC822.SIZE ENVELOPE BODYSTRUCTURE)", "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])", "SEARCH FROM novak"):
        compare(mail, f"files gone, renamed, and none, {first[:20]}", [first, "FETCH 1:* (ENVELOPE)", "SORT (FROM) UTF-8 ALL"], spoil)


def sessions(stand):
    said = subprocess.run(["ps", "--ppid", str(stand.process.pid), "-o", "pid=,nlwp=,stat="], capture_output=True, text=True, check=False).stdout
    return [line.split() for line in said.splitlines() if "Z" not in line.split()[2]]


def ended(mail):
    copy = Copy(mail, 3)
    command = b"x FETCH 1:* (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE)\r\n"
    client = copy.client()
    client.send(command * 3)
    t.ok(t.wait_for(lambda: any(int(one[1]) == 4 for one in sessions(copy.stand))), "a session that reads ahead has its threads", sessions(copy.stand))
    client.close()
    t.ok(t.wait_for(lambda: not sessions(copy.stand)), "its client leaves in the midst of it: the session ends", sessions(copy.stand))
    client = copy.client()
    shutil.rmtree(copy.stand.cache, ignore_errors=True)
    client.close()
    client = copy.client()
    client.send(command)
    client.socket.recv(4096)
    for pid, *_ in sessions(copy.stand):
        os.kill(int(pid), signal.SIGKILL)
    t.ok(t.wait_for(lambda: not sessions(copy.stand)), "it is killed in the midst of it")
    client.close()
    client = copy.client()
    told = client.command(command[2:-2])
    t.ok(told[0].startswith(b"OK") and len(told[1]) == MESSAGES, "and all is there in the next session", told[0])
    client.command("NOOP")
    t.ok(t.wait_for(lambda: [one[1] for one in sessions(copy.stand)] == ["1"]), "after the command its threads are gone", sessions(copy.stand))
    client.close()
    copy.close()


def threads_of(tern):
    """The number of threads of each session of this instance."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "imap-session" and os.readlink(f"/proc/{pid}/exe").startswith(str(tern.libexec)):
                found.append(len(os.listdir(f"/proc/{pid}/task")))
        except OSError:
            pass
    return found


def locked_in(mail):
    """A session as it is, in its sandbox."""
    t.need("tern", "master", "auth", "imapd", "mailbox", "log")
    with t.Instance(settings=["auth_failure_delay=0"]) as tern:
        tern.add_user("ada")
        tern.start()
        box = tern.mail / "example.test" / "ada" / "Maildir"
        client = Client(tern.port_base + 143)
        client.socket.settimeout(120)
        client.command("LOGIN ada@example.test secret")
        client.command("SELECT INBOX")
        owner = box.stat()
        for name in os.listdir(os.path.join(mail, "cur")):
            shutil.copyfile(os.path.join(mail, "cur", name), box / "cur" / name)
            os.chown(box / "cur" / name, owner.st_uid, owner.st_gid)
        client.command("NOOP")
        client.send(b"x FETCH 1:* (ENVELOPE BODYSTRUCTURE)\r\n")
        t.ok(t.wait_for(lambda: max(threads_of(tern), default=0) > 1), "a session of an account reads ahead too", threads_of(tern))
        result, lines = client.wait(b"x")
        t.ok(result.startswith(b"OK") and len(lines) == len(os.listdir(box / "cur")), "and answers", (result, len(lines)))
        client.command("LOGOUT")
        client.close()
        t.is_([line for line in tern.log().splitlines() if "panic:" in line or "fatal:" in line or "Sanitizer" in line], [], "nothing went wrong")
        tern.stop()


seed = int(os.environ.get("TERN_SEED", "0")) or random.randrange(1, 1 << 30)
print(f"# TERN_SEED={seed}")
random_ = random.Random(seed)
here = tempfile.mkdtemp(prefix="tern-ahead-")
try:
    original = os.path.join(here, "Maildir")
    fill(original, random_)
    with Stand(mail=original) as first_stand:
        opened = first_stand.client()
        opened.command("SELECT INBOX")
        opened.close()
    fresh(original, random_)
    evicted(original)
    spoiled(original, random_)
    ended(original)
    locked_in(original)
finally:
    shutil.rmtree(here)
t.done()
