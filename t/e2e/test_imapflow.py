#!/usr/bin/env python3
"""imapflow, the client library for Node.js, against the running server: in plain text (with COMPRESS), by STARTTLS and by
implicit TLS. It comes from npm, into a folder of its own; without npm or its registry the test is skipped. TAP."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import tern_test as t

PACKAGE = "imapflow@1.0.171"

t.need("tern", *t.DAEMONS)
if not shutil.which("node") or not shutil.which("npm"):
    t.skip_all("there is no node, or no npm")


def fetch(folder):
    """The module's place, or None where it cannot be had."""
    try:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, PACKAGE],
                       capture_output=True, timeout=120)
    except subprocess.TimeoutExpired:
        return None
    made = folder / "node_modules/imapflow"
    return made if made.exists() else None


def drive(module, port, mode):
    script = pathlib.Path(__file__).with_name("imapflow_session.js")
    run = subprocess.run(["node", script, module, str(port), mode], capture_output=True, text=True, timeout=180,
                         env={**os.environ, "NODE_NO_WARNINGS": "1"})
    said = [json.loads(line) for line in run.stdout.splitlines()]
    for row in said:
        t.ok(row["good"], f"{mode}: {row['name']}", row["got"])
    t.ok(run.returncode == 0 and said and said[-1]["name"] == "to its end", f"{mode}: it came to its end", run.stderr[-2000:])


top = pathlib.Path(tempfile.mkdtemp(prefix="tern-imapflow-"))
place = fetch(top)
if not place:
    shutil.rmtree(top, ignore_errors=True)
    t.skip_all("npm cannot get imapflow")
try:
    for mode, offset in (("plain", 143), ("starttls", 143), ("tls", 993)):
        with t.Instance(tls=True, settings=["auth_failure_delay=0", "auth_ban_exceptions=127.0.0.0/8"]) as tern:
            tern.add_user("ada")
            tern.start()
            drive(place, tern.port_base + offset, mode)
            tern.stop()
finally:
    shutil.rmtree(top, ignore_errors=True)
t.done()
