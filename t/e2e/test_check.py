#!/usr/bin/env python3
"""tern check: says a line for everything that is wrong, sets the queue right when nobody
uses it, and exits 0 only when nothing is wrong. tern status. TAP."""

import os
import re
import smtplib
import subprocess
import time

import tern_test as t

NEEDED = ["tern", "master", "smtpd", "cleanup", "qmgr", "pickup", "lookup", "log", "ternsuper", "sendmail"]
missing = [name for name in NEEDED if not t.program(name)]
if missing:
    t.skip_all("not built: " + " ".join(missing))


def finds(tern, name, *patterns):
    """check fails, with exactly these lines in any order."""
    checked = tern.run("check")
    lines = checked.stderr.splitlines()
    good = checked.returncode == 1 and len(lines) == len(patterns) and all(
        any(re.search(pattern, line) for line in lines) for pattern in patterns)
    t.ok(good, name, f"exit status {checked.returncode}\n{checked.stderr}wanted:\n" + "\n".join(patterns))


def clean(tern, name):
    checked = tern.run("check")
    t.ok(checked.returncode == 0 and checked.stderr == "", name, checked.stderr)


def touch_back(path, seconds):
    now = time.time() - seconds
    os.utime(path, (now, now))


with t.Instance(settings=["defer_transports=smtp"]) as tern:
    queue = tern.spool / "queue"
    clean(tern, "a fresh instance has no faults")

    # ---- files and directories
    os.chmod(tern.etc / "main.cf", 0o666)
    finds(tern, "main.cf that everybody may write", r"etc/main\.cf has mode 0666: 0644 would be right")
    os.chmod(tern.etc / "main.cf", 0o644)
    os.chmod(tern.etc / "users.passwd", 0o644)
    finds(tern, "passwords that everybody may read", r"users\.passwd has mode 0644: 0640 would be right")
    os.chmod(tern.etc / "users.passwd", 0o600)
    os.chmod(tern.spool / "private", 0o755)
    os.chmod(tern.spool / "public", 0o700)
    finds(tern, "modes in the spool", r"/private has mode 0755: 0700 would be right", r"/public has mode 0700: 0755 would be right")
    os.chmod(tern.spool / "private", 0o700)
    os.chmod(tern.spool / "public", 0o755)
    os.chmod(tern.mail, 0o777)
    finds(tern, "mailboxes that everybody may write", r"/mail has mode 0777: 0775 would be right")
    os.chmod(tern.mail, 0o755)
    os.rmdir(tern.spool / "pid") if not os.listdir(tern.spool / "pid") else os.rename(tern.spool / "pid", tern.top / "pid")
    finds(tern, "a directory that is gone is made", r"/pid was missing and has been made")
    if os.geteuid() == 0:
        os.chown(queue / "new", 0, 0)
        finds(tern, "a wrong owner", r"queue/new belongs to user 0: [1-9]\d* would be right", r"queue: the check ended early|queue: .*new")
        owner = os.stat(queue)
        os.chown(queue / "new", owner.st_uid, owner.st_gid)
    clean(tern, "all is set right")

    # ---- tables
    main = (tern.etc / "main.cf").read_text()
    access = tern.etc / "access"
    access.write_text("/^good$/ OK\n/(unbalanced/ REJECT\n")
    tern.set(f"smtpd_client_restrictions = check_client_access regexp:{access}")
    tern.set(f"virtual_alias_maps = lmdb:{tern.etc}/nowhere, inline:{{a=b}}")
    tern.set(f"transport_maps = nosuchtype:{tern.etc}/x")
    tern.set("smtpd_restriction_classes = mine")
    tern.set(f"mine = check_sender_access texthash:{tern.etc}/nofile")
    master = (tern.etc / "master.cf").read_text()
    (tern.etc / "master.cf").write_text(re.sub(r"^relay .*$", rf"\g<0>\n  -o smtp_generic_maps=texthash:{tern.etc}/notthere",
                                               master, count=1, flags=re.M))
    finds(tern, "tables that do not open, and a rule that is malformed",
          r"smtpd_client_restrictions: .*access, line 2: ",
          r"virtual_alias_maps: table lmdb:.*/nowhere does not open: .*No such file",
          r"transport_maps: table nosuchtype:.* does not open: ",
          r"mine: table texthash:.*/nofile does not open: ",
          r"warning: master\.cf, line \d+: smtp_generic_maps has no effect",
          r"service relay: smtp_generic_maps: table texthash:.*/notthere does not open: ")
    (tern.etc / "main.cf").write_text(main)
    (tern.etc / "master.cf").write_text(master)
    if os.geteuid() == 0:
        secret = tern.etc / "secret"
        secret.write_text("a b\n")
        os.chmod(secret, 0o600)
        tern.set(f"relocated_maps = texthash:{secret}")
        finds(tern, "a table that the lookup service may not read", r"relocated_maps: table texthash:.*/secret does not open: .*denied")
        (tern.etc / "main.cf").write_text(main)
    touch_back(tern.etc / "aliases.lmdb", 100)
    finds(tern, "aliases that were not built", r"alias_maps: .*/aliases\.lmdb is older than .*/aliases: ternalias lmdb:.*/aliases makes it anew")
    os.utime(tern.etc / "aliases.lmdb")
    tern.set("smtpd_recipient_limit = many")
    tern.set("default_process_limit = few")
    checked = tern.run("check")
    t.ok(checked.returncode == 1 and "smtpd_recipient_limit" in checked.stderr and "default_process_limit" in checked.stderr,
         "errors of main.cf are said, all of them", checked.stderr)
    (tern.etc / "main.cf").write_text(main)
    clean(tern, "all is set right")

    # ---- room on the disks
    room = os.statvfs(tern.spool)
    free = room.f_bavail * room.f_frsize
    for wanted, says in ((1 << 50, "the disk is full: mail is put off"), (free // 2, "the disk is nearly full")):
        (tern.etc / "main.cf").write_text(f"{main}queue_minfree = {wanted}\n")
        checked = tern.run("check")
        t.ok(checked.returncode == 0 and re.search(rf"^tern: warning: queue_directory {tern.spool}: {says}: [\d.]+ MB are free, {wanted * 4 / 1e6:.1f} "
                                                   r"\(queue_minfree, message_size_limit\) would be right$", checked.stderr, re.M) and
             len(checked.stderr.splitlines()) == 1, f"queue_minfree {wanted}: {says}, said once for the disk", checked.stderr)
    (tern.etc / "main.cf").write_text(f"{main}queue_minfree = {free // 8}\n")
    clean(tern, "room enough")
    if room.f_files:
        tern.set(f"queue_minfree_files = {min(room.f_favail, 2147483647)}")
        checked = tern.run("check")
        t.ok(checked.returncode == 0 and re.search(r"^tern: warning: queue_directory .*: the disk is (nearly )?full.*: \d+ inodes are free, \d+ "
                                                   r"\(queue_minfree_files\) would be right$", checked.stderr, re.M), "inodes too", checked.stderr)
    (tern.etc / "main.cf").write_text(main)
    main_disk = tern.directory / "data"
    if t.is_root() and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tern-test", main_disk]).returncode == 0:
        try:
            os.chown(main_disk, owner.st_uid, owner.st_gid)
            checked = tern.run("check")
            t.ok(re.search(r"^tern: warning: data_directory .*/data: the disk is full: mail is put off: [01]\.\d MB are free, ", checked.stderr, re.M) and
                 "queue_directory" not in checked.stderr, "another disk", checked.stderr)
        finally:
            subprocess.run(["umount", "-l", main_disk])
    clean(tern, "all is set right")

    # ---- restrictions that smtpd could only answer 451 to
    tern.set("smtpd_recipient_restrictions = permit_mynetworks, check_policy_service { unix:private/x, timeout=3s },\n"
             "  reject_unauth_destinaton, sleep 601, warn_if_reject reject_rbl_client bl.test")
    tern.set("smtpd_client_restrictions = strict, loose, mine, inline:{x=OK}")
    tern.set("smtpd_data_restrictions = permit, check_client_access")
    tern.set("smtpd_restriction_classes = strict, loose, other")
    tern.set("strict = lmdb:/x, reject")
    (tern.etc / "master.cf").write_text(re.sub(r"^relay .*$", r"\g<0>\n  -o smtpd_helo_restrictions=reject_rhsbl_helo,dbl.test",
                                               master, count=1, flags=re.M))
    wrong = (r"smtpd_recipient_restrictions: .*\"check_policy_service\" of Postfix's yet: the list without it would be right",
             r"smtpd_recipient_restrictions: .*\"reject_unauth_destinaton\": reject_unauth_destination would be right",
             r"smtpd_recipient_restrictions: sleep 601: a number of seconds up to 600 would be right",
             r"smtpd_recipient_restrictions: .*\"reject_rbl_client\" of Postfix's yet",
             r"smtpd_client_restrictions: the restriction class loose is not defined: loose = \.\.\. would be right",
             r"smtpd_client_restrictions: .*\"mine\": tern-smtpd\(8\) has those",
             r"smtpd_data_restrictions: the list is malformed: ",
             r"strict: .*\"lmdb:/x\": check_client_access lmdb:/x, or ",
             r"service relay: smtpd_helo_restrictions: .*\"reject_rhsbl_helo\" of Postfix's yet")
    finds(tern, "restrictions that smtpd does not have", *(f"^tern: {line}" for line in wrong), "^tern: strict: table lmdb:/x does not open")
    for command in ("start", "reload"):
        done = tern.run(command)
        t.ok(done.returncode == 0 and all(re.search(pattern, done.stderr) for pattern in wrong[:-1]), f"{command} warns of them", done.stderr)
    sock = smtplib.SMTP("127.0.0.1", tern.smtp_port)
    sock.helo("x.test")
    t.ok(t.wait_for(lambda: "smtpd_recipient_restrictions: sleep 601: a number of seconds up to 600 would be right; where that is reached, mail is deferred"
                    in tern.log()), "smtpd too")
    sock.close()
    tern.run("stop")
    (tern.etc / "main.cf").write_text(main)
    (tern.etc / "master.cf").write_text(master)
    clean(tern, "all is set right")

    # ---- the queue
    tern.start()
    for number in range(2):
        tern.command("sendmail", "-f", f"s@{tern.domain}", "--", f"r{number}@away.example.com", input="Subject: x\n\nbody\n")
    t.ok(t.wait_for(lambda: len(os.listdir(queue / "cur")) == 2), "two messages are deferred")
    clean(tern, "a running system has no faults")

    status = tern.run("status")
    t.is_(status.returncode, 0, "status of a running system")
    t.ok(re.search(r"^master +running +pid \d+, version \S+, configuration ", status.stdout, re.M), "a line for master", status.stdout)
    t.ok(re.search(r"^qmgr +running +1 process, \d+ sessions?$", status.stdout, re.M), "a line for a service", status.stdout)
    t.ok(re.search(rf"^{tern.smtp_port} \(smtpd\) +idle +0 processes, 0 sessions$", status.stdout, re.M),
         "one that has no process yet", status.stdout)
    pids = tern.run("pids").stdout.splitlines()
    t.ok(pids and all(re.fullmatch(r"\S+ \d+( draining)?", line) for line in pids), "pids: service and number", pids)
    import socket
    with socket.create_connection(("127.0.0.1", tern.smtp_port)) as client:
        client.recv(100)
        t.ok(t.wait_for(lambda: re.search(rf"^{tern.smtp_port} \(smtpd\) +running +1 process, 1 session$",
                                          tern.run("status").stdout, re.M), 5), "sessions are counted", tern.run("status").stdout)
    t.ok(t.wait_for(lambda: re.search(rf"^{tern.smtp_port} \(smtpd\) +running +1 process, 0 sessions$",
                                      tern.run("status").stdout, re.M), 5), "and no more when they end")

    (queue / "stranger").write_text("x")
    left = queue / "tmp" / "leftover"
    left.write_text("x")
    touch_back(left, 3 * 86400)
    finds(tern, "faults of a queue in use are said", r"queue: queue/stranger: ", r"queue: tmp/leftover: left unfinished$")
    t.ok(left.exists(), "and left alone")
    tern.stop()
    t.is_(tern.run("status").returncode, 1, "status of a stopped system")

    victim, other = sorted(os.listdir(queue / "cur"))
    with open(queue / "cur" / victim, "r+b") as file:
        file.seek(100)
        file.write(b"\xff\xff\xff\xff")
    os.rmdir(queue / "hold")
    finds(tern, "faults of a queue that is not in use are repaired", r"queue: queue/stranger: ", r"queue: tmp/leftover: left unfinished, removed",
          rf"queue: cur/{victim}: damaged, moved to corrupt/{victim}: ", r"queue/hold was missing and has been made")
    t.ok(not left.exists() and (queue / "corrupt" / victim).exists() and (queue / "cur" / other).exists(),
         "the leftover is gone, the damaged message stands in corrupt/, the other where it was")
    os.unlink(queue / "stranger")
    clean(tern, "then all is well")
    tern.start()
    t.is_(tern.run("status").returncode, 0, "and it starts")

    tern.set(f"127.0.0.1:{tern.port_base + 30} inet n - - - - smtpd\n  -o content_filter=scan:\n  -o smtpd_milters=inet:x:1\n"
             "  -o receive_override_options=", "master.cf")
    tern.set("always_bcc = archive@example.test")
    checked = tern.run("check")
    t.ok(checked.returncode == 0 and len(checked.stderr.splitlines()) == 3 and
         re.search(r"warning: master\.cf, line \d+: content_filter has no effect: tern does not do this yet", checked.stderr) and
         re.search(r"warning: master\.cf, line \d+: smtpd_milters is a parameter of Postfix that tern does not use", checked.stderr) and
         "main.cf, line " in checked.stderr and "always_bcc has no effect" in checked.stderr,
         "what is asked for in vain is told, in main.cf and in overrides", checked.stderr)

t.done()
