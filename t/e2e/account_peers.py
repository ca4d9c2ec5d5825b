"""Where accounts come from in tests: PostgreSQL, slapd, Dovecot's auth service, an OAuth issuer.

Each is private: files in a directory of the test, UNIX sockets or free ports of loopback,
and only processes that were started here are ended, by number. Accounts are
anna@example.test with the password "right", and those that each test adds."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import tern_test as t

PASSWORD = "right"


def sbin(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60, check=True, **options)


def ordinary_user():
    """Somebody who is not root, for servers that refuse to be."""
    return pwd.getpwnam("nobody") if t.is_root() else pwd.getpwuid(os.getuid())


def descendants(pid):
    """A process and all below it."""
    found = [pid]
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += descendants(int(entry))
    return found


class Server:
    """A process that can be started, stopped, and made to hang."""

    process = None

    def command(self):
        raise NotImplementedError

    def answers(self):
        raise NotImplementedError

    def demote(self):
        """In the child, before it becomes the server."""

    def start(self):
        with open(self.directory / "output", "ab") as output:
            self.process = subprocess.Popen([str(word) for word in self.command()], stdout=output, stderr=output,
                                            stdin=subprocess.DEVNULL, preexec_fn=self.demote)
        if not t.wait_for(self.answers, 30):
            raise RuntimeError((self.directory / "output").read_text(errors="replace")[-2000:])
        return self

    def hang(self):
        self.stopped = descendants(self.process.pid)
        for pid in self.stopped:
            t.freeze(pid)

    def go_on(self):
        for pid in self.stopped:
            os.kill(pid, signal.SIGCONT)

    def stop(self):
        if self.process and self.process.poll() is None:
            children = descendants(self.process.pid)[1:]
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            if not t.wait_for(lambda: not any(t.alive(pid) for pid in children), 2):
                for pid in filter(t.alive, children):  # Dovecot's auth stays for its clients
                    os.kill(pid, signal.SIGKILL)
        self.process = None

    stop_signal = signal.SIGTERM


class PostgreSQL(Server):
    stop_signal = signal.SIGINT  # closes its clients' connections

    def __init__(self, top):
        self.programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.directory = pathlib.Path(top) / "pg"
        self.directory.mkdir()
        self.user = ordinary_user()
        os.chmod(self.directory, 0o755)
        if t.is_root():
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        run(self.programs / "initdb", "-D", self.directory / "data", "-A", "trust", "-U", "tern", "--no-sync", "-E",
            "UTF8", "--locale", "C", preexec_fn=self.demote, cwd="/")
        with open(self.directory / "data" / "pg_hba.conf", "w") as file:
            file.write("local all tern trust\nlocal all mail scram-sha-256\n")

    def demote(self):
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)

    def command(self):
        return [self.programs / "postgres", "-D", self.directory / "data", "-k", self.directory, "-h", "", "-c", "fsync=off",
                "-c", "unix_socket_permissions=0777"]

    def answers(self):
        return subprocess.run([str(self.programs / "pg_isready"), "-q", "-h", str(self.directory)]).returncode == 0

    def sql(self, text):
        run(self.programs / "psql", "-q", "-h", self.directory, "-U", "tern", "-v", "ON_ERROR_STOP=1", "-c", text, "postgres")


class MariaDB(Server):
    def __init__(self, top):
        self.directory = pathlib.Path(top) / "mariadb"
        self.directory.mkdir()
        self.socket = self.directory / "socket"
        self.user = ordinary_user()
        os.chmod(self.directory, 0o755)
        if t.is_root():
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        run("mariadb-install-db", "--no-defaults", f"--datadir={self.directory}/data", "--auth-root-authentication-method=normal",
            "--skip-test-db", f"--user={self.user.pw_name}", cwd="/")
        os.chmod(self.directory / "data", 0o755)

    def command(self):
        return [sbin("mariadbd"), "--no-defaults", f"--datadir={self.directory}/data", f"--socket={self.socket}", "--skip-networking",
                f"--pid-file={self.directory}/pid", f"--user={self.user.pw_name}", f"--init-file={self.directory}/init",
                "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0", f"--tmpdir={self.directory}"]

    def sql_at_start(self, text):
        """Statements, one a line, that run at the first start."""
        (self.directory / "init").write_text(text)
        os.chmod(self.directory / "init", 0o644)

    def answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
                return True
            except OSError:
                return False


SLAPD = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {directory}/pid
allow bind_anon_cred bind_anon_dn
TLSCACertificateFile {directory}/ca.pem
TLSCertificateFile {directory}/server.pem
TLSCertificateKeyFile {directory}/server.key
database mdb
suffix "dc=test"
rootdn "cn=admin,dc=test"
rootpw adminpw
directory {directory}/data
access to attrs=userPassword by dn.exact="cn=reader,dc=test" read by anonymous auth by * none
access to * by * read
"""


