"""A small IMAP client for tests: it sends what it is told byte for byte, and gives answers back as they came."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import zlib

import tern_test as t

LITERAL = re.compile(rb"\{(\d+)\}$")


class Client:
    """A connection. command() gives (result, untagged answers); an answer is bytes with its literals in their places."""

    def __init__(self, port, greeted=True, connection=None):
        self.socket = connection or socket.create_connection(("127.0.0.1", port), timeout=30)
        self.input = b""
        self.inflate = self.deflate = None
        self.count = 0
        self.greeting = self.answer() if greeted else b""

    def fill(self):
        got = self.socket.recv(65536)
        if not got:
            raise EOFError
        self.input += self.inflate.decompress(got) if self.inflate else got

    def line(self):
        while b"\r\n" not in self.input:
            self.fill()
        line, self.input = self.input.split(b"\r\n", 1)
        return line

    def octets(self, count):
        while len(self.input) < count:
            self.fill()
        octets, self.input = self.input[:count], self.input[count:]
        return octets

    def answer(self):
        """One answer whole."""
        text = self.line()
        while match := LITERAL.search(text):
            text += b"\r\n" + self.octets(int(match[1])) + self.line()
        return text

    def send(self, data):
        self.socket.sendall(self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH) if self.deflate else data)

    def wait(self, tag):
        """Answers up to the tagged one: (it without its tag, the others)."""
        untagged = []
        while True:
            answer = self.answer()
            if answer.startswith(tag + b" "):
                return answer[len(tag) + 1:], untagged
            untagged.append(answer)

    def command(self, text):
        """text: str or bytes; non-synchronizing literals may stand in it."""
        self.count += 1
        tag = b"t%d" % self.count
        self.send(tag + b" " + (text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.wait(tag)

    def compress(self):
        result, _ = self.command("COMPRESS DEFLATE")
        self.deflate = zlib.compressobj(wbits=-15)
        self.inflate = zlib.decompressobj(wbits=-15)
        return result

    def at_end(self):
        """What is said until the server hangs up; None: it does not."""
        try:
            while True:
                self.fill()
        except (EOFError, ConnectionResetError):
            return self.input
        except TimeoutError:
            return None

    def close(self):
        self.socket.close()


class Stand:
    """imap_stand on a Maildir of its own, or one that is there; cache_octets: what the cache may take; threads: that
    read ahead."""

    def __init__(self, quota=None, mail=None, cache=None, cache_octets=None, threads=0):
        program = t.BUILD / "t" / "e2e" / "imap_stand"
        if not os.access(program, os.X_OK):
            t.skip_all("not built: imap_stand")
        self.top = tempfile.mkdtemp(prefix="tern-imap-")
        self.mail = mail or os.path.join(self.top, "Maildir")
        self.cache = cache or os.path.join(self.top, "cache")
        self.errors = open(os.path.join(self.top, "errors"), "w+b")
        words = [str(program), self.mail, self.cache, str(quota or 0), str(cache_octets or 0), str(threads)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self.errors)
        self.port = int(self.process.stdout.readline())

    def client(self):
        return Client(self.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace")
        t.ok("Sanitizer" not in said and "runtime error" not in said, "no session had a fault", said[-4000:])
        self.errors.close()
        shutil.rmtree(self.top, ignore_errors=True)
