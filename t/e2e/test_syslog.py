#!/usr/bin/env python3
"""The log by way of the system's logger: a socket of this test stands at /dev/log, in a
mount namespace of its own. Needs root. TAP."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

import tern_test as t

t.need("tern", "master", "smtpd", "cleanup", "qmgr", "local", "lookup", "log", "ternlog")
INSIDE = "TERN_TEST_INSIDE_NAMESPACE"
LINE = re.compile(r"<(\d+)>(\w\w\w [ \d]\d \d\d:\d\d:\d\d) (\S+)\[(\d+)\]: (.*)")
MAIL, LOCAL3 = 2, 19  # facilities
CRIT, WARNING, INFO = 2, 4, 6


def enter_namespace():
    """Starts this script again in a mount namespace of its own."""
    if not t.is_root() or not shutil.which("unshare"):
        t.skip_all("needs root and unshare")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        t.skip_all("no mount namespace can be made here")
    os.environ[INSIDE] = "yes"
    os.execvp("unshare", ["unshare", "-m", sys.executable, __file__])


def own_devices():
    """A /dev with the few devices that programs need, and room for a socket; it ends with the namespace."""
    top = tempfile.mkdtemp(prefix="tern-test-dev-")

    def mount(*words):
        subprocess.run(["mount", *words], check=True)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", top)
    for name in ("null", "zero", "full", "random", "urandom"):
        open(f"{top}/{name}", "w").close()
        mount("--bind", f"/dev/{name}", f"{top}/{name}")
    os.mkdir(f"{top}/shm", 0o1777)
    os.symlink("/proc/self/fd", f"{top}/fd")
    mount("--move", top, "/dev")
    os.rmdir(top)


class Logger:
    """What syslogd is to others."""

    def __init__(self):
        self.datagrams = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                datagram = self.socket.recv(65536)
            except OSError:
                return
            if datagram:
                self.datagrams.append(datagram.decode())

    def end(self):
        os.unlink("/dev/log")
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def lines(self):
        """[(facility, severity, tag, pid, text)] of those that are in form."""
        found = [LINE.fullmatch(datagram) for datagram in self.datagrams]
        return [(int(m[1]) // 8, int(m[1]) % 8, m[3], int(m[4]), m[5]) for m in found if m]

    def wait(self, facility, severity, tag, text, seconds=15):
        """Waits for a line: tag whole, text a pattern somewhere in it."""
        return t.wait_for(lambda: next((line for line in self.lines()
                                        if line[:3] == (facility, severity, tag) and re.search(text, line[4])), None), seconds)


def send(tern, name):
    tern.send("eve@client.example", [f"ada@{tern.domain}"],
              f"Subject: {name}\nMessage-ID: <{name}@client.example>\n\nx\n".encode())


def lines_have_their_form(tern, logger):
    send(tern, "one")
    line = logger.wait(MAIL, INFO, "postfix/cleanup", "message-id=<one@client.example>")
    t.ok(line, "a line of cleanup comes, as mail.info", "\n".join(logger.datagrams))
    t.is_(line and line[3], tern.pid_of("cleanup"), "with its process number")
    t.ok(logger.wait(MAIL, INFO, "postfix/virtual", "status=sent"), "and of the others that the message goes through")
    t.ok(logger.wait(MAIL, INFO, "postfix/master", "."), "and of master")
    t.is_([datagram for datagram in logger.datagrams if not LINE.fullmatch(datagram)], [],
          "each datagram is a line without an end")
    tern.command("ternlog", "-c", tern.etc, "-p", "fatal", "by hand")
    t.ok(logger.wait(MAIL, CRIT, "postfix/ternlog", "fatal: by hand"), "ternlog says the same way that something is fatal")


def warnings_are_warnings(tern, logger):
    victim = tern.pid_of("lookup")
    os.kill(victim, 9)
    line = logger.wait(MAIL, WARNING, "postfix/master", f"{victim} killed by signal 9")
    t.ok(line and line[4].startswith("warning: "), "a warning is mail.warning, and has the word", "\n".join(logger.datagrams[-5:]))


def logger_comes_back(tern, logger):
    logger.end()
    again = Logger()
    sent = []

    def arrives():
        sent.append(f"again{len(sent)}")
        send(tern, sent[-1])
        return again.wait(MAIL, INFO, "postfix/cleanup", f"message-id=<{sent[-1]}@", 1)
    t.ok(t.wait_for(arrives, 20), "a logger that was started anew gets the lines that follow")
    return again


def settings_are_honoured(tern, logger):
    tern.set("syslog_facility = local3")
    tern.set("syslog_name = post")
    tern.set("  -o syslog_name=post/entry", "master.cf")
    master = (tern.etc / "master.cf").read_text().split("\n")
    option = master.pop(master.index("  -o syslog_name=post/entry"))
    entry = next(i for i, row in enumerate(master) if re.match(r"\S+\s+inet\s.*smtpd", row))
    master.insert(entry + 1, option)
    (tern.etc / "master.cf").write_text("\n".join(master))
    tern.run("restart", check=True)
    send(tern, "named")
    t.ok(logger.wait(LOCAL3, INFO, "post/cleanup", "message-id=<named@"), "syslog_facility and syslog_name of main.cf",
         "\n".join(logger.datagrams[-20:]))
    t.ok(logger.wait(LOCAL3, INFO, "post/entry/smtpd", "client="), "and a service's own syslog_name in master.cf")
    tern.command("ternlog", "-c", tern.etc, "by hand")
    t.ok(logger.wait(LOCAL3, INFO, "post/ternlog", "^by hand$"), "ternlog honours them")


def objects_have_a_priority(tern, logger):
    tern.set("log_format = json")
    tern.run("restart", check=True)
    send(tern, "object")
    line = logger.wait(LOCAL3, INFO, "post/cleanup", "^{.*message-id=<object@")
    t.ok(line, "log_format = json", "\n".join(logger.datagrams[-20:]))
    fields = json.loads(line[4]) if line else {}
    t.is_((fields.get("service"), fields.get("severity"), fields.get("pid")), ("post/cleanup", "info", line and line[3]),
          "is an object in each datagram")


if INSIDE not in os.environ:
    enter_namespace()
own_devices()
logger = Logger()
with t.Instance(settings=["maillog_file="]) as tern:
    tern.add_user("ada")
    tern.start()
    lines_have_their_form(tern, logger)
    warnings_are_warnings(tern, logger)
    logger = logger_comes_back(tern, logger)
    settings_are_honoured(tern, logger)
    objects_have_a_priority(tern, logger)
    t.ok(not tern.log_file.exists(), "no file was written")
    tern.stop()
t.done()