class Slapd(Server):
    def __init__(self, top):
        self.directory = pathlib.Path(top) / "ldap"
        (self.directory / "data").mkdir(parents=True)
        os.chmod(self.directory, 0o755)
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"ldap://127.0.0.1:{self.port}"
        certificates(self.directory)
        (self.directory / "slapd.conf").write_text(SLAPD.format(directory=self.directory))

    def command(self):
        return [sbin("slapd"), "-d", "0", "-h", f"{self.url} ldaps://localhost:{self.tls_port}", "-f",
                self.directory / "slapd.conf"]

    def answers(self):
        return t.accepts(self.port)

    def add(self, text):
        run("ldapadd", "-x", "-H", self.url, "-D", "cn=admin,dc=test", "-w", "adminpw", input=text)


def certificates(directory):
    """ca.pem, server.pem and server.key for localhost and 127.0.0.1, by the openssl command; and other.pem, a
    CA that has nothing to do with them."""
    for name in ("ca", "other"):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", f"/CN=Test {name}", "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem")
    (directory / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
        "-keyout", directory / "server.key", "-out", directory / "server.csr")
    run("openssl", "x509", "-req", "-in", directory / "server.csr", "-CA", directory / "ca.pem", "-CAkey",
        directory / "ca.key", "-CAcreateserial", "-days", "30", "-extfile", directory / "names", "-out", directory / "server.pem")
    for name in ("ca.pem", "other.pem", "server.pem"):
        os.chmod(directory / name, 0o644)


DOVECOT = """base_dir = {directory}/run
state_dir = {directory}/run
log_path = {directory}/log
protocols =
ssl = no
auth_mechanisms = plain login scram-sha-256 cram-md5
auth_failure_delay = 0
{users}
passdb {{
  driver = passwd-file
  args = {directory}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home=/tmp
}}
service auth {{
  unix_listener {directory}/auth-client {{
    mode = 0666
  }}
}}
"""


class Dovecot(Server):
    """Only its auth service."""

    def __init__(self, top, accounts=""):
        self.directory = pathlib.Path(top) / "dovecot"
        self.directory.mkdir()
        os.chmod(self.directory, 0o755)
        self.socket = self.directory / "auth-client"
        me = pwd.getpwuid(os.geteuid()).pw_name
        users = "" if t.is_root() else f"default_internal_user = {me}\ndefault_login_user = {me}\n"
        (self.directory / "users").write_text(f"anna@example.test:{{PLAIN}}{PASSWORD}\n" + accounts)
        os.chmod(self.directory / "users", 0o644)
        (self.directory / "dovecot.conf").write_text(
            DOVECOT.format(directory=self.directory, users=users, uid=os.geteuid(), gid=os.getegid()))

    def command(self):
        return [sbin("dovecot"), "-F", "-c", self.directory / "dovecot.conf"]

    def answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
                return True
            except OSError:
                return False


# ---- OAuth

