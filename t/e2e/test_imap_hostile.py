#!/usr/bin/env python3
"""Hostile IMAP clients and mail: floods before the login, slow ones, what is nested, huge or wrong, a bomb in COMPRESS;
and one who works meanwhile and must not notice.

TERN_IMAP_FLOOD: connections that do not log in (2000)."""

import os
import resource
import socket
import statistics
import threading
import time
import zlib

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
FLOOD = int(os.environ.get("TERN_IMAP_FLOOD", "2000"))
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if hard != resource.RLIM_INFINITY and hard < FLOOD + 500:
    t.skip_all(f"{FLOOD + 500} descriptors are not allowed here")
resource.setrlimit(resource.RLIMIT_NOFILE, (FLOOD + 500, hard))
SMALL = b"From: ann@example.test\r\nSubject: small\r\n\r\nx\r\n"


def log_in(tern):
    client = Client(tern.port_base + 143)
    result, _ = client.command("LOGIN ada@example.test secret")
    if not result.startswith(b"OK"):
        raise EOFError(result)
    return client


def append(client, text):
    return client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(text), text))[0]


def resident(tern):
    """KiB of the front and of all sessions."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") in (str(tern.libexec / "imapd"), str(tern.libexec / "mailbox")):
                with open(f"/proc/{pid}/status") as file:
                    total += next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        except (OSError, StopIteration):
            pass
    return total


class Worker(threading.Thread):
    """A logged-in user who works on; how long each command took."""

    def __init__(self, tern):
        super().__init__(daemon=True)
        self.client, self.over, self.times, self.trouble = log_in(tern), threading.Event(), [], []
        self.client.command("SELECT INBOX")

    def run(self):
        number = 0
        try:
            while not self.over.wait(0.02):
                number += 1
                begun = time.monotonic()
                result, _ = self.client.command((f"STORE 1 {'+-'[number % 2]}FLAGS (work)", "NOOP", "FETCH 1 BODY.PEEK[]")[number % 3])
                self.times.append(time.monotonic() - begun)
                if not result.startswith(b"OK"):
                    self.trouble.append(result)
        except (OSError, EOFError) as problem:
            self.trouble.append(repr(problem))

    def end(self, what, worst):
        self.over.set()
        self.join(60)
        self.client.close()
        t.ok(not self.trouble and self.times and max(self.times) < worst, f"{what}: who is logged in works on",
             (self.trouble, len(self.times), max(self.times, default=None)))
        if self.times:
            print(f"# {what}: {len(self.times)} commands, median {statistics.median(self.times) * 1000:.1f} ms, longest {max(self.times) * 1000:.0f} ms", flush=True)


def flood(tern):
    worker, before = Worker(tern), resident(tern)
    worker.start()
    begun, held, refused = time.monotonic(), [], 0
    for number in range(FLOOD):
        try:
            one = socket.create_connection(("127.0.0.1", tern.port_base + 143), timeout=20)
            one.sendall((b"", b"a CAPABILITY\r\n", b"a LOGIN {10}\r\n", b"x" * 100)[number % 4])
            held.append(one)
        except OSError:
            refused += 1
    took = time.monotonic() - begun
    t.ok(t.wait_for(lambda: len(worker.times) > 20, 20), "flood: commands are answered beside it")
    print(f"# flood: {len(held)} connections in {took:.1f} s, {refused} refused; {(resident(tern) - before) / max(1, len(held)):.1f} KiB each", flush=True)
    begun = time.monotonic()
    try:
        log_in(tern).close()
        t.ok(time.monotonic() - begun < 10, "flood: another logs in meanwhile", time.monotonic() - begun)
    except (OSError, EOFError) as problem:
        t.ok(False, "flood: another logs in meanwhile", repr(problem))
    worker.end("flood", 5)
    for one in held:
        one.close()
    t.ok(t.wait_for(lambda: can_log_in(tern), 20), "flood: after it all is well")


def can_log_in(tern):
    try:
        log_in(tern).close()
        return True
    except (OSError, EOFError):
        return False


def slow(tern):
    """Some send a byte at a time, some never read."""
    worker = Worker(tern)
    worker.start()
    drip = [log_in(tern) for _ in range(4)]
    for letter in b"s1 FETCH 1:* BODY.PEEK[]":
        for client in drip:
            client.send(bytes([letter]))
        time.sleep(0.01)
    deaf = [log_in(tern) for _ in range(4)]
    for client in deaf:
        client.command("SELECT INBOX")
        client.send(b"".join(b"d%d FETCH 1:* BODY.PEEK[]\r\n" % number for number in range(200)))
    time.sleep(1)
    worker.end("slow", 5)
    for client in drip + deaf:
        client.close()


def nested():
    part = b"Content-Type: text/plain\r\n\r\nin the middle\r\n"
    for level in range(2000):
        part = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n%s\r\n--b%d--\r\n" % (level, level, part, level)
        if len(part) > 4000000:
            break
    return b"Subject: nested\r\nMIME-Version: 1.0\r\n" + part


def rfc822_nested():
    return b"".join(b"Subject: level %d\r\nContent-Type: message/rfc822\r\n\r\n" % level for level in range(5000)) + b"\r\nend\r\n"


def mail(tern):
    samples = {
        "nested multiparts": nested(), "nested messages": rfc822_nested(),
        "a huge header": b"Subject: " + b"x" * 3000000 + b"\r\n\r\ny\r\n",
        "many header fields": b"".join(b"X-%d: y\r\n" % number for number in range(200000)) + b"\r\ny\r\n",
        "many parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100000 + b"--b--\r\n",
        "many addresses": b"To: " + b", ".join(b"a%d@example.test" % number for number in range(100000)) + b"\r\n\r\ny\r\n",
        "deep References": b"References: " + b" ".join(b"<%d@example.test>" % number for number in range(100000)) + b"\r\n\r\ny\r\n",
        "comments in comments": b"From: " + b"(" * 100000 + b")" * 100000 + b" <a@b>\r\n\r\ny\r\n",
        "no text at all": b"\r\n", "8-bit garbage": bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") * 1000 + b"\r\n",
    }
    client, worker = log_in(tern), Worker(tern)
    worker.start()
    client.command("SELECT INBOX")
    for name, text in samples.items():
        begun = time.monotonic()
        result = append(client, text)
        client.command("NOOP")
        answers = [client.command(command)[0] for command in (
            "FETCH * (ENVELOPE BODYSTRUCTURE BODY PREVIEW RFC822.SIZE)", "FETCH * (BODY.PEEK[1.1.1.1.1.1] BODY.PEEK[HEADER.FIELDS (X-1)] BINARY.PEEK[1])",
            "SORT (SUBJECT FROM TO) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "SEARCH TEXT middle SUBJECT level")]
        took = time.monotonic() - begun
        good = (result.startswith(b"OK") and all(answer.startswith((b"OK", b"NO")) for answer in answers)) or result.startswith(b"NO")
        t.ok(good and took < 20, f"mail: {name} ({took:.2f} s)", (result, answers))
    client.close()
    worker.end("mail", 10)


def commands(tern):
    lines = [
        b"a SEARCH " + b"(" * 100000, b"a SEARCH " + b"NOT " * 10000 + b"ALL", b"a SEARCH " + b"OR ALL " * 9000 + b"ALL", b"a FETCH " + b"1," * 30000 + b"1 FLAGS",
        b"a FETCH 1 (" + b"FLAGS " * 5000 + b"FLAGS)", b"a FETCH 4294967296 FLAGS", b"a FETCH 0 FLAGS", b"a FETCH 1 BODY[1.2.3.4.5.6.7.8.9" + b".1" * 20000 + b"]",
        b"a SELECT \xff\xfe", b"a CREATE \"&AAA-\"", b"a CREATE &!!!-", b"a CREATE \"&2AA-\"", b"a CREATE ../../../etc/passwd", b"a CREATE \"..\"", b"a CREATE a/../../b",
        b"a CREATE " + b"x/" * 200 + b"x", b"a CREATE " + b"y" * 5000, b"a SELECT {5+}\r\n\xc3\x28\x00\x01\x02", b"a LIST \"\" " + b"*%" * 5000, b"a LIST \"\" \"" + b"%" * 1000 + b"x\"",
        b"a STORE 1 +FLAGS (" + b" ".join(b"k%d" % number for number in range(900)) + b")", b"a STORE 1 +FLAGS (" + b"z" * 5000 + b")", b"a APPEND INBOX {0}", b"a APPEND INBOX {99999999999999999999}",
        b"a APPEND INBOX {18446744073709551615+}", b"a APPEND INBOX {-1}", b"a LOGIN {4294967295+}", b"a ID (" + b"\"a\" \"b\" " * 5000 + b")", b"a ENABLE " + b"X " * 20000, b"a UID", b"a",
        b"", b"* OK", b"a SORT (" + b"SUBJECT " * 3000 + b") UTF-8 ALL", b"a THREAD NONE UTF-8 ALL", b"a SEARCH CHARSET NONE ALL", b"a SEARCH BODY {3000000+}", b"x" * 200000,
    ]
    hung = []
    for line in lines:
        client = log_in(tern)
        client.socket.settimeout(20)
        client.command("SELECT INBOX")
        begun = time.monotonic()
        try:
            client.send(line + b"\r\n")
            client.socket.shutdown(socket.SHUT_WR)
            if client.at_end() is None:
                hung.append(line[:40])
        except OSError:
            pass
        if time.monotonic() - begun > 10:
            hung.append((line[:40], time.monotonic() - begun))
        client.close()
    t.is_(hung, [], f"commands: {len(lines)} wrong or huge ones are answered or end the connection")
    outside = [str(path) for path in tern.top.rglob("passwd*") if path.is_dir()]
    t.is_(outside, [], "commands: no mailbox is made elsewhere")


def bomb(tern):
    """64 MiB of one command in 64 KiB of DEFLATE, and answers that a client does not take."""
    client, worker = log_in(tern), Worker(tern)
    worker.start()
    before = resident(tern)
    client.compress()
    maker = zlib.compressobj(9, wbits=-15)
    bytes_out = b"".join(maker.compress(b"a NOOP " + b"x" * (1 << 20)) for _ in range(64)) + maker.flush()
    begun, most = time.monotonic(), 0
    try:
        client.socket.sendall(bytes_out)
        client.socket.settimeout(20)
        while client.socket.recv(65536):
            most = max(most, resident(tern) - before)
    except OSError:
        pass
    took = time.monotonic() - begun
    t.ok(took < 15 and most < 100000, f"bomb: {len(bytes_out)} octets that become 64 MiB end the session ({took:.2f} s, {most} KiB)")
    client.close()
    worker.end("bomb", 5)


def main():
    with t.Instance(settings=["auth_failure_delay=0", "auth_ban_exceptions=127.0.0.0/8", "mail_max_userip_connections=0"]) as tern:
        tern.add_user("ada")
        (tern.etc / "users.passwd").write_text("ada@example.test:{PLAIN}secret\n")
        tern.start()
        client = log_in(tern)
        for _ in range(20):
            append(client, SMALL + b"y" * 20000 + b"\r\n")
        client.close()
        flood(tern)
        slow(tern)
        commands(tern)
        bomb(tern)
        mail(tern)
        said = [line for line in tern.log().splitlines() if "panic:" in line or "fatal:" in line or "Sanitizer" in line or "killed by signal" in line]
        t.is_(said[:5], [], "no process had a fault")
        tern.stop()


main()
t.done()
