#!/usr/bin/env python3
"""mbsync (isync) and curl against the running server: 200 messages both ways, flags, deletes; both sides are equal after it."""

import re
import shutil
import subprocess

import sync_clients as sync
import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
if not shutil.which("mbsync"):
    t.skip_all("mbsync is not installed")
MESSAGE = "From: ann@example.test\r\nTo: ada@example.test\r\nSubject: number {0}\r\nMessage-ID: <{0}@example.test>\r\n\r\nwords {0}\r\n"


def log_in(tern):
    client = Client(tern.port_base + 143)
    client.command("LOGIN ada@example.test secret")
    return client


def synchronize(tern, when):
    run = sync.mbsync(tern.top, tern.port_base + 143, patterns="INBOX Work")
    t.ok(sync.went_well(run), f"mbsync, {when}", run.stdout[-2000:] + run.stderr[-2000:])


def equal(tern, wanted, when):
    sync.equal(tern.top, lambda: log_in(tern), wanted, when)


def main():
    with t.Instance(tls=True) as tern:
        tern.add_user("ada")
        tern.start()
        client = log_in(tern)
        client.command("CREATE Work")
        for number in range(200):
            text = MESSAGE.format(number).encode()
            flags = "(\\Seen) " if number % 3 == 0 else ""
            client.command(f"APPEND {'INBOX' if number % 4 else 'Work'} {flags}{{{len(text)}+}}\r\n".encode() + text)
        synchronize(tern, "the first time")
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
        left = len(sync.near(tern.top, "Work"))
        synchronize(tern, "after changes on both sides")
        equal(tern, {"INBOX": 160, "Work": left}, "changes")
        t.ok(left < 50, "some were removed here", left)
        synchronize(tern, "with nothing to do")
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
