"""What tests of the SMTP and LMTP client share: servers that do as scripted, a name server, and smtp_probe, which runs the
client's code. Threads, on loopback."""

import atexit
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import tern_test as t

PROBE = t.BUILD / "t" / "e2e" / "smtp_probe"
if not PROBE.exists():
    t.skip_all("t/e2e/smtp_probe is not built")

TOP = pathlib.Path(tempfile.mkdtemp(prefix="tern-smtp-"))
atexit.register(shutil.rmtree, TOP, ignore_errors=True)
RELAYED, RELAYED_DSN, DEFERRED, FAILED = 1, 2, 4, 5
DROP, HANG, RESET = object(), object(), object()
ALL = ["PIPELINING", "SIZE 10240000", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8", "CHUNKING", "BINARYMIME"]


class Server:
    """A server whose replies are looked up in a script: verb (or GREETING, DOT,
    "RCPT <address>") to a reply, a list of replies used up in turn, DROP, HANG or RESET."""

    def __init__(self, script=None, extensions=("PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SIZE 10240000"),
                 lmtp=False, stutter=False, address="127.0.0.1", port=0, read_body=True):
        self.script = dict(script or {})
        self.extensions, self.lmtp, self.stutter, self.read_body = list(extensions), lmtp, stutter, read_body
        self.connections = []   # a list of command lines each
        self.messages = []      # raw bytes, as on the wire
        self.batches = []       # what came in one recv
        self.stop = threading.Event()
        family = socket.AF_UNIX if "/" in address else socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address if "/" in address else (address, port))
        self.listener.listen(50)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.listener.close()

    @property
    def commands(self):
        return [line for connection in self.connections for line in connection]

    def accept(self):
        while not self.stop.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def answer(self, connection, key, default):
        reply = self.script.get(key, default)
        if isinstance(reply, list):
            reply = reply.pop(0) if reply else default
        if reply is HANG:
            self.stop.wait(30)
            raise ConnectionError
        if reply is RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionError
        if reply is DROP:
            raise ConnectionError
        if reply is None:
            return ""
        raw = reply if isinstance(reply, bytes) else reply.replace("\n", "\r\n").encode() + b"\r\n"
        if self.stutter:
            for i in range(len(raw)):
                connection.sendall(raw[i:i + 1])
                time.sleep(0.0005)
        else:
            connection.sendall(raw)
        return raw.decode(errors="replace")

    def serve(self, connection):
        if self.listener.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        log = []
        self.connections.append(log)
        self.left = b""
        buffer = b""

        def more():
            nonlocal buffer
            got = connection.recv(65536)
            if not got:
                raise ConnectionError
            self.batches.append(got)
            buffer += got

        try:
            self.answer(connection, "GREETING", "220 fake.test ESMTP")
            accepted = 0
            while True:
                while b"\n" not in buffer:
                    more()
                line, buffer = buffer.split(b"\n", 1)
                if not line.endswith(b"\r"):
                    log.append("BARE LF")
                line = line.rstrip(b"\r").decode("utf-8", "replace")
                log.append(line)
                verb = line.split()[0].upper() if line.split() else ""
                if verb in ("EHLO", "LHLO"):
                    text = "\n".join("250-" + x for x in ["fake.test"] + self.extensions[:-1])
                    text += "\n250 " + (self.extensions[-1] if self.extensions else "fake.test")
                    if not self.extensions:
                        text = "250 fake.test"
                    self.answer(connection, verb, text)
                elif verb == "MAIL":
                    accepted = 0
                    self.answer(connection, "MAIL", "250 2.1.0 Ok")
                elif verb == "RCPT":
                    address = line.split("<", 1)[1].split(">")[0]
                    key = "RCPT " + address if "RCPT " + address in self.script else "RCPT"
                    accepted += self.answer(connection, key, "250 2.1.5 Ok").startswith("2")
                elif verb == "DATA":
                    ready = self.answer(connection, "DATA", "354 End data" if accepted else "503 5.5.1 no valid recipients")
                    if not ready.startswith("3"):
                        continue
                    self.answer(connection, "BODY", None)
                    if not self.read_body:
                        self.stop.wait(30)
                    while not (buffer.startswith(b".\r\n") or b"\r\n.\r\n" in buffer):
                        more()
                    if buffer.startswith(b".\r\n"):
                        body, buffer = b"", buffer[3:]
                    else:
                        body, buffer = buffer.split(b"\r\n.\r\n", 1)
                        body += b"\r\n"
                    self.messages.append(body)
                    self.done(connection, accepted)
                elif verb == "BDAT":
                    size = int(line.split()[1])
                    while len(buffer) < size:
                        more()
                    self.messages.append(buffer[:size])
                    buffer = buffer[size:]
                    self.done(connection, accepted)
                elif verb == "QUIT":
                    self.answer(connection, "QUIT", "221 2.0.0 Bye")
                    return
                else:
                    self.answer(connection, verb, "250 2.0.0 Ok")
        except OSError:
            pass
        finally:
            connection.close()

    def done(self, connection, accepted):
        for number in range(accepted if self.lmtp else 1):
            self.answer(connection, "DOT", f"250 2.0.0 Ok: queued as {len(self.messages)}-{number}")


