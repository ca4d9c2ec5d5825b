#!/usr/bin/env python3
"""Servers that answer sources of accounts by halves, or without end: nobody else's login waits for them. And ways round a
ban: mechanisms that name the account late or not at all, guesses that began before it."""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import account_peers as peers
import tern_test as t

t.need("tern", *t.DAEMONS)

PROBE = t.BUILD / "t" / "e2e" / "source_probe"
if not os.access(PROBE, os.X_OK):
    t.skip_all("not built: t/e2e/source_probe (make check builds it)")
TOP = pathlib.Path(tempfile.mkdtemp(prefix="tern-rogue-"))
os.chmod(TOP, 0o755)
SETTINGS = ["smtpd_sasl_auth_enable=yes", "smtpd_tls_auth_only=no", "auth_failure_delay=0", "auth_address_failures=1000"]
ANNA = "anna@example.test"


class Probe:
    """One source, asked as auth would; what does not answer within PATIENCE hangs."""

    PATIENCE = 20

    def __init__(self, source):
        self.process = subprocess.Popen([str(PROBE), source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.watch = threading.Timer(self.PATIENCE, self.process.kill)
        self.watch.start()
        self.hello = self.read()

    def read(self):
        return self.process.stdout.readline().rstrip("\n").split("\t")

    def say(self, *words):
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.stdin.close()
        self.process.wait()
        self.watch.cancel()
        t.is_(self.process.returncode, 0, "the process ended well")


# ---- PostgreSQL

def message(kind, body=b""):
    return kind + struct.pack(">I", len(body) + 4) + body


READY = message(b"Z", b"I")
COLUMN = message(b"T", struct.pack(">H", 1) + b"login\0" + struct.pack(">IHIHIH", 0, 0, 25, 0xffff, 0xffffffff, 0))
ROW = message(b"D", struct.pack(">HI", 1, 17) + b"anna@example.test")
HEAD = message(b"1") + message(b"2")
DONE = message(b"C", b"SELECT 1\0")


class RoguePostgres:
    """Lets everybody in, and answers each question with what it was given."""

    def __init__(self, name, answer):
        self.answer, self.folder = answer, TOP / name
        self.folder.mkdir()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.folder / ".s.PGSQL.5432"))
        self.listener.listen(10)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection:
            try:
                connection.recv(4096)
                connection.sendall(message(b"R", bytes(4)) + READY)
                text = b""
                while data := connection.recv(4096):
                    text += data
                    if text.endswith(b"S" + struct.pack(">I", 4)):
                        text = b""
                        connection.sendall(self.answer)
            except OSError:
                pass

    def source(self):
        path = self.folder / "pgsql.cf"
        path.write_text(f"hosts = unix:{self.folder}\nuser = mail\ndbname = mail\nsslmode = disable\ntimeout = 2s\n"
                        "connections = 2\nquery = SELECT login FROM users WHERE login = '%u'\n")
        return f"pgsql:{path}"


def pgsql():
    with Probe(RoguePostgres("whole", HEAD + COLUMN + ROW + DONE + READY).source()) as probe:
        probe.say("look", "anna@example.test")
        t.is_(probe.read()[0], "FOUND", "pgsql: a whole answer")
    for name, answer, wanted in (("half", HEAD + COLUMN + ROW + DONE, "does not answer in time"),
                                 ("rows", HEAD + COLUMN + ROW, "does not answer in time"),
                                 ("copy", HEAD + message(b"H", b"\0\0\0"), ""),
                                 ("later-copy", HEAD + COLUMN + ROW + DONE + message(b"H", b"\0\0\0"), "")):
        with Probe(RoguePostgres(name, answer).source()) as probe:
            begun = time.monotonic()
            probe.say("&look", "anna@example.test")
            probe.say("&look", "bert@example.test")
            answers = [probe.read() for _ in range(2)]
            t.ok(all(len(words) > 2 and words[1] == "RETRY" and wanted in words[2] for words in answers)
                 and time.monotonic() - begun < probe.PATIENCE - 2, f"pgsql: {name}: temporary, in its time", answers)


# ---- round a ban

def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def by_login(tern, password, source):
    """The last reply code of AUTH LOGIN."""
    with tern.smtp(source=source) as session:
        for line in ("AUTH LOGIN", b64(ANNA), b64(password)):
            code = session.docmd(line)[0]
            if code != 334:
                break
        return code


