#!/usr/bin/env python3
"""Logins whose accounts come from PostgreSQL, SQLite, LDAP, PAM and Dovecot, through smtpd
and auth as they run: in their sandbox, one source after the other, with some of them down
or hanging. (test_sources.py asks the sources alone, and more.)"""

import base64
import os
import pathlib
import smtplib
import sqlite3
import subprocess
import tempfile
import threading
import time

import account_peers as peers
import tern_test as t

t.need("tern", "master", "smtpd", "auth", "lookup", "log")
MISSING = [name for name, there in (("postgres", list(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))),
                                    ("slapd", peers.sbin("slapd")), ("dovecot", peers.sbin("dovecot"))) if not there]
if MISSING:
    t.skip_all("not installed: " + ", ".join(MISSING))

SETTINGS = ["smtpd_sasl_auth_enable=yes", "smtpd_tls_auth_only=no", "auth_failure_delay=0", "auth_address_failures=100000",
            "auth_account_failures=100000"]


def hash_of(password):
    return peers.run("openssl", "passwd", "-6", "-salt", "saltsalt", password).stdout.strip()


def login(tern, user, password, mechanism="PLAIN"):
    """The reply's code."""
    with tern.smtp(timeout=60) as session:
        session.user, session.password = user, password
        method = {"PLAIN": session.auth_plain, "LOGIN": session.auth_login, "CRAM-MD5": session.auth_cram_md5}[mechanism]
        try:
            return session.auth(mechanism, method)[0]
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code


def timed_login(*arguments):
    begun = time.monotonic()
    return login(*arguments), time.monotonic() - begun


def write(path, text, mode=0o644):
    path.write_text(text)
    os.chmod(path, mode)
    return path


# ---- where accounts are

def make_sqlite(top):
    database = sqlite3.connect(top / "users.db")
    database.execute("CREATE TABLE users (name text, secret text)")
    database.execute("INSERT INTO users VALUES ('lite@example.test', ?)", (hash_of("lite-pw"),))
    database.commit()
    database.close()
    os.chmod(top / "users.db", 0o644)
    return write(top / "sqlite.cf", f"dbpath = {top}/users.db\nquery = SELECT secret FROM users WHERE name = '%u'\ntimeout = 2s\n", 0o600)


def make_pgsql(top, server):
    server.sql(f"CREATE TABLE users (name text, secret text); "
               f"INSERT INTO users VALUES ('pg@example.test', '{hash_of('pg-pw')}'), ('plain@example.test', '{{PLAIN}}plain-pw'); "
               f"CREATE USER mail PASSWORD 'mailpw'; GRANT SELECT ON users TO mail")
    return write(top / "pgsql.cf", f"hosts = {server.directory}\nuser = mail\npassword = mailpw\ndbname = postgres\ntimeout = 2s\n"
                                   "query = SELECT secret FROM users WHERE name = '%u'\n", 0o600)


def make_ldap(top, server):
    server.add("dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\no: test\ndc: test\n\n"
               "dn: uid=dir,dc=test\nobjectClass: inetOrgPerson\nuid: dir\ncn: dir\nsn: dir\nmail: dir@example.test\n"
               "userPassword: dir-pw\n")
    return write(top / "ldap.cf", f"server_host = {server.url}\nsearch_base = dc=test\nquery_filter = (mail=%u)\nbind = no\n"
                                  "timeout = 2s\nstart_tls = yes\n"
                                  f"tls_ca_cert_file = {server.directory}/ca.pem\n", 0o600)


def pam_module(name):
    return next(iter(pathlib.Path("/").glob(f"usr/lib/*/security/{name}.so")), None)


def make_pam(top):
    directory = top / "pam.d"
    directory.mkdir()
    write(top / "pwdfile", f"pam@example.test:{hash_of('pam-pw')}\nlocked@example.test:{hash_of('pam-pw')}\n")
    first = f"auth required pam_pwdfile.so pwdfile={top}/pwdfile\n"
    write(directory / "tern", first + "account requisite pam_succeed_if.so quiet user != locked@example.test\naccount required pam_permit.so\n")
    write(directory / "hang", "auth required pam_exec.so quiet /bin/sleep 77\naccount required pam_permit.so\n")
    write(directory / "crash", "auth required /nowhere/pam_none.so\naccount required pam_permit.so\n")
    return directory


# ---- tests

