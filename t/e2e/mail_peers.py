"""The other ends for end-to-end tests: an SMTP client that speaks plainly, servers
that do as scripted, a name server, a network of one's own, and what a log says.

Used beside tern_test by test_mx, test_postfix_peer, test_corpus, test_idle."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading

import tern_test as t

SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"


def find_program(name):
    return shutil.which(name, path=SYSTEM_PATH)


def enter_own_network():
    """Runs this script anew in a network namespace that has nothing but loopback: port 25 is free there.

    Skips the test where that cannot be."""
    if os.environ.get("TERN_OWN_NETWORK") == str(os.getppid()) or os.environ.get("TERN_OWN_NETWORK") == "yes":
        subprocess.run([find_program("ip"), "link", "set", "lo", "up"], check=True)
        return
    unshare, ip = find_program("unshare"), find_program("ip")
    if os.geteuid() != 0 or not unshare or not ip:
        t.skip_all("needs root, unshare and ip for a network of its own")
    if subprocess.run([unshare, "-n", ip, "link", "set", "lo", "up"], capture_output=True).returncode != 0:
        t.skip_all("no network namespace can be made here")
    os.execve(unshare, [unshare, "-n", "--", sys.executable, *sys.argv], {**os.environ, "TERN_OWN_NETWORK": "yes"})


class Client:
    """SMTP by hand. say() gives (code, whole text of the reply)."""

    def __init__(self, port, host="127.0.0.1", helo="client.example", source=None, timeout=60):
        self.socket = socket.create_connection((host, port), timeout=timeout, source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()
        if helo:
            self.say(f"EHLO {helo}")

    def reply(self):
        text = b""
        while True:
            line = self.file.readline()
            text += line
            if line[3:4] != b"-":
                return line[:3].decode(errors="replace"), text.decode(errors="replace")

    def send(self, data):
        self.socket.sendall(data)

    def say(self, command):
        self.send((command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        return self.reply()

    def mail(self, sender, recipients, content, options="", recipient_options="", chunked=False):
        """A whole transaction, pipelined; content has CR LF line ends. Replies: MAIL, each RCPT, [DATA], content."""
        lines = [f"MAIL FROM:<{sender}>{options and ' ' + options}"]
        lines += [f"RCPT TO:<{x}>{recipient_options and ' ' + recipient_options}" for x in recipients]
        if chunked:
            self.send("".join(x + "\r\n" for x in lines).encode() + b"BDAT %d LAST\r\n" % len(content) + content)
            return [self.reply() for _ in range(len(lines) + 1)]
        self.send("".join(x + "\r\n" for x in [*lines, "DATA"]).encode())
        replies = [self.reply() for _ in range(len(lines) + 1)]
        if replies[-1][0] == "354":
            stuffed = content.replace(b"\r\n.", b"\r\n..")
            if stuffed.startswith(b"."):
                stuffed = b"." + stuffed
            if stuffed and not stuffed.endswith(b"\r\n"):
                stuffed += b"\r\n"
            self.send(stuffed + b".\r\n")
            replies.append(self.reply())
        return replies

    def quit(self):
        try:
            self.say("QUIT")
        except OSError:
            pass
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()


DROP = object()


class Server:
    """An SMTP server. script: what to answer at GREETING, EHLO, MAIL, RCPT, DATA, DOT; DROP closes.

    transactions: a dict each with sender, recipients (whole arguments), content as on the wire."""

    def __init__(self, address, port=25, script=None, extensions=("PIPELINING", "8BITMIME"), name="fake.test"):
        self.script, self.extensions, self.name = script or {}, list(extensions), name
        self.address = address
        self.connections = 0
        self.transactions = []
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(200)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def recipients(self):
        with self.lock:
            return [re.search(r"<(.*?)>", x)[1] for one in self.transactions for x in one["recipients"]]

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as file:
                connection.settimeout(60)
                self.dialogue(connection, file)
        except OSError:
            pass

    def answer(self, connection, key, default):
        text = self.script.get(key, default)
        if text is DROP:
            raise ConnectionError
        connection.sendall(text.encode() + b"\r\n")
        return text[0] in "23"

    def dialogue(self, connection, file):
        current = None
        self.answer(connection, "GREETING", f"220 {self.name} ESMTP")
        while line := file.readline():
            line = line.decode("utf-8", "replace").rstrip("\r\n")
            verb = line.split(" ")[0].upper()
            if verb in ("EHLO", "HELO"):
                words = [self.name, *self.extensions]
                text = "\r\n".join(f"250{'-' if x is not words[-1] else ' '}{x}" for x in words)
                self.answer(connection, "EHLO", text)
            elif verb == "MAIL":
                current = {"sender": line[10:], "recipients": [], "content": b""}
                self.answer(connection, "MAIL", "250 2.1.0 Ok")
            elif verb == "RCPT":
                if self.answer(connection, "RCPT", "250 2.1.5 Ok"):
                    current["recipients"].append(line[8:])
            elif verb == "DATA":
                if not self.answer(connection, "DATA", "354 go on" if current["recipients"] else "554 5.5.1 no recipients"):
                    continue
                while (body := file.readline()) not in (b".\r\n", b""):
                    current["content"] += body[1:] if body.startswith(b".") else body
                if self.answer(connection, "DOT", "250 2.0.0 Ok: queued"):
                    with self.lock:
                        self.transactions.append(current)
            elif verb == "QUIT":
                self.answer(connection, "QUIT", "221 2.0.0 Bye")
                return
            else:
                self.answer(connection, verb, "250 2.0.0 Ok")


class NameServer:
    """nsd with the given zones {name: text, or None for a zone that cannot be loaded}."""

    def __init__(self, folder, zones):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.port = free_port()
        text = f"""server:
    server-count: 1
    ip-address: 127.0.0.1
    port: {self.port}
    do-ip6: no
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    logfile: "{folder}/log"
    pidfile: "{folder}/pid"
    xfrdfile: "{folder}/xfrd"
    zonelistfile: "{folder}/zones"
    cookie-secret-file: "{folder}/cookie"
    xfrdir: "{folder}"
    rrl-ratelimit: 0