class Relayed:
    """Dovecot's auth service with LOGIN; only says whom it was about at the end."""

    def __init__(self):
        self.path = TOP / "relay"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        os.chmod(self.path, 0o666)
        self.listener.listen(10)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    @staticmethod
    def talk(connection):
        heard = {}
        connection.sendall(b"VERSION\t1\t2\nMECH\tLOGIN\tplaintext\nSPID\t1\nDONE\n")
        for line in connection.makefile():
            words = line.rstrip("\n").split("\t")
            if words[0] == "AUTH":
                heard[words[1]] = 0
                connection.sendall(f"CONT\t{words[1]}\t{b64('Username:')}\n".encode())
            elif words[0] == "CONT" and heard[words[1]] == 0:
                heard[words[1]] = 1
                connection.sendall(f"CONT\t{words[1]}\t{b64('Password:')}\n".encode())
            elif words[0] == "CONT":
                verdict = "OK" if words[2] == b64("secret") else "FAIL"
                connection.sendall(f"{verdict}\t{words[1]}\tuser={ANNA}\n".encode())


def relayed():
    settings = SETTINGS + ["smtpd_sasl_type=dovecot", f"smtpd_sasl_path={Relayed().path}", "auth_account_failures=3"]
    with t.Instance(settings=settings) as tern:
        tern.start()
        t.is_(by_login(tern, "secret", "127.0.2.1"), 235, "relayed: a right password")
        t.is_([by_login(tern, "wrong", f"127.0.2.{i}") for i in (2, 3, 4)], [535] * 3, "relayed: three wrong ones from elsewhere")
        t.is_([by_login(tern, password, "127.0.2.3") for password in ("secret", "wrong")], [454] * 2,
              "relayed: LOGIN, which names the account late, is no way round its ban, nor tells a right password")
        t.is_(by_login(tern, "secret", "127.0.2.1"), 235, "relayed: the owner still logs in")


def tokens():
    key = peers.Key(TOP, "one", "EC")
    (TOP / "keys.json").write_text(json.dumps({"keys": [key.jwk()]}))
    (TOP / "oauth.cf").write_text(f"issuers = https://id.test\naudience = mail\njwks_file = {TOP}/keys.json\n")
    token = key.token({"iss": "https://id.test", "aud": "mail", "email": ANNA, "exp": time.time() + 3600})
    settings = SETTINGS + [f"auth_sources=oauth:{TOP}/oauth.cf", "auth_mechanisms=oauthbearer, anonymous",
                           "smtpd_sasl_security_options=", "auth_anonymous_login=guest"]
    with t.Instance(settings=settings) as tern:
        tern.start()

        def bearer(name):
            with tern.smtp() as session:
                return session.docmd("AUTH", "OAUTHBEARER " + b64(f"n,{name},\1auth=Bearer {token}\1\1"))[0]

        def anonymous(source):
            with tern.smtp(source=source) as session:
                return session.docmd("AUTH", "ANONYMOUS " + b64("x"))[0]
        names = ("", f"a={ANNA}")
        t.is_([bearer(name) for name in names], [235] * 2, "a token, with and without the account's name beside it")
        tern.run("auth", "ban", "account", ANNA, "1h", check=True)
        t.is_([bearer(name) for name in names], [454] * 2, "once an operator keeps the account out neither is good")
        t.is_(anonymous("127.0.0.9"), 235, "ANONYMOUS")
        tern.run("auth", "ban", "address", "127.0.0.9", "1h", check=True)
        t.is_([anonymous(source) for source in ("127.0.0.9", "127.0.0.10")], [454, 235], "is not for an address that is kept out")


def at_once():
    """What was begun before the ban does not come through it."""
    rounds = 200000
    secret = "{PBKDF2}$1$NaCl$%d$%s" % (rounds, hashlib.pbkdf2_hmac("sha1", b"secret", b"NaCl", rounds).hex())
    settings = [setting for setting in SETTINGS if "address_failures" not in setting]
    settings += ["auth_address_failures=3", "auth_hash_workers=1"]
    with t.Instance(settings=settings) as tern:
        path = tern.etc / "users.passwd"
        path.write_text(f"{ANNA}:{secret}\n")
        os.chmod(path, 0o640)
        if t.is_root():
            shutil.chown(path, group="tern-auth")
        tern.start()
        sessions = [tern.smtp() for _ in range(12)]
        for number, session in enumerate(sessions):
            session.putcmd("AUTH", "PLAIN " + b64(f"\0{ANNA}\0wrong{number}"))
        codes = [session.getreply()[0] for session in sessions]
        t.ok(codes.count(535) == 3 and codes.count(454) == 9,
             "guesses at once: after three nobody is told whether a password was right", codes)
        counted = [line for line in tern.log().splitlines() if "wrong login: " in line]
        t.is_(len(counted), 3, "nor are the others counted")
        for session in sessions:
            session.close()


def main():
    try:
        pgsql()
        relayed()
        tokens()
        at_once()
    finally:
        shutil.rmtree(TOP)
    t.done()


main()