def test_chain(top):
    pg, ldap = peers.PostgreSQL(top), peers.Slapd(top)
    pg.start()
    ldap.start()
    users = write(top / "users.passwd", f"file@example.test:{hash_of('file-pw')}\n")
    sources = [f"passwd-file:{users}", f"sqlite:{make_sqlite(top)}", f"pgsql:{make_pgsql(top, pg)}", f"ldap:{make_ldap(top, ldap)}"]
    try:
        with t.Instance(settings=SETTINGS) as tern:
            tern.set("auth_sources = " + ", ".join(sources))
            tern.start()
            for user in ("file", "lite", "pg", "dir", "plain"):
                t.is_(login(tern, f"{user}@example.test", f"{user}-pw"), 235, f"{user}: a right password")
                t.is_(login(tern, f"{user}@example.test", "wrong"), 535, f"{user}: a wrong one")
            t.is_(login(tern, "nobody@example.test", "x"), 535, "nobody")
            for name in ("' OR '1'='1", "pg@example.test'--", "*", "d*@example.test", "dir@example.test)(uid=*"):
                t.is_(login(tern, name, "dir-pw"), 535, f"no login for {name}")
            t.ok(login(tern, "dir@example.test", "") in (501, 535), "no login with an empty password")
            check_trouble(tern, pg, ldap)
            t.ok("mailpw" not in tern.log() and "dir-pw" not in tern.log(), "no password is in the log")
            peers_are_locked_in(tern)
    finally:
        pg.stop()
        ldap.stop()


def check_trouble(tern, pg, ldap):
    pg.stop()
    t.is_(login(tern, "pg@example.test", "pg-pw"), 454, "a server that is down: temporary")
    t.is_(login(tern, "dir@example.test", "dir-pw"), 454, "who may come after it, too: nobody knows whose the name is")
    t.is_(login(tern, "lite@example.test", "lite-pw"), 235, "who comes before it is let in")
    t.ok("source of accounts: pgsql:" in tern.log(), "the log says which source it is", tern.log()[-600:])
    pg.start()
    t.ok(t.wait_for(lambda: login(tern, "pg@example.test", "pg-pw") == 235, 15, 0.2), "it is back")
    ldap.hang()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(timed_login(tern, "dir@example.test", "dir-pw"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)  # so that some of them hang
    for user in ("file", "lite", "pg"):
        code, seconds = timed_login(tern, f"{user}@example.test", f"{user}-pw")
        t.ok(code == 235 and seconds < 2, f"{user} gets in while the directory hangs", (code, seconds))
    for thread in threads:
        thread.join()
    t.ok(all(code == 454 and seconds < 12 for code, seconds in answers), "whoever waited for it is told to come again", answers)
    ldap.go_on()
    t.ok(t.wait_for(lambda: login(tern, "dir@example.test", "dir-pw") == 235, 15, 0.2), "it goes on")


def peers_are_locked_in(tern):
    """All this worked behind the walls, not without them."""
    pid = tern.pid_of("auth")
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    t.is_((fields["Seccomp"].strip(), fields["NoNewPrivs"].strip()), ("2", "1"), "auth had its filter all the time")


def test_pam(top):
    directory = make_pam(top)
    with t.Instance(settings=SETTINGS + [f"pam_directory={directory}", "pam_time_limit=3s"]) as tern:
        tern.set("auth_sources = pam:tern")
        tern.start()
        t.is_(login(tern, "pam@example.test", "pam-pw"), 235, "PAM: a right password")
        t.is_(login(tern, "pam@example.test", "pam-pw", "LOGIN"), 235, "PAM: by LOGIN")
        t.is_(login(tern, "pam@example.test", "wrong"), 535, "PAM: a wrong one")
        t.is_(login(tern, "nobody@example.test", "pam-pw"), 535, "PAM: nobody")
        t.is_(login(tern, "locked@example.test", "pam-pw"), 535, "PAM: an account that may not come in")
        for name in ("pam@example.test:x", "$(id)", "../pam", "root;id", "pam@example.test\\"):
            t.is_(login(tern, name, "pam-pw"), 535, f"PAM: no login for {name}")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(login(tern, "pam@example.test", "pam-pw"))) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        t.is_(answers, [235] * 30, "PAM: 30 at once, more than run at a time")
        check_checker(tern)
        tern.set("auth_sources = pam:hang")
        tern.run("reload")
        t.ok(t.wait_for(lambda: login(tern, "pam@example.test", "pam-pw") == 454, 20, 0.2), "PAM hangs: temporary, in its time")
        t.ok(t.wait_for(lambda: not sleepers(tern), 10), "PAM: what it had started has been ended", sleepers(tern))
        tern.set("auth_sources = pam:crash")
        tern.run("reload")
        t.ok(t.wait_for(lambda: timed_login(tern, "pam@example.test", "pam-pw")[0] == 454, 20, 0.2), "PAM without a module: temporary")
        tern.set("auth_sources = pam:tern")
        tern.run("reload")
        t.ok(t.wait_for(lambda: login(tern, "pam@example.test", "pam-pw") == 235, 20, 0.2), "PAM works again")


