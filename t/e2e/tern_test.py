"""What the end-to-end tests share: a private instance of tern, and TAP.

    import tern_test as t
    t.plan(3)
    with t.Instance() as tern:
        tern.start()
        t.ok(tern.run("status").returncode == 0, "status says running")

The programs come from where tern is installed, in TERN_PREFIX, or else from the
build directory in TERN_BUILD (default: the current directory), uninstalled: the
daemons are copied into one directory of the instance. Only the standard library;
only loopback."""

import fcntl
import os
import pathlib
import pwd
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time

BUILD = pathlib.Path(os.environ.get("TERN_BUILD", ".")).resolve()
PREFIX = pathlib.Path(os.environ["TERN_PREFIX"]).resolve() if os.environ.get("TERN_PREFIX") else None
DAEMONS = ["master", "smtpd", "cleanup", "qmgr", "smtp", "local", "bounce", "pickup", "lookup", "keys", "fetch", "tlsrpt",
           "auth", "pam", "imapd", "pop3d", "mailbox", "log", "drop"]
COMMANDS = ["tern", "ternconf", "ternmap", "ternalias", "ternqueue", "ternsuper", "terncat", "sendmail"]

_count = 0
_failed = 0
_planned = None


def plan(number):
    global _planned
    _planned = number
    print(f"1..{number}", flush=True)


def skip_all(why):
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def ok(good, name, detail=""):
    global _count, _failed
    _count += 1
    print(f"{'ok' if good else 'not ok'} {_count} - {name}", flush=True)
    if not good:
        _failed += 1
        for line in str(detail).splitlines():
            print(f"#   {line}", flush=True)
        # prove keeps what is said here, so that one run is enough to know what was wrong.
        print(f"# not ok {_count} - {name}\n# {str(detail)[:2000]}", file=sys.stderr, flush=True)
        for instance in Instance.alive:
            instance.say_log()
    return good


def is_(got, wanted, name):
    return ok(got == wanted, name, f"     got: {got!r}\n  wanted: {wanted!r}")


def done():
    """Ends the test script with its exit status."""
    if _planned is None:
        print(f"1..{_count}", flush=True)
    sys.exit(1 if _failed or (_planned is not None and _planned != _count) else 0)


