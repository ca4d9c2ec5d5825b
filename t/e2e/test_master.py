#!/usr/bin/env python3
"""master: start, stop, restart of what dies, back-off, reload, and the lock.

The services are stand-ins (t/e2e/echo_service) under the daemons' names, so
that this test is about master, tern(8) and the log daemon alone."""

import os
import re
import signal
import socket
import time

import tern_test as t

echo = t.BUILD / "t" / "e2e" / "echo_service"
needed = {"tern": t.program("tern"), "master": t.program("master"), "log": t.program("log"), "echo_service": echo}
missing = [name for name, path in needed.items() if not path or not os.path.exists(path)]
if missing:
    t.skip_all("not built: " + ", ".join(missing))

STAND_INS = {name: echo for name in ("smtpd", "cleanup", "qmgr", "smtp", "local", "bounce", "pickup", "lookup")}


def talk(port, text="hello\n"):
    """What the service behind a port says: "service pid", then an echo."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        file = connection.makefile("rw", newline="\n")
        greeting = file.readline().strip()
        file.write(text)
        file.flush()
        return greeting, file.readline()


def master_pid(tern):
    return tern.pid_of("master")


def wait_new(tern, service, old, seconds=10):
    def different():
        pid = tern.pid_of(service)
        return pid if pid and pid != old else None
    return t.wait_for(different, seconds)


def start_and_stop(tern):
    t.ok(tern.run("status").returncode != 0, "status before the start is not 0")
    started = tern.run("start")
    t.is_(started.returncode, 0, "start")
    if started.returncode:
        print("#", started.stderr)
        tern.say_log()
        t.done()
    t.is_(tern.run("status").returncode, 0, "status while it runs is 0")
    names = [name for name, _ in tern.pids()]
    t.ok({"master", "log", "lookup", "qmgr"} <= set(names), "pids lists what always runs", names)
    greeting, echoed = talk(tern.smtp_port)
    t.ok(greeting.split()[0] == str(tern.smtp_port) and echoed == "hello\n", "a connection starts its service", greeting)
    t.ok(tern.wait_log("daemon started -- version"), "the log has master's first line")
    form = re.compile(r"^\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ postfix/smtpd\[\d+\]: ", re.M)
    t.ok(t.wait_for(lambda: form.search(tern.log())),
         "a service's line has time, host, name and pid")


def second_start(tern):
    again = tern.run("start")
    t.ok(again.returncode != 0 and "already running" in again.stderr, "a second start is refused", again.stderr)


def restart_of_the_killed(tern):
    old = tern.pid_of("lookup")
    begin = time.monotonic()
    os.kill(old, signal.SIGKILL)
    new = wait_new(tern, "lookup", old)
    t.ok(new and time.monotonic() - begin < 2, "a killed process is replaced quickly")
    t.ok(tern.wait_log("killed by signal 9"), "and the log says so")
    t.ok("killed by signal 9; service lookup: restarting at once" in tern.log(), "with what follows")
    for _ in range(5):
        old = tern.pid_of("lookup")
        os.kill(old, signal.SIGKILL)
        wait_new(tern, "lookup", old)
    t.ok("failure" not in tern.log(), "signals from outside are no failures")
    for _ in range(40):
        old = tern.pid_of("lookup")
        os.kill(old, signal.SIGKILL)
        wait_new(tern, "lookup", old)
        if "times in a row" in tern.log():
            break
    t.ok(tern.wait_log("killed by signal 9; service lookup: restarting in 1.0 s (killed 11 times in a row)"),
         "many in a row, as where there is no memory for a start, cost a pause")
    old = tern.pid_of("log")
    os.kill(old, signal.SIGKILL)
    talk(tern.smtp_port, "while the log is away\n")
    t.ok(wait_new(tern, "log", old) and tern.wait_log("while the log is away"), "lines wait for the new log daemon")


def connections_and_load(tern):
    with socket.create_connection(("127.0.0.1", tern.smtp_port), timeout=10) as connection:
        file = connection.makefile("rw", newline="\n")
        first = file.readline()

        def ask(text):
            file.write(text + "\n")
            file.flush()
            return file.readline().strip()
        t.is_(ask("connect cleanup"), "connected", "smtpd is connected to cleanup")
        t.ok(t.wait_for(lambda: tern.pid_of("cleanup")), "which is started by that")
        t.ok(ask("connect qmgr").startswith("failed"), "but not to qmgr, which is not for it")
        t.ok(ask("connect nothing").startswith("failed"), "nor to what does not exist")
        t.is_(ask(f"path {tern.spool}/private/master"), "failed not for this caller", "nor to a UNIX socket outside: that is smtp's right")
        ask("full")
        t.ok(talk(tern.smtp_port)[0] != first.strip(), "a full process gets a companion")
    t.ok(tern.wait_log("woken"), "the wakeup column wakes")


def crash_loop(tern):
    marker = tern.spool / "crash-lookup"
    before = tern.log().count("exit status 7")
    marker.write_text("")
    os.kill(tern.pid_of("lookup"), signal.SIGKILL)
    time.sleep(2.5)
    count = tern.log().count("exit status 7") - before
    t.ok(3 <= count <= 6, "a crash loop backs off", f"{count} starts in 2.5 s")
    t.ok(re.search(r"exit status 7; service lookup: restarting in 0\.8 s \(failure 4 in a row\)", tern.log()) is not None,
         "by doubling pauses")
    marker.unlink()
    t.ok(t.wait_for(lambda: tern.pid_of("lookup"), 10), "and ends when the cause is gone")


def reload_good_and_bad(tern):
    talk(tern.smtp_port)
    old = dict(tern.pids())
    with socket.create_connection(("127.0.0.1", tern.smtp_port), timeout=10) as connection:
        file = connection.makefile("rw", newline="\n")
        old_greeting = file.readline()
        reloaded = tern.run("reload")
        t.is_(reloaded.returncode, 0, "reload")
        failures = sum(not t.accepts(tern.smtp_port) for _ in range(50))
        t.is_(failures, 0, "no connection is refused around a reload")
        file.write("still here\n")
        file.flush()
        t.is_(file.readline(), "still here\n", "an open session goes on")
    t.ok(tern.wait_log("reload -- version"), "the log says reload")
    t.ok(talk(tern.smtp_port)[0].split()[1] != old_greeting.split()[1], "a new process serves new connections")
    t.ok(t.wait_for(lambda: not t.alive(old["qmgr"])), "the old qmgr has ended")
    t.ok(t.wait_for(lambda: tern.pid_of("qmgr")), "its successor runs")
    t.is_(tern.pid_of("master"), old["master"], "master is the same")

    good = (tern.etc / "main.cf").read_text()
    tern.set("message_size_limit = many")
    line = len((tern.etc / "main.cf").read_text().splitlines())
    refused = tern.run("reload")
    t.ok(refused.returncode != 0, "a bad main.cf is refused at reload")
    t.ok(tern.wait_log(f"main.cf, line {line}"), "with file and line in the log")
    t.ok(talk(tern.smtp_port)[1] == "hello\n", "and what ran goes on")
    checked = tern.run("check")
    t.ok(checked.returncode != 0 and f"main.cf, line {line}" in checked.stderr, "tern check says the same", checked.stderr)
    (tern.etc / "main.cf").write_text(good)

    services = (tern.etc / "master.cf").read_text()
    extra = tern.port_base + 26
    tern.set(f"{extra} inet n - - - - smtpd", "master.cf")
    os.kill(master_pid(tern), signal.SIGHUP)
    t.ok(t.wait_for(lambda: t.accepts(extra)), "SIGHUP opens a new port")
    (tern.etc / "master.cf").write_text(services)
    tern.run("reload")
    t.ok(t.wait_for(lambda: not t.accepts(extra)), "and a removed row closes it")


def dead_master(tern):
    pids = tern.pids()
    os.kill(master_pid(tern), signal.SIGKILL)
    t.ok(t.wait_for(lambda: not any(t.alive(pid) for _, pid in pids)), "a dead master's children leave")
    t.ok(tern.run("status").returncode != 0, "status notices")
    t.ok((tern.spool / "pid" / "master.pid").exists(), "its pid file is left over")
    t.is_(tern.run("start").returncode, 0, "and start works all the same")


def stop(tern):
    pids = tern.pids()
    for words in (("stop", "--help"), ("restart", "now"), ("reload", "-x"), ("pids", "all")):
        asked = tern.run(*words)
        t.ok(asked.returncode == 64 and f"usage: tern {words[0]}" in asked.stderr, f"tern {' '.join(words)}: usage", asked.stderr)
    t.ok(tern.pids() == pids, "and does nothing", (tern.pids(), pids))
    begin = time.monotonic()
    t.is_(tern.stop().returncode, 0, "stop")
    t.ok(not any(t.alive(pid) for _, pid in pids), "all processes are gone when stop returns")
    t.ok(time.monotonic() - begin < 5, "quickly")
    t.ok(not t.accepts(tern.smtp_port), "the port is closed")
    t.ok("terminating on" in tern.log(), "the log says terminating")
    t.ok(tern.stop().returncode != 0, "stop of what does not run fails")


def stale_pid_file(tern):
    (tern.spool / "pid" / "master.pid").write_text(f"{os.getpid()}\n")
    t.ok(tern.run("status").returncode != 0, "a stale pid file is no master, whatever it says")
    t.is_(tern.run("start").returncode, 0, "start over a stale pid file")


def users(tern):
    t.is_(tern.add_user("anna", "correct horse").returncode, 0, "user add")
    passwords = (tern.etc / "users.passwd").read_text()
    t.ok(passwords.startswith("anna@example.test:{CRYPT}$y$"), "its password is hashed by yescrypt", passwords)
    t.is_(oct((tern.etc / "users.passwd").stat().st_mode & 0o777), "0o640", "nobody else reads the hashes")
    t.ok((tern.mail / "example.test" / "anna").is_dir(), "its mailboxes have a place")
    t.ok(tern.run("user", "add", "anna@example.test", input="x\n").returncode != 0, "twice is once too often")
    t.is_(tern.run("user", "passwd", "anna@example.test", input="other\n").returncode, 0, "user passwd")
    t.ok((tern.etc / "users.passwd").read_text() != passwords, "changes the hash")
    t.is_(tern.run("user", "list").stdout, "anna@example.test\n", "user list")
    t.ok(tern.run("user", "add", "../x@example.test", input="x\n").returncode != 0, "a name is no path")
    t.is_(tern.run("user", "del", "anna@example.test").returncode, 0, "user del")
    t.is_(tern.run("user", "list").stdout, "", "and nobody is left")


with t.Instance(daemons=STAND_INS) as tern:
    start_and_stop(tern)
    second_start(tern)
    restart_of_the_killed(tern)
    connections_and_load(tern)
    crash_loop(tern)
    reload_good_and_bad(tern)
    dead_master(tern)
    stop(tern)
    stale_pid_file(tern)
    users(tern)
t.done()
