#!/usr/bin/env python3
"""A Maildir that Dovecot had is served by tern: the same mailboxes, subscriptions, UIDs, flags and keywords; mbsync and
offlineimap, which know it from Dovecot, download nothing and change nothing.

TERN_IMPORT_MESSAGES: how many messages (2000)."""

import hashlib
import os
import pathlib
import pwd
import re
import shutil
import subprocess

import sync_clients as sync
import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
if not t.is_root() or not pathlib.Path("/usr/lib/dovecot/imap").exists():
    t.skip_all("wants root and dovecot-imapd")
COUNT = int(os.environ.get("TERN_IMPORT_MESSAGES", "2000"))
# As clients see them, in modified UTF-7; the last ones have what is special on the disk.
FOLDERS = ["INBOX", "Work", "Work/Deep/Deeper", "Entw&APw-rfe", "Work/&ZeVnLIqe-", "R&-D", "50% off", "Empty"]
SUBSCRIBED = ["INBOX", "Work", "Entw&APw-rfe", "Work/&ZeVnLIqe-", "R&-D", "50% off"]
ITEMS = ("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "$Forwarded", "Important", "$Label1", "Todo")

DOVECOT = """
base_dir = {top}/run
state_dir = {top}/state
log_path = {top}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
mail_location = maildir:{mail}
maildir_copy_with_hardlinks = yes
mail_home = {top}/home
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={top}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Dovecot:
    def __init__(self, top, mail, port, owner):
        for name in ("run", "state", "home"):
            (top / name).mkdir()
        os.chown(top / "home", owner.pw_uid, owner.pw_gid)
        self.settings, self.port = top / "dovecot.conf", port
        self.settings.write_text(DOVECOT.format(top=top, mail=mail, uid=owner.pw_uid, gid=owner.pw_gid, port=port))

    def start(self):
        started = subprocess.run(["dovecot", "-c", self.settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # the daemon keeps both
        t.ok(started.returncode == 0 and t.wait_for(lambda: can_log_in(self.port), 20), "Dovecot runs", self.log())

    def log(self):
        log = self.settings.parent / "dovecot.log"
        return log.read_text()[-2000:] if log.exists() else ""

    def stop(self):
        subprocess.run(["doveadm", "-c", self.settings, "stop"], capture_output=True)
        t.wait_for(lambda: not t.accepts(self.port), 10)


def log_in(port):
    client = Client(port)
    result, _ = client.command("LOGIN ada@example.test secret")
    if not result.startswith(b"OK"):
        raise OSError(result)
    return client


def can_log_in(port):
    try:
        log_in(port).close()
        return True
    except (OSError, EOFError):
        return False


def message(number):
    return (f"From: ann@example.test\r\nTo: ada@example.test\r\nDate: Sat, 28 Nov 2026 06:00:00 +0000\r\nSubject: number {number}\r\n"
            f"Message-ID: <{number}@example.test>\r\n\r\n" + "".join(f"words {number} {line}\r\n" for line in range(number % 7))).encode()


def fill(port):
    """Through Dovecot; with gaps between UIDs."""
    client = log_in(port)
    for folder in FOLDERS[1:]:
        client.command(f'CREATE "{folder}"')
    for folder in SUBSCRIBED:
        client.command(f'SUBSCRIBE "{folder}"')
    batch = []
    for number in range(COUNT):
        flags = " ".join(flag for bit, flag in enumerate(ITEMS) if flag != "\\Deleted" and (number * 7919 >> bit) % 3 == 0)
        text = message(number)
        client.count += 1
        batch.append(b"b%d APPEND \"%s\" (%s) {%d+}\r\n%s\r\n" % (client.count, FOLDERS[number % (len(FOLDERS) - 1)].encode(), flags.encode(), len(text), text))
        if len(batch) == 50 or number == COUNT - 1:
            client.send(b"".join(batch))
            client.wait(b"b%d" % client.count)
            batch = []
    for folder in FOLDERS[:-1]:
        client.command(f'SELECT "{folder}"')
        client.command("STORE 3:5 +FLAGS (\\Deleted)")
        client.command("EXPUNGE")
    client.command("LOGOUT")
    client.close()


def told(port):
    """What a client is told of everything: {folder: (UIDVALIDITY, UIDNEXT, {UID: (flags, digest)})}, and the lists."""
    client = log_in(port)
    names = lambda answers: sorted(match[1].strip(b'"').decode() for answer in answers if (match := re.search(rb'"/" (".*"|\S+)$', answer)))
    lists = [names(client.command('LIST "" *')[1]), names(client.command('LSUB "" *')[1])]
    folders = {}
    for folder in lists[0]:
        result, answers = client.command(f'EXAMINE "{folder}"')
        if not result.startswith(b"OK"):
            continue  # a level only
        text = b"\r\n".join(answers)
        messages = {}
        for answer in client.command("UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")[1]:
            if uid := re.search(rb"UID (\d+)", answer):
                flags = {flag for flag in re.search(rb"FLAGS \(([^)]*)\)", answer)[1].decode().split() if flag != "\\Recent"}
                date, size = re.search(rb'INTERNALDATE "([^"]+)"', answer)[1], re.search(rb"RFC822.SIZE (\d+)", answer)[1]
                body = re.search(rb"BODY\[\] \{(\d+)\}\r\n", answer)
                content = answer[body.end():body.end() + int(body[1])]
                messages[int(uid[1])] = (frozenset(flags), size, hashlib.sha256(content).hexdigest(), as_utc(date))
        folders[folder] = (re.search(rb"UIDVALIDITY (\d+)", text)[1], re.search(rb"UIDNEXT (\d+)", text)[1], messages)
    client.command("LOGOUT")
    client.close()
    return lists, folders


def as_utc(date):
    import datetime
    return datetime.datetime.strptime(date.decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()


def clients(top, port, when):
    """Both clients, as far as they are installed: what they have afterwards."""
    have = {}
    patience = 300 + COUNT // 10
    if run := sync.mbsync(top, port, create="Near", mechanism="LOGIN", timeout=patience):
        t.ok(sync.went_well(run), f"{when}: mbsync", run.stdout[-2000:] + run.stderr[-2000:])
        have["near"] = sync.files(top / "near")
    if run := sync.offlineimap(top, port, near="offline-near", mechanism="LOGIN", timeout=patience):
        t.ok(sync.went_well(run), f"{when}: offlineimap", run.stdout[-3000:] + run.stderr[-2000:])
        have["offline-near"] = sync.files(top / "offline-near")
        copied = [line for line in run.stdout.splitlines() if "Copy" in line]
        t.ok("first" in when or not copied, f"{when}: offlineimap copies nothing", copied[:5])
    return have


def compare(before, now, when):
    t.is_(now[0], before[0], f"{when}: the same mailboxes and subscriptions")
    for folder, (validity, following, messages) in before[1].items():
        other = now[1].get(folder, (None, None, {}))
        odd = [(uid, messages.get(uid), other[2].get(uid)) for uid in sorted(set(messages) | set(other[2])) if messages.get(uid) != other[2].get(uid)]
        t.ok((validity, following) == other[:2] and not odd, f"{when}: {folder}: {len(messages)} messages, the same UIDs, flags, keywords, dates and bytes",
             (validity, following, other[:2], len(odd), odd[:3]))


def main():
    with t.Instance() as tern:
        tern.add_user("ada")
        tern.start()
        # Made by tern's own session first, to learn whose it is; then Dovecot's alone.
        log_in(tern.port_base + 143).close()
        mail = tern.mail / "example.test" / "ada" / "Maildir"
        owner = pwd.getpwuid(t.wait_for(lambda: mail.exists() and mail.stat()).st_uid)
        tern.stop()
        for place in mail.iterdir():
            shutil.rmtree(place) if place.is_dir() else place.unlink()
        top = tern.top / "dovecot"
        top.mkdir()
        dovecot = Dovecot(top, mail, tern.port_base + 30, owner)
        dovecot.start()
        try:
            fill(dovecot.port)
            before = told(dovecot.port)
            t.ok(sum(len(messages) for _, _, messages in before[1].values()) == COUNT - 3 * (len(FOLDERS) - 1), "Dovecot has them all")
            first = clients(top, dovecot.port, "Dovecot, first")
            again = clients(top, dovecot.port, "Dovecot, again")
            t.is_(again, first, "Dovecot: a second run changes nothing")
        finally:
            dovecot.stop()
        tern.start()
        port = tern.port_base + 143
        compare(before, told(port), "tern")
        now = clients(top, port, "tern")
        for kind, kept in now.items():
            t.ok(kept == first[kind] and len(kept) == COUNT - 3 * (len(FOLDERS) - 1), f"tern: {kind}: nothing was downloaded, nothing has changed",
                 (len(kept), len(first[kind]), sorted(set(kept) ^ set(first[kind]))[:5]))
        compare(before, told(port), "tern, after the clients")
        client = log_in(port)
        client.command('SELECT "Entw&APw-rfe"')
        result = client.command("STORE 1 +FLAGS (Important)")[0]
        t.ok(result.startswith(b"OK") and client.command("SEARCH KEYWORD Important")[1][0].startswith(b"* SEARCH 1"), "and it can be worked with")
        client.close()
        faults = [line for line in tern.log().splitlines() if "panic:" in line or "Sanitizer" in line or "warning: ada" in line]
        t.is_(faults, [], "the log has no complaint")
        tern.stop()


main()
t.done()
