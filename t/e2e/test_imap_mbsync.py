#!/usr/bin/env python3
"""mbsync (isync) and curl against the running server: 200 messages both ways, flags, deletes; both sides are equal after it."""

import os
import re
import shutil
import subprocess

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
if not shutil.which("mbsync"):
    t.skip_all("mbsync is not installed")
MESSAGE = "From: ann@example.test\r\nTo: ada@example.test\r\nSubject: number {0}\r\nMessage-ID: <{0}@example.test>\r\n\r\nwords {0}\r\n"
SETTINGS = """IMAPAccount tern
Host 127.0.0.1
Port {port}
User ada@example.test
Pass secret
{tls}
AuthMechs PLAIN

IMAPStore far
Account tern

MaildirStore near
Path {near}/
Inbox {near}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX Work
Create Both
Expunge Both
SyncState *
"""


def synchronize(tern):
    settings = tern.top / "mbsyncrc"
    (tern.top / "near").mkdir(exist_ok=True)
    none = "TLSType None" if re.search(r"isync 1\.[5-9]", subprocess.run(["mbsync", "-v"], capture_output=True, text=True).stdout) else "SSLType None"
    settings.write_text(SETTINGS.format(port=tern.port_base + 143, tls=none, near=tern.top / "near"))
    return subprocess.run(["mbsync", "-c", settings, "-a"], capture_output=True, text=True, timeout=120)


def far(tern, folder):
    """{Message-ID: flags} as the server has them."""
    client = Client(tern.port_base + 143)
    client.command("LOGIN ada@example.test secret")
    client.command(f"EXAMINE {folder}")
    found = {}
    for answer in client.command("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Message-ID)])")[1]:
        if match := re.search(rb"<(\w+)@", answer):
            found[match[1].decode()] = "".join(letter for letter, flag in (("F", b"\\Flagged"), ("R", b"\\Answered"), ("S", b"\\Seen")) if flag in answer)
    client.close()
    return found


def near(tern, folder):
    found = {}
    for part in ("cur", "new"):
        path = tern.top / "near" / folder / part
        for name in os.listdir(path) if path.is_dir() else ():
            text = (path / name).read_bytes()
            flags = name.split(":2,")[1] if ":2," in name else ""
            found[re.search(rb"Message-ID: <(\w+)@", text)[1].decode()] = "".join(letter for letter in "FRS" if letter in flags)
    return found


def equal(tern, count, name):
    for folder, wanted in count.items():
        one, other = far(tern, folder), near(tern, folder)
        t.ok(one == other and len(one) == wanted, f"{name}: both sides of {folder} are equal", (len(one), len(other), set(one.items()) ^ set(other.items())))


def main():
    with t.Instance(tls=True) as tern:
        tern.add_user("ada")
        tern.start()
        client = Client(tern.port_base + 143)
        client.command("LOGIN ada@example.test secret")
        client.command("CREATE Work")
        for number in range(200):
            text = MESSAGE.format(number).encode()
            flags = "(\\Seen) " if number % 3 == 0 else ""
            client.command(f"APPEND {'INBOX' if number % 4 else 'Work'} {flags}{{{len(text)}+}}\r\n".encode() + text)
        run = synchronize(tern)
        t.is_(run.returncode, 0, "mbsync, the first time") or print("#", run.stderr)
        equal(tern, {"INBOX": 150, "Work": 50}, "first")
        # Changes on both sides.
        client.command("SELECT INBOX")
        client.command("STORE 1:20 +FLAGS.SILENT (\\Flagged)")
        client.command("STORE 21:40 +FLAGS.SILENT (\\Deleted)")
        client.command("EXPUNGE")
        for place in ("cur", "new"):
            folder = tern.top / "near" / "Work" / place
            for index, path in enumerate(sorted(folder.iterdir())):
                stem, _, flags = path.name.partition(":2,")
                if index % 5 == 0:
                    path.unlink()
                elif index % 5 == 1:
                    path.rename(tern.top / "near" / "Work" / "cur" / f"{stem}:2,{''.join(sorted(set(flags) | {'R', 'S'}))}")
        for number in range(200, 230):
            path = tern.top / "near" / "INBOX" / "cur" / f"17000{number}.here:2,F"
            path.write_bytes(MESSAGE.format(number).replace("\r\n", "\n").encode())
        left = len(near(tern, "Work"))
        run = synchronize(tern)
        t.is_(run.returncode, 0, "mbsync after changes on both sides") or print("#", run.stderr)
        equal(tern, {"INBOX": 160, "Work": left}, "changes")
        t.ok(left < 50, "some were removed here", left)
        run = synchronize(tern)
        t.is_(run.returncode, 0, "mbsync with nothing to do") or print("#", run.stderr)
        equal(tern, {"INBOX": 160, "Work": left}, "again")
        if shutil.which("curl"):
            base = f"imap://127.0.0.1:{tern.port_base + 143}"
            got = subprocess.run(["curl", "-sS", "-u", "ada@example.test:secret", base + "/INBOX;MAILINDEX=1"], capture_output=True, timeout=60)
            t.ok(got.returncode == 0 and got.stdout.startswith(b"From: ann@"), "curl imap: fetches a message", got)
            got = subprocess.run(["curl", "-sSk", "-u", "ada@example.test:secret", f"imaps://127.0.0.1:{tern.port_base + 993}/INBOX?SUBJECT%20%22number%20229%22"],
                                 capture_output=True, timeout=60)
            t.ok(got.returncode == 0 and re.match(rb"\* SEARCH \d+", got.stdout), "curl imaps: searches", got)


main()
t.done()
