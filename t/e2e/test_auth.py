#!/usr/bin/env python3
"""AUTH: every mechanism and stored form, by Python, swaks, curl, msmtp and by hand; what the RFC says of the
dialogue; wrong logins, bans, and what is kept of them; 5,000 wrong passwords from 500 addresses."""

import base64
import hashlib
import hmac
import json
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time

import tern_test as t
import tls_client_peers as tls

t.need("tern", *t.DAEMONS)

AUTH_ON = ["smtpd_sasl_auth_enable=yes", "smtpd_tls_auth_only=no"]
ANNA = "anna@example.test"


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def plain(name, password, authorization=""):
    return b64(f"{authorization}\0{name}\0{password}")


def login(tern, name, password, mechanism="PLAIN", **options):
    """The reply code of a login in a session of its own."""
    with tern.smtp(**options) as session:
        if mechanism == "PLAIN":
            return session.docmd("AUTH", "PLAIN " + plain(name, password))[0]
        return Scram(session, mechanism, name, password).run()[0]


class Scram:
    """A client of RFC 5802."""

    def __init__(self, session, mechanism, name, password, header="n,,", binding=b""):
        self.session, self.mechanism, self.name, self.password = session, mechanism, name, password
        self.digest = "sha256" if "256" in mechanism else "sha1"
        self.header, self.binding = header, binding
        self.nonce = b64(os.urandom(12))
        self.salt = None

    def mac(self, key, text):
        return hmac.new(key, text.encode(), self.digest).digest()

    def run(self):
        """The last reply, (code, text); (235, ...) only if the server has proved itself too."""
        saslname = self.name.replace("=", "=3D").replace(",", "=2C")
        bare = f"n={saslname},r={self.nonce}"
        code, text = self.session.docmd("AUTH", f"{self.mechanism} {b64(self.header + bare)}")
        if code != 334:
            return code, text
        first = base64.b64decode(text).decode()
        fields = dict(part.split("=", 1) for part in first.split(","))
        self.salt = fields["s"]
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce) + 8
        salted = hashlib.pbkdf2_hmac(self.digest, self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        without_proof = f"c={b64(self.header.encode() + self.binding)},r={fields['r']}"
        message = f"{bare},{first},{without_proof}"
        key = self.mac(salted, "Client Key")
        signature = self.mac(hashlib.new(self.digest, key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        code, text = self.session.docmd(b64(f"{without_proof},p={b64(proof)}"))
        if code != 334:
            return code, text
        wanted = "v=" + b64(self.mac(self.mac(salted, "Server Key"), message))
        if base64.b64decode(text).decode() != wanted:
            return 0, b"the server does not know the password"
        return self.session.docmd("")


def scram_secret(password, digest, salt=b"saltsaltsalt"):
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, 4096)
    stored = hashlib.new(digest, hmac.new(salted, b"Client Key", digest).digest()).digest()
    server = hmac.new(salted, b"Server Key", digest).digest()
    return f"4096,{b64(salt)},{b64(stored)},{b64(server)}"


def salted(digest, password="secret", salt=b"salt"):
    return b64(hashlib.new(digest, password.encode() + salt).digest() + salt)


SCHEMES = {
    "plain": "{PLAIN}secret",
    "clear": "{CLEARTEXT}secret",
    "plain64": "{PLAIN.b64}" + b64("secret"),
    "yescrypt": "$y$j9T$abcdefgh$IUWJt2doU4Kf6E/JP1UkAT3S5O3Q7SSA8SJirXIlEu9",
    "bcrypt": "{BLF-CRYPT}$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "sha512crypt": "{SHA512-CRYPT}$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/"
                   "otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/",
    "argon2id": "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$1F/zPfV1oOnkMMZHA2Vnqw$AHJJulT8ilreCyGk2Qnuc/saNfF2tibcP+M6oUSsurw",
    "ssha": "{SSHA}" + salted("sha1"),
    "ssha256": "{SSHA256}" + salted("sha256"),
    "ssha512": "{SSHA512}" + salted("sha512"),
    "sha": "{SHA}" + b64(hashlib.sha1(b"secret").digest()),
    "pbkdf2": "{PBKDF2}$1$NaCl$5000$" + hashlib.pbkdf2_hmac("sha1", b"secret", b"NaCl", 5000).hex(),
    "scram1": "{SCRAM-SHA-1}" + scram_secret("secret", "sha1"),
    "scram256": "{SCRAM-SHA-256}" + scram_secret("secret", "sha256"),
}


def write_accounts(tern, lines, name="users.passwd"):
    """A passwd-file that auth may read, put in place whole."""
    path = tern.etc / name
    new = tern.etc / (name + ".new")
    new.write_text("".join(line + "\n" for line in lines))
    os.chmod(new, 0o640)
    if t.is_root():
        shutil.chown(new, group="tern-auth")
    new.rename(path)
    return path


def bans(tern):
    return json.loads(tern.run("auth", "--json", "bans", check=True).stdout)


# ---- what is offered

def offered():
    with t.Instance(settings=["smtpd_sasl_auth_enable=yes"]) as tern:
        tern.add_user("anna")
        tern.start()
        with tern.smtp() as session:
            t.ok("auth" not in session.esmtp_features, "no AUTH where somebody could listen", session.esmtp_features)
            t.is_(session.docmd("AUTH", "PLAIN " + plain(ANNA, "secret"))[0], 538, "and it is refused")
            t.is_(session.docmd("MAIL", "FROM:<a@example.test> AUTH=<>")[0], 555, "so is its parameter of MAIL")
    with t.Instance() as tern:
        tern.start()
        with tern.smtp() as session:
            t.ok("auth" not in session.esmtp_features, "no AUTH where it is not switched on")
            t.is_(session.docmd("AUTH", "PLAIN " + plain(ANNA, "secret"))[0], 503, "then it is out of place")
    settings = AUTH_ON + ["broken_sasl_auth_clients=yes", "smtpd_sasl_exceptions_networks=127.0.0.77",
                          "smtpd_sasl_mechanism_filter=!login, static:rest"]
    with t.Instance(settings=settings) as tern:
        write_accounts(tern, ["a:{PLAIN}x"])
        tern.start()
        with tern.smtp() as session:
            lines = session.ehlo_resp.decode().splitlines()
            line = next((line for line in lines if line.startswith("AUTH ")), "")
            t.is_(line.split()[1:], ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"], "SCRAM where passwords are stored plain")
            t.ok("AUTH=" + line[5:] in lines, "broken_sasl_auth_clients", lines)
        with tern.smtp(source="127.0.0.77") as session:
            t.ok("auth" not in session.esmtp_features, "not to smtpd_sasl_exceptions_networks")
    settings = AUTH_ON + ["smtpd_sasl_security_options=noanonymous, noplaintext", "auth_mechanisms=plain, scram-sha-1, anonymous"]
    with t.Instance(settings=settings) as tern:
        write_accounts(tern, ["a:{PLAIN}x"])
        tern.start()
        with tern.smtp() as session:
            t.is_(session.esmtp_features.get("auth", "").split(), ["SCRAM-SHA-1"], "security options leave mechanisms out")
            t.is_(session.docmd("AUTH", "PLAIN " + plain("a", "x"))[0], 504, "what is not offered is refused")
            t.is_(session.docmd("AUTH", "ANONYMOUS =")[0], 504, "ANONYMOUS too")
    settings = AUTH_ON + ["smtpd_sasl_security_options=", "auth_mechanisms=anonymous", "auth_anonymous_login=guest"]
    with t.Instance(settings=settings) as tern:
        tern.start()
        with tern.smtp() as session:
            t.is_(session.docmd("AUTH", "ANONYMOUS " + b64("somebody"))[0], 235, "ANONYMOUS where it is wanted")


# ---- mechanisms and stored forms

def forms(tern):
    for name in SCHEMES:
        t.is_(login(tern, name, "secret"), 235, f"{name}: the right password")
        t.is_(login(tern, name, "Secret"), 535, f"{name}: a wrong one")
    t.is_(login(tern, "nobody", "secret"), 535, "no such account")
    t.is_(login(tern, "locked", "secret"), 535, "a locked account")
    t.is_(login(tern, "closed", "secret"), 535, "a closed account")
    t.is_(login(tern, "imaponly", "secret"), 535, "an account for another protocol")
    t.is_(login(tern, "elsewhere", "secret"), 535, "an account for other addresses")
    t.is_(login(tern, "here", "secret"), 235, "an account for this address")
    t.is_(login(tern, "PLAIN", "secret"), 235, "case of names does not count")
    t.is_(login(tern, "unreadable", "secret"), 535, "a stored password of no known kind lets nobody in")
    t.ok(tern.wait_log("a stored password has no scheme that is known"), "and the log says so")
    t.is_(login(tern, "m\u00fcller", "p\u00e4ss"), 235, "names and passwords beyond ASCII")
    t.is_(login(tern, "mu\u0308ller", "pa\u0308ss"), 235, "in whatever form the client composes them")


def mechanisms(tern):
    with tern.smtp() as session:
        t.is_(session.docmd("AUTH", "PLAIN"), (334, b""), "PLAIN without initial response: an empty challenge")
        t.is_(session.docmd(plain("ssha", "secret"))[0], 235, "then it comes")
    with tern.smtp() as session:
        t.is_(session.docmd("AUTH", "LOGIN"), (334, b64("Username:").encode()), "LOGIN asks for the name")
        t.is_(session.docmd(b64("ssha")), (334, b64("Password:").encode()), "and for the password")
        t.is_(session.docmd(b64("secret"))[0], 235, "LOGIN")
    with tern.smtp() as session:
        session.docmd("AUTH", "LOGIN " + b64("ssha"))
        t.is_(session.docmd(b64("wrong"))[0], 535, "LOGIN with the name at once, wrong password")
        t.is_(session.docmd("AUTH", "login " + b64("ssha"))[0], 334, "mechanisms in any case; another try in the session")
        t.is_(session.docmd(b64("secret"))[0], 235, "that is right")
    for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
        stored = "scram256" if "256" in mechanism else "scram1"
        t.is_(login(tern, stored, "secret", mechanism), 235, f"{mechanism} from stored keys")
        t.is_(login(tern, stored, "Secret", mechanism), 535, f"{mechanism}: wrong password")
        t.is_(login(tern, "plain", "secret", mechanism), 235, f"{mechanism} from a plain password")
        t.is_(login(tern, "plain", "secre", mechanism), 535, f"{mechanism} from a plain password: wrong one")
        t.is_(login(tern, "ssha", "secret", mechanism), 535, f"{mechanism}: not from a hash of another kind")
        t.is_(login(tern, "odd,na=me", "secret", mechanism), 235, f"{mechanism}: a name with comma and equals sign")
    t.is_(login(tern, "scram1", "secret", "SCRAM-SHA-256"), 535, "keys of the other digest do not help")


def scram_hides(tern):
    salts = []
    for name in ("nobody", "nobody", "nobody2", "ssha", "plain"):
        with tern.smtp() as session:
            client = Scram(session, "SCRAM-SHA-256", name, "x")
            t.is_(client.run()[0], 535, f"SCRAM for {name} ends as a wrong password does")
            salts.append(client.salt)
    t.is_(salts[0], salts[1], "the salt of a name without account is always the same")
    t.ok(len(set(salts)) == 4 and len({len(salt) for salt in salts}) == 1, "and looks like any other", salts)
    with tern.smtp() as session:
        t.is_(Scram(session, "SCRAM-SHA-256", "plain", "secret", header="p=tls-exporter,,", binding=b"x" * 32).run()[0],
              501, "channel binding only in -PLUS")
    with tern.smtp() as session:
        t.is_(Scram(session, "SCRAM-SHA-256", "plain", "secret", header="y,,").run()[0], 235,
              "y: the client knows of bindings and we offered none")
    with tern.smtp() as session:
        client = Scram(session, "SCRAM-SHA-256", "plain", "secret")
        client.binding = b"forged"
        t.is_(client.run()[0], 535, "what the first message said has to be repeated")
    return salts[0]


# ---- the dialogue, RFC 4954

def dialogue(tern):
    with tern.smtp() as session:
        for argument, code, what in (("", 501, "no mechanism"), ("PLAIN a b", 501, "too many words"),
                                     ("NONE", 504, "an unknown mechanism"), ("X" * 100, 504, "a long one"),
                                     ("EXTERNAL =", 504, "EXTERNAL without a certificate"),
                                     ("PLAIN !!!!", 501, "no base64"), ("PLAIN YQ", 501, "base64 without padding"),
                                     ("PLAIN =", 501, "an empty response where one is needed"),
                                     ("PLAIN " + b64("no nul"), 501, "no message of PLAIN"),
                                     ("SCRAM-SHA-1 " + b64("n,,x"), 501, "no message of SCRAM")):
            reply = session.docmd("AUTH", argument)
            t.is_(reply[0], code, f"{what}: {code}")
        session.docmd("AUTH", "PLAIN")
        t.is_(session.docmd("*"), (501, b"5.7.0 Authentication aborted"), "the client changes its mind")
        session.docmd("AUTH", "LOGIN")
        t.is_(session.docmd("%%%")[0], 501, "no base64 in a response")
        session.docmd("AUTH", "PLAIN")
        t.is_(session.docmd("A" * 13000)[:1], (500,), "a response that is too long")
        t.is_(session.docmd("NOOP")[0], 250, "the session is in order after that")
        t.is_(session.docmd("AUTH", "PLAIN " + "A" * 9000)[0], 501, "a long initial response is read")
        t.is_(session.docmd("NOOP", "x" * 3000)[0], 500, "but other commands are as short as ever")
    with tern.smtp() as session:
        session.docmd("MAIL", "FROM:<a@example.test>")
        t.is_(session.docmd("AUTH", "PLAIN " + plain("ssha", "secret"))[0], 503, "not inside a transaction")
        session.docmd("RSET")
        t.is_(session.docmd("AUTH", "PLAIN " + plain("ssha", "secret"))[0], 235, "but after RSET")
        t.is_(session.docmd("AUTH", "PLAIN " + plain("ssha", "secret"))[0], 503, "not twice")
        t.is_(session.docmd("EHLO", "again")[0], 250, "EHLO again")
        t.is_(session.docmd("AUTH", "PLAIN " + plain("ssha", "secret"))[0], 503, "does not end the login")
    with socket.create_connection(("127.0.0.1", tern.smtp_port), timeout=20) as raw:
        lines = raw.makefile("rb")
        lines.readline()
        raw.sendall(b"AUTH PLAIN " + plain("ssha", "secret").encode() + b"\r\n")
        t.ok(lines.readline().startswith(b"503"), "not before EHLO")
        raw.sendall(b"HELO x\r\n")
        lines.readline()
        raw.sendall(b"AUTH PLAIN " + plain("ssha", "secret").encode() + b"\r\n")
        t.ok(lines.readline().startswith(b"503"), "nor after HELO")
    with socket.create_connection(("127.0.0.1", tern.smtp_port), timeout=20) as raw:
        lines = raw.makefile("rb")
        lines.readline()
        raw.sendall(b"EHLO x\r\n")
        while lines.readline()[3:4] == b"-":
            pass
        raw.sendall(b"AUTH PLAIN " + plain("ssha", "secret").encode() + b"\r\nMAIL FROM:<a@example.test>\r\n")
        t.ok(lines.readline().startswith(b"554"), "nothing may be sent ahead behind AUTH")
    with socket.create_connection(("127.0.0.1", tern.smtp_port), timeout=20) as raw:
        lines = raw.makefile("rb")
        lines.readline()
        raw.sendall(b"EHLO x\r\n")
        while lines.readline()[3:4] == b"-":
            pass
        raw.sendall(b"AUTH LOGIN\r\n")
        lines.readline()
        raw.sendall(b"c3N\0oYQ==\r\n")
        t.ok(lines.readline().startswith(b"501"), "a NUL in a response")
        raw.sendall(b"AUTH LOGIN\r\n")
        lines.readline()
    t.ok(tern.wait_log("lost connection after AUTH"), "a client that goes in the middle")


def logs(tern):
    log = tern.log()
    t.ok("warning: localhost[127.0.0.1]: SASL PLAIN authentication failed: wrong name or password, sasl_username=ssha256" in log,
         "smtpd says it in Postfix's words")
    t.ok("warning: localhost[127.0.0.1]: SASL PLAIN authentication aborted" in log, "and that it was given up")
    t.ok("wrong login: user=<nobody> from localhost[127.0.0.1] by PLAIN (smtp): no such account" in log,
         "auth says who, from where and why")
    t.ok("secret" not in log.replace("Secret", "").replace("/secret", ""), "no password is in the log")


# ---- inside TLS

class Keyed:
    """A session by openssl s_client, which tells the keying material of RFC 9266; enough of smtplib.SMTP for Scram."""

    def __init__(self, port):
        self.process = subprocess.Popen(
            [tls.OPENSSL, "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", "-crlf", "-keymatexport",
             "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.material = None
        for line in self.process.stdout:
            if b"Keying material:" in line:
                self.material = bytes.fromhex(line.split(b":")[1].strip().decode())
            if line.startswith(b"220 "):
                break
        self.docmd("EHLO", "client.test")

    def docmd(self, verb, argument=""):
        self.process.stdin.write(f"{verb} {argument}".rstrip().encode() + b"\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line[:3].isdigit() and line[3:4] == b" ":
                return int(line[:3]), line[4:].strip()
        return 0, b""

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


def encrypted():
    """Channel bindings, certificates that log in, and what TLS forgets."""
    settings = ["smtpd_sasl_auth_enable=yes", "smtpd_tls_ask_ccert=yes", "auth_failure_delay=0", "auth_address_failures=1000",
                "smtpd_sasl_mechanism_filter=static:all", "smtpd_tls_loglevel=1"]
    with t.Instance(settings=settings, tls=True) as tern:
        root = tls.Authority(tern.top / "pki")
        stranger = tls.Authority(tern.top / "pki2", "Stranger")
        tern.set(f"smtpd_tls_CAfile = {root.certificate}")
        for name in ("anna", "bert"):
            tern.add_user(name)
        write_accounts(tern, ["anna@example.test:{PLAIN}secret", "bert@example.test:{PLAIN}secret"])
        tern.start()
        trusting = ssl.create_default_context(cafile=str(tern.certificate))
        trusting.check_hostname = False

        def session(context=trusting):
            client = smtplib.SMTP("127.0.0.1", tern.smtp_port, local_hostname="client.test", timeout=20)
            client.starttls(context=context)
            client.ehlo()
            return client

        with tern.smtp() as client:
            t.ok("auth" not in client.esmtp_features and "starttls" in client.esmtp_features, "in clear there is no AUTH")
        with session() as client:
            t.is_(client.esmtp_features["auth"].split(),
                  ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN", "LOGIN"],
                  "inside TLS there are bindings")
            end_point = hashlib.sha256(client.sock.getpeercert(True)).digest()
            t.is_(Scram(client, "SCRAM-SHA-256-PLUS", ANNA, "secret", "p=tls-server-end-point,,", end_point).run()[0], 235,
                  "SCRAM-SHA-256-PLUS, tls-server-end-point")
        for mechanism, header, binding, code, what in (
                ("SCRAM-SHA-1-PLUS", "p=tls-server-end-point,,", end_point, 235, "SCRAM-SHA-1-PLUS"),
                ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", b"x" * 32, 535, "another server's certificate"),
                ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", b"x" * 32, 535, "another connection's exporter"),
                ("SCRAM-SHA-256-PLUS", "p=tls-unique,,", b"x" * 12, 501, "a binding that TLS 1.3 does not have"),
                ("SCRAM-SHA-256-PLUS", "n,,", b"", 501, "-PLUS without binding"),
                ("SCRAM-SHA-256", "y,,", b"", 535, "a client that was not told of -PLUS: somebody is between"),
                ("SCRAM-SHA-256", "n,,", b"", 235, "a client that has no bindings")):
            with session() as client:
                t.is_(Scram(client, mechanism, ANNA, "secret", header, binding).run()[0], code, what)
        keyed = Keyed(tern.smtps_port)
        t.ok(keyed.material and Scram(keyed, "SCRAM-SHA-256-PLUS", ANNA, "secret", "p=tls-exporter,,", keyed.material).run()[0]
             == 235, "tls-exporter, from the first byte", keyed.material)
        keyed.close()
        if shutil.which("msmtp"):
            for mechanism, password, wanted in (("plain", "secret", 0), ("scram-sha-256", "secret", 0), ("plain", "wrong", 77)):
                done = subprocess.run(["msmtp", "-C", "/dev/null", "--host=127.0.0.1", f"--port={tern.submission_port}", "--tls=on",
                                       "--tls-certcheck=off", f"--auth={mechanism}", f"--user={ANNA}",
                                       f"--passwordeval=echo {password}", f"--from={ANNA}", ANNA],
                                      input=b"Subject: x\n\nx\n", capture_output=True, timeout=60)
                t.is_(done.returncode, wanted, f"msmtp by submission, {mechanism} {password}")

        def with_certificate(chain):
            context = ssl.create_default_context(cafile=str(tern.certificate))
            context.check_hostname = False
            context.load_cert_chain(chain)
            return context

        own = root.make("anna", ANNA)
        for chain, authorization, code, what in (
                (own, "", 235, "EXTERNAL: the certificate says who it is"), (own, ANNA, 235, "and the client the same"),
                (own, "bert@example.test", 535, "but not another"), (root.make("nobody", "nobody@example.test"), "", 535,
                                                                     "a certificate that names no account")):
            with session(with_certificate(chain)) as client:
                t.ok("EXTERNAL" in client.esmtp_features["auth"].split(), "EXTERNAL is offered")
                t.is_(client.docmd("AUTH", "EXTERNAL " + (b64(authorization) or "="))[0], code, what)
        with session(with_certificate(stranger.make("anna", ANNA))) as client:
            t.ok("EXTERNAL" not in client.esmtp_features["auth"].split(), "not with a certificate of a stranger's authority")
            t.is_(client.docmd("AUTH", "EXTERNAL =")[0], 504, "which is good for nothing")
        with smtplib.SMTP_SSL("127.0.0.1", tern.smtps_port, context=trusting, timeout=20) as client:
            t.is_(client.login(ANNA, "secret")[0], 235, "a login on the port of submissions")
            client.sendmail(ANNA, ["bert@example.test"], b"Subject: x\r\n\r\nx\r\n")
        t.ok(tern.wait_log("sasl_method=SCRAM-SHA-256-PLUS") or tern.wait_log("sasl_method=PLAIN"), "the log names the method")
    settings = ["smtpd_sasl_auth_enable=yes", "smtpd_tls_auth_only=no"]
    with t.Instance(settings=settings, tls=True) as tern:
        tern.add_user("anna")
        tern.start()
        with tern.smtp() as client:
            t.is_(client.docmd("AUTH", "PLAIN " + plain(ANNA, "secret"))[0], 235, "a login in clear, where that is wanted")
            context = ssl._create_unverified_context()
            client.starttls(context=context)
            client.ehlo()
            t.is_(client.docmd("AUTH", "PLAIN " + plain(ANNA, "secret"))[0], 235, "is forgotten by STARTTLS")


# ---- what a login is good for

def consequences():
    sink = t.Sink()
    settings = AUTH_ON + ["mynetworks=192.0.2.0/24", "smtpd_sasl_authenticated_header=yes",
                          f"relayhost=[127.0.0.1]:{sink.port}", "disable_dns_lookups=yes", "smtp_host_lookup=native"]
    with t.Instance(settings=settings) as tern:
        tern.add_user("anna")
        tern.start()
        with tern.smtp() as session:
            session.docmd("MAIL", f"FROM:<{ANNA}>")
            t.ok(session.docmd("RCPT", "TO:<x@sink.test>")[0] in (454, 554), "no relaying for strangers")
            session.docmd("RSET")
            t.is_(session.docmd("AUTH", "PLAIN " + plain(ANNA, "secret"))[0], 235, "who logs in")
            t.is_(session.docmd("MAIL", f"FROM:<{ANNA}> AUTH=x+ZZ")[0], 501, "MAIL's AUTH has to be xtext")
            t.is_(session.docmd("MAIL", f"FROM:<{ANNA}> AUTH=anna+40example.test")[0], 250, "MAIL with AUTH")
            t.is_(session.docmd("RCPT", "TO:<x@sink.test>")[0], 250, "may relay")
            session.docmd("DATA")
            session.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            t.is_(session.getreply()[0], 250, "and send")
        t.ok(t.wait_for(lambda: sink.messages, 15), "it comes")
        content = sink.messages[0][2].decode() if sink.messages else ""
        t.ok("(Authenticated sender: anna@example.test)" in " ".join(content.split()), "Received names the account", content)
        t.ok("with ESMTPA id" in " ".join(content.split()), "and the protocol", content)
        t.ok(tern.wait_log("client=localhost[127.0.0.1], sasl_method=PLAIN, sasl_username=anna@example.test, "
                           "sasl_sender=anna@example.test"), "the log names method, account and submitter")
        t.ok(tern.wait_log("auth=1 mail=2/3"), "the summary counts AUTH")
    sink.close()


# ---- CRAM-MD5, for old programs

def cram_md5():
    with t.Instance(settings=AUTH_ON + ["auth_mechanisms=plain, cram-md5"]) as tern:
        tern.add_user("anna")
        with open(tern.etc / "users.passwd", "a", encoding="utf-8") as accounts:
            accounts.write("plain:{PLAIN}secret\nwith blank:{PLAIN}secret\n")
        tern.start()
        with tern.smtp() as session:
            session.ehlo()
            t.is_(session.esmtp_features.get("auth", "").split(), ["PLAIN", "CRAM-MD5"], "CRAM-MD5 is offered where it is listed")
        challenges = set()
        for name, password, code, what in (("plain", "secret", 235, "a right password"), ("plain", "Secret", 535, "a wrong one"),
                                           ("plain", "", 535, "none"), ("with blank", "secret", 235, "a name with a blank"),
                                           ("nobody", "secret", 535, "no account"), (ANNA, "secret", 535, "an account with a hash")):
            with tern.smtp() as session:
                challenge = base64.b64decode(session.docmd("AUTH", "CRAM-MD5")[1])
                challenges.add(challenge)
                answer = b64(name.encode() + b" " + hmac.new(password.encode() or b"\0", challenge, "md5").hexdigest().encode())
                t.is_(session.docmd(answer)[0], code, f"CRAM-MD5: {what}: {code}")
        t.ok(len(challenges) == 6 and all(re.fullmatch(rb"<[0-9a-f]{32}\.\d+@[^<>@]+>", one) for one in challenges), "each challenge is another", challenges)
        with tern.smtp() as session:
            t.is_(session.docmd("AUTH", "CRAM-MD5 " + b64("plain " + "0" * 32))[0], 501, "CRAM-MD5: the server begins")
            for bad in ("", "x", "0" * 32, " " + "0" * 32, "plain " + "0" * 31, "plain" + "0" * 33, "n" * 600 + " " + "0" * 32):
                session.docmd("AUTH", "CRAM-MD5")
                code = session.docmd(b64(bad))[0]
                t.is_(code, 501, f"CRAM-MD5: malformed: {bad[:10]!r}")


# ---- other people's clients

def clients(tern):
    port = str(tern.smtp_port)
    with tern.smtp() as session:
        t.is_(session.login("ssha", "secret")[0], 235, "smtplib logs in")
    if shutil.which("swaks"):
        for mechanism in ("PLAIN", "LOGIN"):
            for password, wanted in (("secret", True), ("wrong", False)):
                done = subprocess.run(["swaks", "-S", "--server", "127.0.0.1", "-p", port, "--auth", mechanism, "--auth-user",
                                       "ssha", "--auth-password", password, "--to", ANNA, "--quit-after", "AUTH"],
                                      capture_output=True, timeout=60)
                t.is_(done.returncode == 0, wanted, f"swaks {mechanism} {password}")
    if shutil.which("curl"):
        for options in ([], ["--sasl-ir"], ["--login-options", "AUTH=LOGIN"]):
            done = subprocess.run(["curl", "-s", f"smtp://127.0.0.1:{port}/client.test", "-u", "ssha:secret",
                                   "--login-options", "AUTH=PLAIN", *options, "-X", "NOOP"], capture_output=True, timeout=60)
            t.is_(done.returncode, 0, f"curl {' '.join(options)}")
        done = subprocess.run(["curl", "-s", f"smtp://127.0.0.1:{port}/client.test", "-u", "ssha:wrong",
                               "--login-options", "AUTH=PLAIN", "-X", "NOOP"], capture_output=True, timeout=60)
        t.is_(done.returncode, 67, "curl with a wrong password")
    if shutil.which("msmtp"):
        version = subprocess.run(["msmtp", "--version"], capture_output=True, text=True, timeout=60).stdout.lower()
        for mechanism in ("plain", "login", "scram-sha-1", "scram-sha-256"):
            if mechanism not in version:
                continue
            for password, wanted in (("secret", 0), ("wrong", 77)):
                done = subprocess.run(["msmtp", "-C", "/dev/null", "--host=127.0.0.1", f"--port={port}", "--tls=off",
                                       f"--auth={mechanism}", "--user=plain", f"--passwordeval=echo {password}",
                                       f"--from={ANNA}", ANNA], input=b"Subject: x\n\nx\n", capture_output=True, timeout=60)
                t.is_(done.returncode, wanted, f"msmtp {mechanism} {password}")


# ---- accounts that change

def changes():
    settings = AUTH_ON + ["auth_failure_delay=0", "auth_address_failures=1000", "auth_default_realm=example.test",
                          "auth_master_users=root@example.test", "auth_mechanisms=plain"]
    with t.Instance(settings=settings) as tern:
        tern.start()
        t.is_(login(tern, ANNA, "secret"), 535, "tern init's file has nobody in it yet")
        os.remove(tern.etc / "users.passwd")
        t.ok(t.wait_for(lambda: login(tern, ANNA, "secret") == 454, 5), "without its file the answer is temporary")
        tern.add_user("anna")
        t.ok(t.wait_for(lambda: login(tern, ANNA, "secret") == 235, 3), "a new account is there within seconds")
        t.is_(login(tern, "anna", "secret"), 235, "auth_default_realm completes names")
        since = time.monotonic()
        tern.run("user", "passwd", ANNA, input="other\n", check=True)
        t.ok(t.wait_for(lambda: login(tern, ANNA, "other") == 235, 3), "so is a new password")
        print(f"# after {time.monotonic() - since:.2f} s")
        t.is_(login(tern, ANNA, "secret"), 535, "the old one, which was right a moment ago, is not any more")
        app = tern.run("user", "app", ANNA, "add", "phone", check=True).stdout.strip()
        t.ok(t.wait_for(lambda: login(tern, ANNA, app) == 235, 3), "an app password")
        t.is_(login(tern, ANNA, "other"), 235, "beside the other")
        t.is_(tern.run("user", "app", ANNA).stdout, "phone\n", "is listed")
        t.ok(t.wait_for(lambda: "app_password=phone" in tern.run("auth", "test", ANNA, input=app + "\n").stdout, 3), "by its name")
        tern.run("user", "app", ANNA, "del", "phone", check=True)
        t.ok(t.wait_for(lambda: login(tern, ANNA, app) == 535, 3), "and taken away")
        t.ok(tern.run("user", "app", ANNA, "del", "phone").returncode != 0, "once")
        t.ok(tern.run("user", "app", ANNA, "add", "a=b").returncode != 0, "labels are words")
        for name in ("root", "bert"):
            tern.add_user(name, name)
        t.ok(t.wait_for(lambda: login(tern, "root", "root") == 235, 3), "more accounts")
        for authorization, name, code, what in (("anna", "root", 235, "a master user is who it wants"),
                                                ("anna", "bert", 535, "others are not"), ("bert", "bert", 235, "but themselves"),
                                                ("nobody", "root", 535, "and nobody is nobody")):
            with tern.smtp() as session:
                t.is_(session.docmd("AUTH", "PLAIN " + plain(name, name, authorization))[0], code, what)
        t.ok(tern.wait_log("master user root@example.test logs in as anna@example.test"), "which is logged")
        tern.run("user", "--scheme", "SCRAM-SHA-256", "passwd", ANNA, input="third\n", check=True)
        t.ok(t.wait_for(lambda: login(tern, ANNA, "third") == 235, 3), "another scheme")
        mode = os.stat(tern.etc / "users.passwd").st_mode & 0o777
        t.is_(mode, 0o640, "the file is for auth alone")
        tern.run("user", "del", ANNA, check=True)
        t.ok(t.wait_for(lambda: login(tern, ANNA, "third") == 535, 3), "an account that is gone")
        os.rename(tern.etc / "users.passwd", tern.etc / "away")
        t.ok(t.wait_for(lambda: login(tern, "bert", "bert") == 454, 3), "a file that is gone makes nobody unknown")
        os.rename(tern.etc / "away", tern.etc / "users.passwd")
        t.ok(t.wait_for(lambda: login(tern, "bert", "bert") == 235, 3), "and comes back")
        auth = tern.pid_of("auth")
        os.kill(auth, signal.SIGKILL)
        t.ok(t.wait_for(lambda: login(tern, "bert", "bert") == 235, 10), "an auth process that dies comes again")
    with t.Instance(settings=AUTH_ON + ["auth_failure_delay=0"]) as tern:
        path = tern.file("accounts", "anna@example.test {PLAIN}secret:1:2\n")
        tern.command("ternmap", f"lmdb:{path}", check=True)
        tern.set(f"auth_sources = lmdb:{path}")
        tern.start()
        t.is_(login(tern, ANNA, "secret"), 235, "an account in a table")
        path.write_text("anna@example.test {PLAIN}other\n")
        tern.command("ternmap", f"lmdb:{path}", check=True)
        t.ok(t.wait_for(lambda: login(tern, ANNA, "other") == 235, 3), "that is made anew")
    with t.Instance(settings=AUTH_ON + ["auth_sources=nonsense:x"]) as tern:
        tern.start()
        t.is_(login(tern, ANNA, "secret"), 454, "a source that there is not")
        t.ok(tern.wait_log('no type "nonsense" was built in'), "is named in the log")


# ---- wrong logins and bans

def address_bans():
    settings = AUTH_ON + ["auth_failure_delay=0", "auth_address_failures=3", "auth_ban_time=3s", "auth_cache_time=0"]
    with t.Instance(settings=settings) as tern:
        tern.add_user("anna")
        tern.add_user("bert")
        tern.start()
        t.is_(login(tern, "bert@example.test", "secret", source="127.0.0.9"), 235, "bert logs in")
        began = time.time()
        t.is_([login(tern, ANNA, "wrong", source="127.0.0.9") for _ in range(3)], [535] * 3, "three wrong passwords")
        t.is_(login(tern, ANNA, "secret", source="127.0.0.9"), 454, "then even the right one has to wait")
        t.is_(login(tern, ANNA, "secret", source="127.0.0.10"), 235, "elsewhere it is good")
        t.is_(login(tern, "bert@example.test", "secret", source="127.0.0.9"), 235, "who logged in from there before still does")
        found = bans(tern)
        t.ok(len(found) == 1 and found[0]["kind"] == "address" and found[0]["subject"] == "127.0.0.9" and
             found[0]["failures"] == 3 and began + 1 <= found[0]["ends"] <= time.time() + 4, "the ban is shown", found)
        t.ok("127.0.0.9" in tern.run("auth", "bans").stdout, "as text too")
        t.ok(tern.wait_log("warning: address 127.0.0.9 is kept out for 3 seconds: 3 wrong logins"), "and logged")
        t.ok(t.wait_for(lambda: login(tern, ANNA, "secret", source="127.0.0.9") == 235, 10), "it expires")
        t.ok(time.time() - began >= 2, "not before its time")
        t.is_(bans(tern), [], "and is gone")
    settings = AUTH_ON + ["auth_failure_delay=0", "auth_address_failures=3", "auth_ban_exceptions=127.0.0.12"]
    with t.Instance(settings=settings) as tern:
        tern.add_user("anna")
        tern.start()
        t.is_([login(tern, ANNA, "wrong", source="127.0.0.12") for _ in range(6)], [535] * 6, "auth_ban_exceptions")
        for _ in range(3):
            login(tern, ANNA, "wrong", source="127.0.0.9")
        t.is_(login(tern, ANNA, "secret", source="127.0.0.9"), 454, "kept out")
        # The file is written within a second or two; a kill then loses nothing.
        state = tern.directory / "data" / "auth" / "state"
        state = next(iter(tern.directory.rglob("auth/state")), state)
        # The fourth word counts bans: a file written between the failures does not have it yet.
        banned = re.compile(rb"\w \d+ \d+ [1-9]\d* \d+ \d+ \d+ [01] 127\.0\.0\.9 ")
        t.ok(t.wait_for(lambda: state.exists() and banned.search(state.read_bytes()), 10), "what is known is on disk")
        t.is_(state.stat().st_mode & 0o777, 0o600, "for nobody else")
        os.kill(tern.pid_of("auth"), signal.SIGKILL)
        t.ok(t.wait_for(lambda: login(tern, ANNA, "secret", source="127.0.0.10") == 235, 10), "auth is killed and comes again")
        t.is_(login(tern, ANNA, "secret", source="127.0.0.9"), 454, "the ban survives it")
        tern.stop()
        tern.start()
        t.is_(login(tern, ANNA, "secret", source="127.0.0.9"), 454, "and a restart")
        tern.run("reload", check=True)
        t.ok(t.wait_for(lambda: [ban["subject"] for ban in bans(tern)] == ["127.0.0.9"], 10), "and a reload")
        t.ok(t.wait_for(lambda: login(tern, ANNA, "secret", source="127.0.0.9") == 454, 10), "to which all keep")
        t.is_(tern.run("auth", "unban", "address", "127.0.0.9").returncode, 0, "an operator lifts it")
        t.is_(login(tern, ANNA, "secret", source="127.0.0.9"), 235, "and it is gone")
        t.ok(tern.run("auth", "unban", "address", "127.0.0.9").returncode != 0, "once")
        t.is_(tern.run("auth", "ban", "account", ANNA, "1h", "stolen").returncode, 0, "an operator keeps an account out")
        t.is_(login(tern, ANNA, "secret", source="127.0.0.9"), 454, "wherever it comes from")
        t.is_([(ban["kind"], ban["subject"], ban["reason"]) for ban in bans(tern)], [("account", ANNA, "stolen")], "with the reason")
        t.is_(tern.run("auth", "unban", "all").returncode, 0, "all are lifted")
        t.is_(login(tern, ANNA, "secret", source="127.0.0.9"), 235, "all")
        for words in (["ban"], ["ban", "x", "y"], ["ban", "address", "nonsense"], ["ban", "account", "a", "soon"], ["x"], []):
            t.ok(tern.run("auth", *words).returncode != 0, f"tern auth {' '.join(words)}: refused")
        operators(tern)


def operators(tern):
    t.is_(tern.run("auth", "test", ANNA, input="secret\n").returncode, 0, "tern auth test: right")
    wrong = tern.run("auth", "test", ANNA, input="wrong\n")
    t.ok(wrong.returncode == 1 and "wrong password" in wrong.stdout, "wrong, with the reason", wrong)
    t.ok("no such account" in tern.run("auth", "test", "nobody", input="x\n").stdout, "unknown")
    for scheme in ("", "SSHA512", "ARGON2ID", "SCRAM-SHA-256"):
        made = tern.run("auth", "hash", *scheme.split(), input="secret\n")
        t.ok(made.returncode == 0 and made.stdout.startswith("{" + (scheme or "CRYPT") + "}"), f"tern auth hash {scheme}", made)
    t.ok(tern.run("auth", "hash", "NONE", input="x\n").returncode != 0, "no scheme of that name")
    if t.is_root():
        os.chmod(tern.etc / "users.passwd", 0o640)
        nobody = pwd.getpwnam("nobody")

        def demote():
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
        asked = subprocess.run([str(t.program("tern")), "-c", str(tern.etc), "auth", "bans"], capture_output=True, text=True,
                               preexec_fn=demote, timeout=60)
        t.ok(asked.returncode != 0 and "[" not in asked.stdout, "others may not ask", asked)


def account_bans():
    settings = AUTH_ON + ["auth_failure_delay=0", "auth_address_failures=1000", "auth_account_failures=5"]
    with t.Instance(settings=settings) as tern:
        tern.add_user("anna")
        tern.start()
        t.is_(login(tern, ANNA, "secret", source="127.0.1.1"), 235, "the owner logs in")
        codes = [login(tern, ANNA, "wrong", source=f"127.0.2.{i}") for i in range(1, 6)]
        t.is_(codes, [535] * 5, "others guess from many addresses")
        t.is_([ban["subject"] for ban in bans(tern)], [ANNA], "the account is closed")
        t.is_(login(tern, ANNA, "secret", source="127.0.2.1"), 454, "to those")
        t.is_(login(tern, ANNA, "secret", source="127.0.1.1"), 235, "but its owner is not locked out")
        t.is_(login(tern, ANNA, "secret", source="127.0.1.2"), 235, "nor from an address without a mistake")


def delays():
    settings = AUTH_ON + ["auth_failure_delay=2s"]
    with t.Instance(settings=settings) as tern:
        tern.add_user("anna")
        tern.start()
        times = {}
        for name, password in ((ANNA, "secret"), (ANNA, "wrong"), ("nobody", "wrong")):
            with tern.smtp() as session:
                began = time.monotonic()
                session.docmd("AUTH", "PLAIN " + plain(name, password))
                times[(name, password)] = time.monotonic() - began
        t.ok(times[(ANNA, "secret")] < 1.5, "the right password is answered at once", times)
        t.ok(times[(ANNA, "wrong")] >= 1.9 and times[("nobody", "wrong")] >= 1.9, "a wrong one waits", times)
        t.ok(abs(times[(ANNA, "wrong")] - times[("nobody", "wrong")]) < 0.3, "as long as one for nobody", times)


def limits():
    settings = AUTH_ON + ["auth_failure_delay=0", "smtpd_client_auth_rate_limit=2", "smtpd_client_event_limit_exceptions="]
    with t.Instance(settings=settings) as tern:
        tern.add_user("anna")
        tern.start()
        t.is_([login(tern, ANNA, "secret") for _ in range(3)], [235, 235, 450], "smtpd_client_auth_rate_limit")
        t.ok(tern.wait_log("AUTH command rate limit exceeded: 3 from localhost[127.0.0.1]"), "is logged")


# ---- under attack

class Attacker(threading.Thread):
    """Wrong passwords from some addresses, as fast as they are answered."""

    def __init__(self, tern, addresses, guesses, names):
        super().__init__(daemon=True)
        self.tern, self.addresses, self.guesses, self.names = tern, addresses, guesses, names
        self.tried = self.refused = 0
        self.strange = []

    def run(self):
        sessions = {}
        for number in range(self.guesses):
            for address in self.addresses:
                try:
                    if address not in sessions:
                        sessions[address] = self.tern.smtp(source=address, timeout=60)
                    name = self.names[(number + len(address)) % len(self.names)]
                    code, _ = sessions[address].docmd("AUTH", "PLAIN " + plain(name, f"guess{number}{address}"))
                except (OSError, smtplib.SMTPException):
                    sessions.pop(address, None)
                    code = 0
                self.tried += 1
                self.refused += code in (454, 421, 0)
                if code not in (535, 454, 421, 0):
                    self.strange.append(code)
        for session in sessions.values():
            session.close()


def attack():
    settings = AUTH_ON + ["auth_failure_delay=0", "smtpd_hard_error_limit=1000", "smtpd_soft_error_limit=1000",
                          "smtpd_client_connection_count_limit=1000"]
    with t.Instance(settings=settings) as tern:
        owners = [f"user{i}" for i in range(4)]
        for name in owners:
            tern.add_user(name, name + "pass")
        tern.start()
        names = [f"{name}@example.test" for name in owners] + ["root", "admin@example.test", "info@example.test"]
        for name in owners[:2]:
            t.is_(login(tern, f"{name}@example.test", name + "pass", source="127.0.3.1"), 235, f"{name} logs in before")
        addresses = [f"127.0.{4 + i // 250}.{1 + i % 250}" for i in range(500)]
        attackers = [Attacker(tern, addresses[i::25], 10, names) for i in range(25)]
        for attacker in attackers:
            attacker.start()
        slow, first, codes, number = [], [], [], 0
        while any(attacker.is_alive() for attacker in attackers):
            name = owners[number % 4]
            source = "127.0.3.1" if number % 4 < 2 else "127.0.3.2"
            with tern.smtp(source=source, timeout=60) as session:
                began = time.monotonic()
                codes.append(session.docmd("AUTH", "PLAIN " + plain(f"{name}@example.test", name + "pass"))[0])
                (first if 2 <= number < 4 else slow).append(time.monotonic() - began)
            number += 1
            time.sleep(0.05)
        tried = sum(attacker.tried for attacker in attackers)
        refused = sum(attacker.refused for attacker in attackers)
        print(f"# {tried} wrong passwords, {refused} refused without a look; {number} right logins, "
              f"the slowest {max(slow):.3f} s, the middle {sorted(slow)[len(slow) // 2]:.3f} s; from where nobody ever "
              f"logged in {', '.join(f'{seconds:.3f} s' for seconds in first)}")
        t.is_(tried, 5000, "5,000 wrong passwords from 500 addresses")
        t.is_([code for attacker in attackers for code in attacker.strange], [], "none of them got in")
        t.ok(number >= 10 and set(codes) == {235}, "every right login meanwhile did", sorted(set(codes)))
        t.ok(max(slow) < 1.0, "within a second", sorted(slow)[-5:])
        # Among the first guesses of 500 clean addresses nothing tells these two from them.
        t.ok(max(first) < 5.0, "and soon even for accounts that were never seen before", first)
        listed = bans(tern)
        t.ok(refused >= 3000, "most were refused without a look", refused)
        t.ok({f"{name}@example.test" for name in owners} <= {ban["subject"] for ban in listed}, "the accounts are listed", listed)
        pid = tern.pid_of("auth")
        with open(f"/proc/{pid}/status") as file:
            rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        print(f"# auth: {rss} KiB resident")


def main():
    offered()
    settings = AUTH_ON + ["auth_failure_delay=0", "auth_address_failures=1000", "auth_account_failures=1000",
                          "smtpd_hard_error_limit=100", "smtpd_soft_error_limit=100"]
    with t.Instance(settings=settings) as tern:
        lines = [f"{name}:{secret}" for name, secret in SCHEMES.items()]
        lines += ["locked:!{PLAIN}secret", "closed:{PLAIN}secret::::::nologin", "imaponly:{PLAIN}secret::::::proto=imap",
                  "elsewhere:{PLAIN}secret::::::allow_nets=192.0.2.0/24", "here:{PLAIN}secret::::::allow_nets=192.0.2.0/24,127.0.0.0/8",
                  "unreadable:{NONE}secret", "odd,na=me:{PLAIN}secret", "m\u00fcller:{PLAIN}p\u00e4ss"]
        tern.add_user("anna")
        write_accounts(tern, lines)
        tern.start()
        forms(tern)
        mechanisms(tern)
        salt = scram_hides(tern)
        dialogue(tern)
        clients(tern)
        logs(tern)
        tern.stop()
        tern.start()
        with tern.smtp() as session:
            client = Scram(session, "SCRAM-SHA-256", "nobody", "x")
            client.run()
            t.is_(client.salt, salt, "and stays so over a restart")
    if tls.OPENSSL:
        encrypted()
    cram_md5()
    consequences()
    changes()
    address_bans()
    account_bans()
    delays()
    limits()
    attack()


main()
t.done()