def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A key of an issuer, by the openssl command."""

    def __init__(self, directory, name, kind="RSA"):
        self.name, self.kind = name, kind
        self.file = pathlib.Path(directory) / f"{name}.key"
        options = {"RSA": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                   "EC": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "OKP": ["-algorithm", "ED25519"]}
        run("openssl", "genpkey", *options[kind], "-out", self.file)
        self.der = subprocess.run(["openssl", "pkey", "-in", str(self.file), "-pubout", "-outform", "DER"],
                                  capture_output=True, check=True).stdout

    def jwk(self):
        if self.kind == "RSA":
            modulus = run("openssl", "rsa", "-in", self.file, "-noout", "-modulus").stdout.split("=")[1].strip()
            return {"kty": "RSA", "kid": self.name, "n": url64(bytes.fromhex(modulus)), "e": "AQAB"}
        if self.kind == "EC":
            return {"kty": "EC", "crv": "P-256", "kid": self.name, "x": url64(self.der[-64:-32]), "y": url64(self.der[-32:])}
        return {"kty": "OKP", "crv": "Ed25519", "kid": self.name, "x": url64(self.der[-32:])}

    def sign(self, text):
        if self.kind == "OKP":
            content = self.file.with_suffix(".content")
            content.write_bytes(text)
            return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(self.file), "-in", str(content)],
                                  capture_output=True, check=True).stdout
        raw = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.file)], input=text, capture_output=True,
                             check=True).stdout
        return raw if self.kind == "RSA" else from_der(raw)

    def token(self, claims, header=None):
        algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}[self.kind]
        head = {"alg": algorithm, "kid": self.name, "typ": "at+jwt"} if header is None else header
        text = url64(json.dumps(head).encode()) + "." + url64(json.dumps(claims).encode())
        return text + "." + url64(self.sign(text.encode()))


def from_der(der):
    """The two numbers of an ECDSA signature, 32 octets each."""
    at, numbers = 2, b""
    for _ in range(2):
        length = der[at + 1]
        numbers += int.from_bytes(der[at + 2:at + 2 + length], "big").to_bytes(32, "big")
        at += 2 + length
    return numbers


def forged_token(claims, header, mac_key=None):
    """One without a signature, or with an HMAC."""
    text = url64(json.dumps(header).encode()) + "." + url64(json.dumps(claims).encode())
    return text + "." + (url64(hmac.digest(mac_key, text.encode(), "sha256")) if mac_key else "")


class Issuer:
    """Publishes .keys at /keys, and says at /introspect what .tokens holds. .requests counts by path."""

    def __init__(self, context=None):
        self.keys, self.tokens, self.requests, self.credentials, self.broken = [], {}, {}, [], False
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def say(self, value):
                body = json.dumps(value).encode()
                self.send_response(500 if issuer.broken else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                issuer.requests[self.path] = issuer.requests.get(self.path, 0) + 1
                self.say({"keys": [key.jwk() for key in issuer.keys]})

            def do_POST(self):
                issuer.requests[self.path] = issuer.requests.get(self.path, 0) + 1
                issuer.credentials.append(self.headers.get("Authorization"))
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.say(issuer.tokens.get(form["token"][0], {"active": False}))

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def claims(self, user="anna@example.test", **more):
        now = int(time.time())
        return {"iss": "https://id.test", "aud": "mail", "email": user, "iat": now, "exp": now + 600, **more}

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


# ---- SCRAM, as a client

class Scram:
    def __init__(self, user, password):
        self.password = password
        self.nonce = base64.b64encode(os.urandom(12)).decode()
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"

    def first(self):
        return ("n,," + self.bare).encode()

    def final(self, challenge):
        fields = dict(word.split("=", 1) for word in challenge.decode().split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        without_proof = f"c=biws,r={fields['r']}"
        message = f"{self.bare},{challenge.decode()},{without_proof}".encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.server = base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")).decode()
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()
