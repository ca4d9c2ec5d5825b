"""mbsync and offlineimap for tests: their configuration for one account, a run, and what they keep."""

import hashlib
import re
import shutil
import subprocess

import tern_test as t

USER = "ada@example.test"
MBSYNC = """FSync no

IMAPAccount far
Host 127.0.0.1
Port {port}
User {user}
Pass secret
{plain}
AuthMechs {mechanism}

IMAPStore far
Account far

MaildirStore near
Path {near}/
Inbox {near}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns {patterns}
Create {create}
Expunge Both
SyncState {state}
{more}
"""
OFFLINEIMAP = """[general]
accounts = a
metadata = {top}/offlineimap
ui = basic
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {near}
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
remoteuser = {user}
remotepass = secret
ssl = no
starttls = no
auth_mechanisms = {mechanism}
{more}
"""


def mbsync(top, port, patterns="*", create="Both", mechanism="PLAIN", more="", state="*", timeout=120):
    """A run that keeps mail in top/near, or None if it is not installed."""
    if not shutil.which("mbsync"):
        return None
    near = top / "near"
    near.mkdir(exist_ok=True)
    version = subprocess.run(["mbsync", "-v"], capture_output=True, text=True).stdout
    plain = "TLSType None" if re.search(r"isync 1\.[5-9]", version) else "SSLType None"
    settings = top / "mbsyncrc"
    settings.write_text(MBSYNC.format(port=port, user=USER, plain=plain, mechanism=mechanism, near=near, patterns=patterns, create=create, more=more, state=state))
    return subprocess.run(["mbsync", "-V", "-c", settings, "-a"], capture_output=True, text=True, timeout=timeout)


def offlineimap(top, port, near="near", mechanism="PLAIN", more="", timeout=120):
    """A run that keeps mail in top/near, or None if it is not installed."""
    if not shutil.which("offlineimap"):
        return None
    settings = top / "offlineimaprc"
    settings.write_text(OFFLINEIMAP.format(top=top, near=top / near, port=port, user=USER, mechanism=mechanism, more=more))
    return subprocess.run(["offlineimap", "-c", settings, "-o"], capture_output=True, text=True, timeout=timeout)


def went_well(run):
    """Neither of them says everything by its exit status."""
    return run.returncode == 0 and "ERROR" not in run.stderr + run.stdout


def files(top):
    """{path: digest} of the messages that a client keeps."""
    return {str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest() for path in top.rglob("*")
            if path.is_file() and path.parent.name in ("cur", "new")}


def near(top, folder):
    """{Message-ID: flags among F, R, S} of one folder that a client keeps."""
    found = {}
    for place in ("cur", "new"):
        path = top / "near" / folder / place
        for file in path.iterdir() if path.is_dir() else ():
            letters = file.name.partition(":2,")[2]
            found[re.search(rb"Message-ID: <(\w+)@", file.read_bytes())[1].decode()] = "".join(letter for letter in "FRS" if letter in letters)
    return found


def far(client, folder):
    """The same as a server has it, asked by a client that is logged in."""
    client.command(f'EXAMINE "{folder}"')
    found = {}
    for answer in client.command("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Message-ID)])")[1]:
        if match := re.search(rb"<(\w+)@", answer):
            flags = (("F", b"\\Flagged"), ("R", b"\\Answered"), ("S", b"\\Seen"))
            found[match[1].decode()] = "".join(letter for letter, flag in flags if flag in answer)
    return found


def equal(top, log_in, wanted, when):
    """Checks that both sides of the folders in wanted, {folder: count}, are the same and as many."""
    client = log_in()
    for folder, count in wanted.items():
        one, other = far(client, folder), near(top, folder)
        t.ok(one == other and len(one) == count, f"{when}: both sides of {folder} are equal", (len(one), len(other), set(one.items()) ^ set(other.items())))
    client.close()