class NameServer:
    """Answers A, AAAA and MX from a table {(name, type): [data]}; what is not there does not exist."""

    TYPES = {1: "A", 15: "MX", 28: "AAAA"}

    def __init__(self, table):
        self.table = table
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def name(self, text):
        return b"".join(bytes([len(x)]) + x.encode() for x in text.split(".") if x) + b"\0"

    def serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            at, labels = 12, []
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
                at += 1 + query[at]
            question = query[12:at + 5]
            name, kind = ".".join(labels), self.TYPES.get(struct.unpack("!H", query[at + 1:at + 3])[0], "?")
            found = self.table.get((name, kind), [])
            code = 0 if any(n == name for n, _ in self.table) else 3
            if found == "SERVFAIL":
                found, code = [], 2
            answers = b""
            for data in found:
                if kind == "A":
                    raw = socket.inet_aton(data)
                elif kind == "AAAA":
                    raw = socket.inet_pton(socket.AF_INET6, data)
                else:
                    raw = struct.pack("!H", data[0]) + self.name(data[1])
                answers += b"\xc0\x0c" + query[at + 1:at + 5] + struct.pack("!IH", 300, len(raw)) + raw
            self.socket.sendto(query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0) + question + answers, peer)


class Probe:
    def __init__(self, *settings, lmtp=False, dns=None, socket=None):
        words = [str(PROBE)]
        if socket:
            words += ["-s", str(socket)]
        if lmtp:
            words.append("-l")
        if dns:
            words += ["-d", f"127.0.0.1:{dns.port}"]
        for setting in ("inet_interfaces=192.0.2.254", "inet_protocols=ipv4", *settings):
            words += ["-o", setting]
        self.log_file = open(TOP / f"log-{time.monotonic_ns()}", "w+")
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log_file, text=True)
        self.number = 0
        self.answers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = "hangs"
        if self.status != 0:
            print(f"# probe: {self.status}: {self.log()}", flush=True)
            t.ok(False, "the client's process ends well")

    def log(self):
        self.log_file.flush()
        return pathlib.Path(self.log_file.name).read_text()

    def start(self, nexthop, recipients, content=b"Subject: x\n\nhello\n", sender="s@sender.test", **fields):
        self.number += 1
        path = TOP / f"message-{id(self)}-{self.number}"
        path.write_bytes(content)
        words = [f"id={self.number}", f"file={path}", f"nexthop={nexthop}"]
        if sender:
            words.append(f"sender={sender}")
        words += [f"rcpt={x}" for x in recipients] + [f"{name}={value}" for name, value in fields.items()]
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()
        return str(self.number)

    def wait(self, number):
        """(outcomes, dead host); an outcome is a dict."""
        while number not in self.answers or "end" not in self.answers[number]:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the probe ended: " + self.log())
            words = line.rstrip("\n").split("\t")
            answer = self.answers.setdefault(words[0], {"outcomes": []})
            if words[1] == "end":
                answer["end"] = words[2]
            else:
                keys = ("index", "action", "status", "relay", "remote", "use", "text", "diagnostic")
                outcome = dict(zip(keys, words[2:]))
                outcome["action"] = int(outcome["action"])
                answer["outcomes"].append(outcome)
        return self.answers[number]["outcomes"], self.answers[number]["end"]

    def deliver(self, *arguments, **fields):
        return self.wait(self.start(*arguments, **fields))


def check(name, outcome, action, status, text):
    good = outcome["action"] == action and outcome["status"] == status and re.search(text, outcome["text"]) is not None
    t.ok(good, name, f"{outcome}\nwanted {action} {status} {text}")


def hop(server):
    return f"[127.0.0.1]:{server.port}"