remote-control:
    control-enable: no
"""
        for name, zone in zones.items():
            if zone is not None:
                (self.folder / name).write_text(zone)
            text += f"zone:\n    name: {name}\n    zonefile: {name}\n"
        (self.folder / "nsd.conf").write_text(text)
        self.process = subprocess.Popen([find_program("nsd"), "-d", "-c", str(self.folder / "nsd.conf")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not t.wait_for(lambda: t.accepts(self.port), 10):
            raise RuntimeError("nsd does not run: " + (self.folder / "log").read_text(errors="replace"))

    def close(self):
        """Once or more."""
        self.process.terminate()
        self.process.wait(10)


def free_port():
    """A port that is free on loopback for UDP and TCP."""
    for _ in range(100):
        with socket.socket() as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", 0))
            try:
                datagram.bind(("127.0.0.1", stream.getsockname()[1]))
                return stream.getsockname()[1]
            except OSError:
                continue
    raise RuntimeError("no free port")


SICK = re.compile(r"panic:|fatal:|ERROR: \w+Sanitizer|runtime error:|exited with status|killed by signal")


def check_health(tern, name="no daemon died or complained of itself"):
    bad = [line for line in tern.log().splitlines() if SICK.search(line)]
    t.ok(not bad, name, "\n".join(bad[:20]))


def header_fields(content):
    """[(name, whole value with its folds)] of a message with LF line ends."""
    head = content.split(b"\n\n", 1)[0]
    unfolded = re.split(rb"\n(?![ \t])", head)
    return [tuple(x.split(b":", 1)) for x in unfolded if b":" in x]


def queue_is_empty(tern):
    return not any(True for folder in ("new", "cur", "tmp") for _ in (tern.spool / "queue" / folder).iterdir())
