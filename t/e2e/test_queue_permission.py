#!/usr/bin/env python3
"""authorized_mailq_users and authorized_flush_users. Needs root, for other accounts. TAP."""

import os
import pwd
import subprocess

import tern_test as t

missing = [name for name in ["tern", "master", "qmgr", "lookup", "cleanup", "log", "ternqueue"] if not t.program(name)]
if missing:
    t.skip_all("not built: " + " ".join(missing))
if os.geteuid() != 0:
    t.skip_all("needs root to become other accounts")

ACCOUNTS = ["daemon", "bin", "nobody"]


def ask(tern, name, option):
    account = pwd.getpwnam(name)

    def demote():
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)

    return subprocess.run([t.program("ternqueue"), "-c", tern.etc, option], capture_output=True, text=True, timeout=30,
                          preexec_fn=demote)


def permitted(tern, option):
    """Who of the accounts may."""
    return " ".join(name for name in ACCOUNTS if ask(tern, name, option).returncode == 0)


TABLE = [
    # value, who may
    ("static:anyone", "daemon bin nobody"),
    ("static:all", "daemon bin nobody"),
    ("", ""),
    ("root", ""),
    ("daemon", "daemon"),
    ("daemon, bin", "daemon bin"),
    ("!bin, static:anyone", "daemon nobody"),
    ("static:anyone, !bin", "daemon bin nobody"),
    ("!static:anyone, daemon", ""),
    ("no-such-account nobody", "nobody"),
]

with t.Instance() as tern:
    if ask(tern, "nobody", "-p").returncode == 126:
        t.skip_all("other accounts cannot execute the build's commands")
    main = (tern.etc / "main.cf").read_text()
    tern.start()
    for value, who in TABLE:
        (tern.etc / "main.cf").write_text(main + f"authorized_mailq_users = {value}\n")
        tern.run("reload", check=True)
        t.wait_for(lambda: not any("draining" in line for line in tern.run("pids").stdout.splitlines()), 10)
        t.is_(permitted(tern, "-p"), who, f"authorized_mailq_users = {value}")
        t.is_(tern.command("ternqueue", "-p").returncode, 0, "root may always")
    (tern.etc / "main.cf").write_text(main + "authorized_flush_users = bin\n")
    tern.run("reload", check=True)
    t.wait_for(lambda: not any("draining" in line for line in tern.run("pids").stdout.splitlines()), 10)
    t.is_(permitted(tern, "-f"), "bin", "authorized_flush_users = bin")
    t.is_(permitted(tern, "-p"), " ".join(ACCOUNTS), "which is not for listing")
    refused = ask(tern, "daemon", "-f")
    t.ok("authorized_flush_users" in refused.stderr, "the refusal names the parameter", refused.stderr)
    t.ok("there is no account no-such-account" in tern.log(), "an account that does not exist is warned of")
    tern.stop()
    (tern.etc / "main.cf").write_text(main + "authorized_flush_users = lmdb:/etc/users\n")
    started = tern.run("start")
    t.ok(started.returncode != 0, "a table there is refused")
    t.ok("authorized_flush_users" in started.stderr + tern.log() and "only account names" in started.stderr + tern.log(),
         "with the reason", started.stderr)

t.done()