def crowd():
    """How many times longer things may take because of what else runs on this machine."""
    return min(4.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def wait_for(condition, seconds=10.0, pause=0.02):
    """Waits until condition() is true; its value, or the last one when time is up."""
    begin = time.monotonic()
    while True:
        value = condition()
        if value or time.monotonic() - begin > seconds * crowd():
            return value
        time.sleep(pause)


def freeze(pid):
    """SIGSTOP, and no thread of it runs any more: a signal to another processor takes a while."""
    os.kill(pid, signal.SIGSTOP)

    def still():
        threads = pathlib.Path(f"/proc/{pid}/task").glob("*/stat")
        try:
            return all(thread.read_text(encoding="latin-1").rsplit(")", 1)[1].split()[0] in "TXZ" for thread in threads)
        except OSError:  # one ended while we looked
            return False
    if not wait_for(still):
        raise RuntimeError(f"process {pid} does not stop")


def program(name):
    """A command or daemon: the installed one, or that of the build."""
    places = [BUILD / folder for folder in ("ctl", name, ".")]
    if PREFIX:
        places = [PREFIX / "sbin", PREFIX / "libexec" / "tern"] + places
    for folder in places:
        path = folder / name
        if path.is_file() and os.access(path, os.X_OK):
            return path
    return None


def need(*names):
    """Skips the whole test if one of these programs is not built."""
    missing = [name for name in names if not program(name)]
    if missing:
        skip_all("not built: " + ", ".join(missing))


def is_root():
    return os.geteuid() == 0


def alive(pid):
    """A process that runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def accepts(port, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


_claims = []  # open files whose locks say whose a base is, while this process lives


def _claim(base):
    """True if no other test has this base, or is about to take it."""
    try:
        file = open(pathlib.Path(tempfile.gettempdir()) / f"tern-test-ports-{base}-{os.getuid()}", "w")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    _claims.append(file)
    return True


def free_port_base():
    """A base B such that B+24 and B+25 (and a few more) are free, and those of IMAP, POP3, submission; no other test gets it."""
    # 200 apart, so that none of the ports meets another instance's B+25 to B+64; below 32768, from where on clients' ports are taken
    start = 11000 + os.getpid() * 200 % 20000
    for base in list(range(start, 31000, 200)) + list(range(11000, start, 200)):
        if not _claim(base):
            continue
        try:
            for offset in (*range(24, 36), 110, 143, 465, 587, 993, 995):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
    raise RuntimeError("no free ports")


TRACE = re.compile(rb"(?:(?:Return-Path|Delivered-To|X-Original-To|Received):[^\n]*\n(?:[ \t][^\n]*\n)*)*", re.I)


def without_trace(raw):
    """A delivered message without the header fields that delivery puts before it."""
    return raw[TRACE.match(raw).end():]


def wire(content):
    """Content with LF as it goes over the wire."""
    return content.replace(b"\n", b"\r\n")


def make_chain(path, name="example.test", key="ec", days=9):
    """A key and a certificate that it signs itself, in one file that is the owner's alone; its path."""
    kind = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}.get(key, [key])
    certificate = path.with_suffix(".crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", path, "-out", certificate, "-days",
                    str(days), "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + certificate.read_bytes())
    path.chmod(0o600)
    return path


class Sink:
    """A next hop on loopback: an SMTP server in threads that keeps what it gets in
    .messages, as (sender, [recipients], content with LF).

    answer(stage, text): called before each answer, with stage one of connect, helo,
    mail, rcpt, data, dot; returns the reply to give, "drop" to hang up, or None for yes."""

    def __init__(self, answer=None, port=0):
        self.answer = answer or (lambda stage, text: None)
        self.messages = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", port), reuse_port=False, backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                self._dialogue(connection, connection.makefile("rb"))
            except (OSError, ConnectionError):
                pass

    def _say(self, connection, stage, text, good):
        reply = self.answer(stage, text) or good
        if reply == "drop":
            raise ConnectionError
        connection.sendall(reply.encode() + b"\r\n")
        return reply[0] in "23"

    def _dialogue(self, connection, lines):
        sender, recipients = "", []
        if not self._say(connection, "connect", "", "220 sink.test ESMTP"):
            return
        for line in lines:
            text = line.decode("latin-1").strip()
            verb = text[:4].upper()
            if verb in ("EHLO", "LHLO"):
                self._say(connection, "helo", text, "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
                                                    "250-SIZE 100000000\r\n250 ENHANCEDSTATUSCODES")
            elif verb == "MAIL":
                sender, recipients = text[text.index("<") + 1:text.index(">")], []
                self._say(connection, "mail", sender, "250 2.1.0 ok")
            elif verb == "RCPT":
                recipient = text[text.index("<") + 1:text.index(">")]
                if self._say(connection, "rcpt", recipient, "250 2.1.5 ok"):
                    recipients.append(recipient)
            elif verb == "DATA" and not recipients:
                connection.sendall(b"554 5.5.1 no valid recipients\r\n")
            elif verb == "DATA" and self._say(connection, "data", "", "354 go on"):
                content = []
                for line in lines:
                    if line == b".\r\n":
                        break
                    content.append(line[1:] if line[:1] == b"." else line)
                else:
                    return
                message = (sender, recipients, b"".join(content).replace(b"\r\n", b"\n"))
                if self._say(connection, "dot", sender, "250 2.0.0 kept"):
                    self.messages.append(message)
            elif verb == "QUIT":
                connection.sendall(b"221 2.0.0 bye\r\n")
                return
            elif verb in ("RSET", "NOOP", "HELO"):
                connection.sendall(b"250 2.0.0 ok\r\n")
            elif verb != "DATA":
                connection.sendall(b"502 5.5.1 no\r\n")

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


class Instance:
    """A private instance in a temporary directory, made by `tern init`.

    domain, settings: for init; daemons: {name: path} put beside or in place of
    the build's; missing daemons are simply not there. user: run as this account
    (needs root). tls: with a certificate, and the two services for submission."""

    alive = []

    def __init__(self, domain="example.test", settings=(), daemons=None, user=None, keep=False, tls=False):
        self.user = user
        self.keep = keep or bool(os.environ.get("TERN_TEST_KEEP"))
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="tern-test-"))
        os.chmod(self.top, 0o755)
        if user:
            account = pwd.getpwnam(user)
            os.chown(self.top, account.pw_uid, account.pw_gid)
        self.domain = domain
        self.port_base = free_port_base()
        self.smtp_port = self.port_base + 25
        self.lmtp_port = self.port_base + 24
        self.submission_port = self.port_base + 587
        self.smtps_port = self.port_base + 465
        self.directory = self.top / "tern"
        self.etc = self.directory / "etc"
        self.spool = self.directory / "spool"
        self.certificate = self.etc / "tls" / "certificate.pem"
        self.mail = self.directory / "mail"
        self.log_file = self.directory / "log" / "tern.log"
        self.libexec = self.top / "libexec"
        self._gather(daemons or {})
        made = self.tern("init", str(self.directory), "--domain", domain, "--port-base", str(self.port_base),
                         *(["--tls"] if tls else []), "--set", f"daemon_directory={self.libexec}",
                         *[word for setting in settings for word in ("--set", setting)])
        if made.returncode != 0:
            raise RuntimeError(f"tern init failed: {made.stderr}")
        Instance.alive.append(self)

    def _gather(self, daemons):
        self.libexec.mkdir()
        for name in DAEMONS:
            path = daemons.get(name) or program(name)
            if path:
                shutil.copy2(path, self.libexec / name)
        for name, path in daemons.items():
            shutil.copy2(path, self.libexec / name)

    # ---- commands

    def start_again(self):
        """Starts it when master was killed, or waits until it runs again."""
        if self.run("status").returncode != 0:
            self.start()

    def queue_tool(self, name, *arguments, **options):
        """ternqueue, ternsuper, terncat with -c ETC."""
        return self.command(name, "-c", self.etc, *arguments, **options)

    def demote(self):
        """In a child: becomes the account of the instance."""
        account = pwd.getpwnam(self.user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)

    def command(self, name, *arguments, input=None, timeout=60, check=False):
        """Runs a command of the build with text input and output."""
        return subprocess.run([str(program(name)), *map(str, arguments)], input=input, capture_output=True, text=True,
                              timeout=timeout, check=check, preexec_fn=self.demote if self.user else None,
                              env={**os.environ, "MAIL_CONFIG": str(self.etc)})

    def tern(self, *arguments, **options):
        return self.command("tern", *arguments, **options)

    def run(self, *arguments, **options):
        """tern -c ETC ..."""
        return self.tern("-c", self.etc, *arguments, **options)

    def start(self):
        started = self.run("start")
        if started.returncode != 0:
            self.say_log()
            raise RuntimeError(f"tern start failed: {started.stderr}")
        return started

    def stop(self):
        return self.run("stop")

    def add_user(self, name, password="secret"):
        return self.run("user", "add", f"{name}@{self.domain}", input=password + "\n", check=True)

    # ---- looking in

    def pids(self):
        """[(service, pid)]; empty if it does not run."""
        lines = self.run("pids").stdout.splitlines()
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    def pid_of(self, service):
        for name, pid in self.pids():
            if name == service:
                return pid
        return None

    def log(self):
        try:
            return self.log_file.read_text(errors="replace")
        except OSError:
            return ""

    def stored(self, user):
        """The messages of a virtual mailbox, as bytes."""
        return [path.read_bytes() for path in self.mailbox(user)]

    def wait_stored(self, user, count=1, seconds=15.0):
        """Waits until a mailbox has that many messages; returns them."""
        wait_for(lambda: len(self.mailbox(user)) >= count, seconds)
        return self.stored(user)

    def queued(self, *folders):
        """The queue IDs in these folders of the queue (default: all that hold messages)."""
        found = []
        for folder in folders or ("new", "cur", "hold"):
            path = self.spool / "queue" / folder
            if path.is_dir():
                found += [name for name in os.listdir(path) if not name.startswith(".")]
        return sorted(found)

    def wait_empty(self, seconds=15.0):
        """Waits until nothing is queued."""
        return wait_for(lambda: not self.queued("tmp", "new", "cur", "hold"), seconds)

    # ---- sending

    def smtp(self, source=None, port=None, timeout=20):
        """An SMTP session, greeted."""
        session = smtplib.SMTP("127.0.0.1", port or self.smtp_port, local_hostname="client.test", timeout=timeout,
                               source_address=(source, 0) if source else None)
        session.ehlo()
        return session

    def send(self, sender, recipients, content, **options):
        """Sends content (bytes, LF) in a session of its own; the exceptions of bad replies are smtplib's."""
        with self.smtp(**options) as session:
            session.sendmail(sender, recipients, wire(content))

    def file(self, name, text):
        """Writes a file in the configuration directory; its path."""
        path = self.etc / name
        path.write_text(text)
        return path

    def wait_log(self, text, seconds=10.0, count=1):
        return wait_for(lambda: self.log().count(text) >= count, seconds)

    def say_log(self, lines=60):
        for line in self.log().splitlines()[-lines:]:
            print(f"# log: {line}", flush=True)

    def mailbox(self, user):
        """The files of a virtual mailbox's new/."""
        folder = self.mail / self.domain / user / "Maildir" / "new"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def set(self, line, file="main.cf"):
        """Adds a line to a configuration file."""
        with open(self.etc / file, "a") as out:
            out.write(line + "\n")

    # ---- life

    def close(self):
        if self in Instance.alive:
            Instance.alive.remove(self)
        left = self.pids()
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            pass
        faults = re.findall(r"^.*(?:ERROR: \w+Sanitizer|runtime error:|panic:).*$", self.log(), re.M)
        if faults:
            ok(False, "no daemon had a fault", "\n".join(faults[:5]))
        for _, pid in left:
            if alive(pid):
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
        if not self.keep:
            shutil.rmtree(self.top, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