def named(tern, name):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/comm") as file:
                if file.read().strip() == name and os.readlink(f"/proc/{entry}/exe").startswith(str(tern.libexec)):
                    found.append(int(entry))
        except OSError:
            pass
    return found


def sleepers(tern):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                if file.read().split(b"\0")[:2] == [b"/bin/sleep", b"77"]:
                    found.append(int(entry))
        except OSError:
            pass
    return found


def check_checker(tern):
    """The daemon is nobody; what stays root has the capabilities that PAM needs and no more."""
    checkers = named(tern, "pam-checker")
    t.is_(len(checkers), 1, "PAM: one process for checks")
    with open(f"/proc/{checkers[0]}/status") as file:
        fields = {line.split(":", 1)[0]: line.split(":", 1)[1].split() for line in file}
    if t.is_root():
        allowed = {0, 1, 2, 3, 5, 6, 7, 29}
        held = {bit for bit in range(64) if int(fields["CapBnd"][0], 16) >> bit & 1}
        t.ok(held <= allowed and fields["NoNewPrivs"] == ["1"] and fields["Seccomp"] == ["2"], "PAM: it is root with little", fields)
        daemon = [pid for name, pid in tern.pids() if name == "pam"]
        with open(f"/proc/{daemon[0]}/status") as file:
            uids = [line.split()[1:] for line in file if line.startswith("Uid:")][0]
        t.ok("0" not in uids, "PAM: the daemon is not root", uids)
    os.kill(checkers[0], 9)
    t.ok(t.wait_for(lambda: login(tern, "pam@example.test", "pam-pw") == 235, 20, 0.2), "PAM: a process for checks that died is made anew")


def scram(tern, user, password):
    client = peers.Scram(user, password)
    with tern.smtp() as session:
        code, text = session.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(client.first()).decode())
        if code != 334:
            return code
        code, text = session.docmd(base64.b64encode(client.final(base64.b64decode(text))).decode())
        return session.docmd("")[0] if code == 334 else code


def test_dovecot(top):
    server = peers.Dovecot(top)
    server.start()
    try:
        with t.Instance(settings=SETTINGS + [f"auth_sources=dovecot:{server.socket}"]) as tern:
            tern.start()
            t.is_(login(tern, "anna@example.test", peers.PASSWORD), 235, "dovecot as a source: a right password")
            t.is_(login(tern, "anna@example.test", "wrong"), 535, "dovecot as a source: a wrong one")
        with t.Instance(settings=SETTINGS + ["smtpd_sasl_type=dovecot", "smtpd_sasl_path=" + str(server.socket)]) as tern:
            tern.start()
            with tern.smtp() as session:
                t.is_(session.esmtp_features.get("auth"), " PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5", "smtpd_sasl_type = dovecot: its mechanisms are offered")
            for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
                t.is_(login(tern, "anna@example.test", peers.PASSWORD, mechanism), 235, f"relayed: {mechanism}")
                t.is_(login(tern, "anna@example.test", "wrong", mechanism), 535, f"relayed: {mechanism}, a wrong password")
            t.is_(scram(tern, "anna@example.test", peers.PASSWORD), 235, "relayed: SCRAM-SHA-256")
            t.is_(scram(tern, "anna@example.test", "wrong"), 535, "relayed: SCRAM-SHA-256, a wrong password")
            with tern.smtp() as session:
                session.docmd("AUTH", "LOGIN")
                t.is_(session.docmd("*")[0], 501, "relayed: a client that gives up")
                session.user, session.password = "anna@example.test", peers.PASSWORD
                t.is_(session.auth("PLAIN", session.auth_plain)[0], 235, "relayed: and tries again")
            t.ok("user=<anna@example.test>" in tern.log(), "the log says whom it was about")
            server.stop()
            t.is_(login(tern, "anna@example.test", peers.PASSWORD), 454, "relayed: a server that is down: temporary")
            server.start()
            t.ok(t.wait_for(lambda: login(tern, "anna@example.test", peers.PASSWORD) == 235, 15, 0.2), "relayed: it is back")
    finally:
        server.stop()


TESTS = {"chain": test_chain, "pam": test_pam, "dovecot": test_dovecot}
with tempfile.TemporaryDirectory(prefix="tern-accounts-") as top:
    os.chmod(top, 0o755)
    for test in os.environ.get("SOURCES", " ".join(TESTS)).split():
        if test == "pam" and not (t.program("pam") and pam_module("pam_pwdfile")):
            t.ok(True, "pam # SKIP no pam daemon, or no pam_pwdfile.so")
            continue
        TESTS[test](pathlib.Path(top))
t.done()
