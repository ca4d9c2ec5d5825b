#!/usr/bin/env python3
"""Mail programs read by IMAP: mutt and neomutt at a terminal (delete, flag, copy, save), fetchmail and getmail, by STARTTLS
and implicit TLS. TAP."""

import os
import pwd
import re
import shutil
import subprocess

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "keys", "log")
COUNT = 10
MUTT = """set folder="{scheme}://127.0.0.1:{port}/"
set imap_user="ada@example.test"
set imap_pass="secret"
set spoolfile="+INBOX"
set ssl_starttls=yes
set ssl_force_tls=yes
set certificate_file="{authority}"
set ssl_verify_host=no
set sort=mailbox-order
set delete=yes
set confirmappend=no
set confirmcreate=no
set quit=yes
set header_cache=
set record=""
set wait_key=no
set move=no
set imap_check_subscribed=no
{more}
push "{keys}"
"""
# s3 goes, s5 is flagged, s7 is copied to a new folder, s9 is saved to another.
KEYS = ("<delete-pattern>~s 'number 3$'<enter><tag-pattern>~s 'number 5$'<enter><tag-prefix><flag-message><untag-pattern>.<enter>"
        "<tag-pattern>~s 'number 7$'<enter><tag-prefix><copy-message>=Kept<enter><untag-pattern>.<enter>"
        "<tag-pattern>~s 'number 9$'<enter><tag-prefix><save-message>=Saved<enter><sync-mailbox><quit>")


def log_in(tern):
    client = Client(tern.port_base + 143)
    client.command("LOGIN ada@example.test secret")
    return client


def fill(tern):
    client = log_in(tern)
    for folder in ("Kept", "Saved"):
        client.command(f"DELETE {folder}")
    client.command("SELECT INBOX")
    client.command("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    client.command("EXPUNGE")
    for number in range(COUNT):
        text = (f"From: ann@example.test\r\nTo: ada@example.test\r\nDate: Sat, 28 Nov 2026 06:00:00 +0000\r\nSubject: number {number}\r\n"
                f"Message-ID: <{number}@example.test>\r\n\r\nwords {number}\r\n").encode()
        client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(text), text))
    client.close()


def stands(tern, folder):
    """{number: flags} of a folder."""
    client = log_in(tern)
    client.command(f"EXAMINE {folder}")
    found = {}
    for answer in client.command("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Subject)])")[1]:
        if match := re.search(rb"number (\d+)", answer):
            found[int(match[1])] = set(re.search(rb"FLAGS \(([^)]*)\)", answer)[1].decode().split()) - {"\\Recent"}
    client.close()
    return found


def at_terminal(tern, program, encrypted):
    how = f"{program}, {'TLS' if encrypted else 'STARTTLS'}"
    fill(tern)
    settings = tern.top / f"{program}rc"
    more = "set imap_condstore=yes\nset imap_qresync=yes" if program == "neomutt" or encrypted else ""
    settings.write_text(MUTT.format(scheme="imaps" if encrypted else "imap", port=tern.port_base + (993 if encrypted else 143),
                                    authority=tern.certificate, keys=KEYS, more=more))
    home = tern.top / f"home-{program}"
    home.mkdir(exist_ok=True)
    run = subprocess.run(["script", "-qec", f"{program} -n -F {settings}", "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                         env={**os.environ, "TERM": "xterm", "HOME": str(home)})
    inbox = stands(tern, "INBOX")
    t.ok(run.returncode == 0 and sorted(inbox) == [0, 1, 2, 4, 5, 6, 7, 8], f"{how}: what was deleted and saved is gone", (inbox, run.stdout[-1500:]))
    t.ok("\\Flagged" in inbox.get(5, ()) and not any("\\Flagged" in flags for number, flags in inbox.items() if number != 5), f"{how}: one is flagged", inbox)
    t.is_((sorted(stands(tern, "Kept")), sorted(stands(tern, "Saved"))), ([7], [9]), f"{how}: copied and saved into new folders")


def fetchmail(tern, encrypted):
    how = f"fetchmail, {'TLS' if encrypted else 'STARTTLS'}"
    fill(tern)
    place, settings = tern.top / "fetched", tern.top / "fetchmailrc"
    place.unlink(missing_ok=True)
    settings.write_text(f'set idfile "{tern.top}/fetchids"\nset pidfile "{tern.top}/fetchmail.pid"\npoll 127.0.0.1 protocol imap port {tern.port_base + (993 if encrypted else 143)} '
                        f'user "ada@example.test" password "secret" {"ssl" if encrypted else ""} sslproto "TLS1.2+" no sslcertck fetchall no keep mda "cat >> {place}"\n')
    settings.chmod(0o600)
    run = subprocess.run(["fetchmail", "-f", settings, "-a"], capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(tern.top)})
    fetched = place.read_text() if place.exists() else ""
    t.ok(run.returncode == 0 and fetched.count("Message-ID:") == COUNT, f"{how}: it has them all", run.stdout[-1000:] + run.stderr[-1000:])
    t.is_(stands(tern, "INBOX"), {}, f"{how}: and has deleted them")


def getmail(tern):
    fill(tern)
    nobody = pwd.getpwnam("nobody")
    place = tern.top / "getmail"
    for part in ("cur", "new", "tmp"):
        (place / "box" / part).mkdir(parents=True)
    (place / "getmailrc").write_text(f"[retriever]\ntype=SimpleIMAPSSLRetriever\nserver=127.0.0.1\nport={tern.port_base + 993}\nusername=ada@example.test\n"
                                     f"password=secret\ntimeout=10\n[destination]\ntype=Maildir\npath={place}/box/\n[options]\ndelete=true\nverbose=1\n")
    for path in (place, *place.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    # getmail waits for each of its deliverers, but does not hear of one that ends before it begins to wait: then it gives
    # up after its time-out, and gets the rest, and that message again, the next time.
    for _ in range(5):
        run = subprocess.run(["getmail", f"--getmaildir={place}", "--rcfile=getmailrc"], capture_output=True, text=True, timeout=60, user="nobody",
                             group=nobody.pw_gid, extra_groups=[], cwd="/", env={**os.environ, "HOME": str(place)})
        if not stands(tern, "INBOX"):
            break
    got = {re.search(rb"(?im)^message-id: *(\S+)", path.read_bytes())[1] for path in (place / "box" / "new").iterdir()}
    t.is_(len(got), COUNT, "getmail: it has them all" + ("" if len(got) == COUNT else run.stdout[-1000:] + run.stderr[-1000:]))
    t.is_(stands(tern, "INBOX"), {}, "getmail: and has deleted them")


def main():
    with t.Instance(tls=True) as tern:
        tern.add_user("ada")
        tern.start()
        for program in filter(shutil.which, ("mutt", "neomutt")):
            for encrypted in (False, True):
                at_terminal(tern, program, encrypted)
        if shutil.which("fetchmail"):
            for encrypted in (False, True):
                fetchmail(tern, encrypted)
        if shutil.which("getmail") and t.is_root():
            getmail(tern)
        tern.stop()


main()
t.done()
