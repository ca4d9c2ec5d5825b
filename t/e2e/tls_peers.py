"""The other ends of TLS: authorities that issue certificates, servers that speak TLS as scripted, the SMTP client behind
smtp_probe, and a signed DNS world of one's own.

Used beside tern_test by test_tls_out, test_dane and others. Certificates are made by the openssl command; only loopback."""

import base64
import hashlib
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import mail_peers as peers
import tern_test as t

PROBE = t.BUILD / "t" / "e2e" / "smtp_probe"


def openssl(*words, input=None):
    done = subprocess.run(["openssl", *map(str, words)], input=input, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {words}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class Certificate:
    """A chain file and a key file, and what TLSA records and policies say of them."""

    def __init__(self, chain, key, pem):
        self.chain, self.key, self.pem = chain, key, pem
        self.der = openssl("x509", "-outform", "DER", input=pem)
        public = openssl("x509", "-noout", "-pubkey", input=pem)
        self.public = openssl("pkey", "-pubin", "-outform", "DER", input=public)

    def tlsa(self, usage=3, selector=1, matching=1):
        """The data of a TLSA record that fits this certificate."""
        data = self.public if selector else self.der
        if matching:
            data = (hashlib.sha256 if matching == 1 else hashlib.sha512)(data).digest()
        return f"{usage} {selector} {matching} {data.hex()}"

    def fingerprint(self, public=False, digest="sha256"):
        value = hashlib.new(digest, self.public if public else self.der).hexdigest()
        return ":".join(value[i:i + 2] for i in range(0, len(value), 2)).upper()


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder, name="authority"):
        self.folder, self.name, self.number = pathlib.Path(folder), name, 0
        self.folder.mkdir(exist_ok=True)
        self.file = self.folder / f"{name}.pem"
        self.key = self.folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out",
                self.file, "-days", "30", "-subj", f"/CN={name}")
        self.certificate = Certificate(self.file, self.key, self.file.read_bytes())

    def issue(self, *names, dates=None, own=False, with_authority=False):
        """dates: ("20200101000000Z", "20200201000000Z"); own: signed by itself; with_authority: its certificate goes
        with the chain, as DANE-TA needs it."""
        self.number += 1
        base = self.folder / f"{self.name}-{self.number}"
        chain, key, request, extensions = [base.with_suffix(x) for x in (".chain", ".key", ".csr", ".ext")]
        alternatives = ",".join(("IP:" if x.replace(".", "").isdigit() else "DNS:") + x for x in names)
        extensions.write_text(f"subjectAltName={alternatives}\nbasicConstraints=CA:false\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
                "-subj", f"/CN={names[0]}")
        if dates:
            pem = self._dated(request, extensions, dates)
        elif own:
            pem = openssl("x509", "-req", "-in", request, "-signkey", key, "-days", "30", "-extfile", extensions)
        else:
            pem = openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-set_serial",
                          str(self.number + 1), "-days", "30", "-extfile", extensions)
        chain.write_bytes(pem + (self.file.read_bytes() if with_authority else b""))
        return Certificate(chain, key, pem)

    def _dated(self, request, extensions, dates):
        folder = self.folder / f"ca-{self.number}"
        (folder / "new").mkdir(parents=True)
        (folder / "index").write_text("")
        (folder / "conf").write_text(f"[ca]\ndefault_ca=x\n[x]\ndatabase={folder}/index\nnew_certs_dir={folder}/new\n"
                                     "default_md=sha256\npolicy=p\nrand_serial=yes\n[p]\ncommonName=supplied\n")
        return openssl("ca", "-batch", "-notext", "-config", folder / "conf", "-cert", self.file, "-keyfile", self.key, "-in",
                       request, "-startdate", dates[0], "-enddate", dates[1], "-extfile", extensions)


class TlsServer:
    """An SMTP (or LMTP) server with STARTTLS, or with wrapper=True TLS from the start.

    starttls: the reply to STARTTLS, or None if it is not offered. injected: bytes that follow that reply in plain text.
    handshake: "" or "stall", "close", "garbage" instead of one. before, after: the extensions before and in TLS. early: bytes
    sent in TLS behind the answer to EHLO. cut: closes the socket without a word of TLS at this verb.
    connections: a dict each with plain and tls (command lines), sni, version, reused. messages: contents."""

    def __init__(self, certificate=None, *, address="127.0.0.1", port=0, wrapper=False, starttls="220 2.0.0 go ahead",
                 injected=b"", handshake="", before=("PIPELINING",), after=("PIPELINING",), early=b"", cut=None, script=None,
                 context=None, name="fake.test", versions=None, lmtp=False):
        self.wrapper, self.starttls, self.injected, self.handshake = wrapper, starttls, injected, handshake
        self.before, self.after, self.early, self.cut, self.script, self.name = before, after, early, cut, script or {}, name
        self.lmtp = lmtp
        self.connections, self.messages = [], []
        self.current = threading.local()
        self.stop = threading.Event()
        self.context = context
        if certificate and not context:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate.chain, certificate.key)
        if self.context:
            self.context.sni_callback = lambda connection, name, _: setattr(self.current, "sni", name)
            if versions:
                self.context.minimum_version, self.context.maximum_version = versions
        self.listener = socket.socket(socket.AF_UNIX if "/" in address else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address if "/" in address else (address, port))
        self.listener.listen(50)
        self.port = 0 if "/" in address else self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stop.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    @property
    def encrypted(self):
        """How many messages came by TLS."""
        return sum(x["messages"] for x in self.connections if x["version"])

    def _accept(self):
        while not self.stop.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        record = {"plain": [], "tls": [], "sni": None, "version": None, "reused": None, "messages": 0}
        self.connections.append(record)
        try:
            connection.settimeout(30)
            self._serve(connection, record)
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            connection.close()

    def _tls(self, connection, record):
        if self.handshake == "stall":
            self.stop.wait(30)
            raise ConnectionError
        if self.handshake == "close":
            raise ConnectionError
        if self.handshake == "garbage":
            connection.recv(4096)
            connection.sendall(b"500 5.5.1 what?\r\n" * 20)
            raise ConnectionError
        self.current.sni = None
        secured = self.context.wrap_socket(connection, server_side=True)
        record.update(sni=self.current.sni, version=secured.version(), reused=secured.session_reused)
        return secured

    def _say(self, connection, key, default):
        text = self.script.get(key, default)
        if isinstance(text, list):
            text = text.pop(0) if text else default
        if text == "drop":
            raise ConnectionError
        connection.sendall(text.replace("\n", "\r\n").encode() + b"\r\n")
        return text[0] in "23"

    def _line(self, connection, buffer):
        while b"\n" not in buffer:
            got = connection.recv(65536)
            if not got:
                raise ConnectionError
            buffer += got
        line, rest = bytes(buffer).split(b"\n", 1)
        buffer[:] = rest
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def _hello(self, connection, verb, encrypted):
        words = [self.name, *(self.after if encrypted else self.before)]
        if self.starttls and not encrypted:
            words.append("STARTTLS")
        self._say(connection, verb, "\n".join(f"250{'-' if i + 1 < len(words) else ' '}{x}" for i, x in enumerate(words)))
        if encrypted and self.early:
            connection.sendall(self.early)

    def _serve(self, connection, record):
        encrypted, buffer, accepted = self.wrapper, bytearray(), 0
        if self.wrapper:
            connection = self._tls(connection, record)
        self._say(connection, "GREETING", f"220 {self.name} ESMTP")
        while True:
            line = self._line(connection, buffer)
            record["tls" if encrypted else "plain"].append(line)
            verb = line.split(" ")[0].upper()
            if verb == self.cut:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
                raise ConnectionError
            if verb in ("EHLO", "LHLO"):
                self._hello(connection, verb, encrypted)
            elif verb == "STARTTLS" and self.starttls and not encrypted:
                connection.sendall(self.starttls.encode() + b"\r\n" + self.injected)
                if self.starttls.startswith("2"):
                    connection, encrypted = self._tls(connection, record), True
                    buffer.clear()
            elif verb == "MAIL":
                accepted = 0
                self._say(connection, "MAIL", "250 2.1.0 Ok")
            elif verb == "RCPT":
                accepted += self._say(connection, "RCPT", "250 2.1.5 Ok")
            elif verb == "DATA" and self._say(connection, "DATA", "354 go on" if accepted else "554 5.5.1 nobody"):
                content = []
                while (body := self._line(connection, buffer)) != ".":
                    content.append(body)
                for _ in range(accepted if self.lmtp else 1):
                    self._say(connection, "DOT", "250 2.0.0 Ok: queued")
                self.messages.append("\n".join(content))
                record["messages"] += 1
            elif verb == "QUIT":
                self._say(connection, "QUIT", "221 2.0.0 Bye")
                if encrypted:
                    connection.unwrap()
                return
            elif verb != "DATA":
                self._say(connection, verb, "250 2.0.0 Ok")


class Probe:
    """The client's code, driven by lines (smtp_probe). deliver() gives (outcome fields, ...) for each recipient."""

    def __init__(self, *settings, lmtp=False, dns=None):
        words = [str(PROBE)] + (["-l"] if lmtp else []) + (["-d", f"127.0.0.1:{dns}"] if dns else [])
        for setting in ("inet_interfaces=192.0.2.254", "inet_protocols=ipv4", *settings):
            words += ["-o", setting]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tern-probe-"))
        self.letter = self.folder / "letter"
        self.letter.write_bytes(b"Subject: hello\n\nA letter.\n")
        self.log_file = open(self.folder / f"log-{time.monotonic_ns()}", "w+")
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log_file, text=True)
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.process.stdin.close()
            status = self.process.wait(30)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            status = "hangs"
        if status != 0:
            t.ok(False, "the client's process ends well", f"{status}\n{self.log()}")
        self.log_file.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        self.log_file.flush()
        return pathlib.Path(self.log_file.name).read_text(errors="replace")

    def deliver(self, nexthop, recipients=("ada@fake.test",), seconds=40):
        """One message; [(action, status, relay, text)], or what the process said at its end."""
        self.number += 1
        fields = [f"id={self.number}", f"file={self.letter}", f"nexthop={nexthop}", "sender=sender@probe.example"]
        print("\t".join(fields + [f"rcpt={x}" for x in recipients]), file=self.process.stdin, flush=True)
        found = []
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        for line in self.process.stdout:
            parts = line.rstrip("\n").split("\t")
            if parts[1] == "end":
                break
            found.append({"action": int(parts[3]), "status": parts[4], "relay": parts[5], "use": int(parts[7]), "text": parts[8]})
        timer.cancel()
        return found

    def deliver_at_once(self, nexthops, seconds=60):
        """One message to each next hop, all at the same time; their outcomes in that order."""
        first = self.number + 1
        for nexthop in nexthops:
            self.number += 1
            fields = [f"id={self.number}", f"file={self.letter}", f"nexthop={nexthop}", "sender=sender@probe.example",
                      f"rcpt=u{self.number}@fake.test"]
            print("\t".join(fields), file=self.process.stdin)
        self.process.stdin.flush()
        found, ended = {}, 0
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        while ended < len(nexthops) and (line := self.process.stdout.readline()):
            parts = line.rstrip("\n").split("\t")
            ended += parts[1] == "end"
            if parts[1] == "outcome":
                found[int(parts[0]) - first] = {"action": int(parts[3]), "status": parts[4], "text": parts[8]}
        timer.cancel()
        return [found.get(i, {"action": -1, "status": "", "text": "no outcome"}) for i in range(len(nexthops))]

    def send(self, nexthop, **options):
        """One message to one recipient: its outcome."""
        found = self.deliver(nexthop, **options)
        return found[0] if found else {"action": -1, "status": "", "relay": "", "use": 0, "text": "no outcome: " + self.log()}


SENT, DEFERRED, BOUNCED = 1, 4, 5


class SignedWorld:
    """A validating unbound before an nsd with signed zones below test., with a trust anchor of its own.

    zones: {name below test.: text}; a name in unsigned has no DS; in expired its signatures are of last year; in
    bogus the addresses are altered after signing."""

    def __init__(self, folder, zones, unsigned=(), expired=(), bogus=(), port=None):
        self.folder = pathlib.Path(folder)
        self.port = port or peers.free_port()
        self.folder.mkdir()
        os.chmod(self.folder, 0o755)
        self.unsigned, self.expired, self.bogus = unsigned, expired, bogus
        head = f"$TTL 60\n@ SOA ns.test. hostmaster.test. {int(time.time())} 60 60 600 5\n@ NS ns.test.\n"
        delegations = "".join(f"{name} NS ns.test.\n" for name in zones)
        self.texts = {name + ".test": head + text for name, text in zones.items()}
        self.texts["test"] = head + "ns A 127.0.0.1\n" + delegations
        self.texts["root"] = head.replace("@ NS", "@ NS") + "test. NS ns.test.\nns.test. A 127.0.0.1\n"
        for name in [*self.texts]:
            if name not in ("test", "root"):
                self._sign(name)
        self._sign("test")
        self._sign("root")
        served = {"." if name == "root" else name: (self.folder / (name + ".signed")).read_text() for name in self.texts}
        self.authority = peers.NameServer(self.folder / "nsd", {})
        self.authority.close()
        self._serve(served)
        self._resolve()

    def _key(self, zone):
        made = subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "." if zone == "root" else zone], cwd=self.folder,
                              capture_output=True, text=True, check=True)
        return made.stdout.strip()

    def _sign(self, name):
        file = self.folder / name
        file.write_text(self.texts[name])
        signed = self.folder / (name + ".signed")
        short = name.removesuffix(".test")
        if short in self.unsigned:
            signed.write_text(self.texts[name])
            return
        key = self._key(name)
        dates = ["-i", "20240101", "-e", "20240201"] if short in self.expired else \
            ["-e", time.strftime("%Y%m%d", time.gmtime(time.time() + 30 * 86400))]
        subprocess.run(["ldns-signzone", *dates, "-o", "." if name == "root" else name, "-f", signed, file, key], cwd=self.folder,
                       check=True, capture_output=True)
        if short in self.bogus:
            lines = signed.read_text().splitlines()
            signed.write_text("\n".join(x.rsplit("\t", 1)[0] + "\t127.0.0.66" if "\tA\t" in x else x for x in lines) + "\n")
        record = (self.folder / (key + ".ds")).read_text()
        if name == "root":
            (self.folder / "anchor").write_text((self.folder / (key + ".key")).read_text())
        else:
            self.texts["root" if name == "test" else "test"] += record

    def _serve(self, zones):
        port = peers.free_port()
        text = (self.folder / "nsd" / "nsd.conf").read_text().replace(f"port: {self.authority.port}", f"port: {port}")
        for name, zone in zones.items():
            file = "root.zone" if name == "." else name
            (self.folder / "nsd" / file).write_text(zone)
            text += f'zone:\n    name: "{name}"\n    zonefile: {file}\n'
        (self.folder / "nsd" / "nsd.conf").write_text(text)
        self.nsd = subprocess.Popen([peers.find_program("nsd"), "-d", "-c", str(self.folder / "nsd" / "nsd.conf")],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.authority_port = port
        if not t.wait_for(lambda: t.accepts(port), 10):
            raise RuntimeError("nsd does not run: " + (self.folder / "nsd" / "log").read_text(errors="replace"))

    def _resolve(self):
        stubs = "".join(f'stub-zone:\n  name: "{name}"\n  stub-addr: 127.0.0.1@{self.authority_port}\n'
                        for name in [".", "test", *[x for x in self.texts if x not in ("root", "test")]])
        (self.folder / "unbound.conf").write_text(f"""server:
  interface: 127.0.0.1@{self.port}
  access-control: 127.0.0.0/8 allow
  do-ip6: no
  username: ""
  chroot: ""
  directory: "{self.folder}"
  pidfile: "{self.folder}/unbound.pid"
  logfile: "{self.folder}/unbound.log"
  use-syslog: no
  do-not-query-localhost: no
  trust-anchor-file: "{self.folder}/anchor"
  module-config: "validator iterator"
  val-log-level: 2
  qname-minimisation: no
  num-threads: 1
  local-zone: "test." nodefault
  private-domain: "test."
remote-control:
  control-enable: no
{stubs}""")
        self.unbound = subprocess.Popen([peers.find_program("unbound"), "-d", "-c", str(self.folder / "unbound.conf")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not t.wait_for(lambda: t.accepts(self.port), 10):
            raise RuntimeError("unbound does not run: " + (self.folder / "unbound.log").read_text(errors="replace"))

    def close(self):
        for process in (self.unbound, self.nsd):
            process.terminate()
            process.wait(10)


def need_signed_world():
    missing = [x for x in ("nsd", "unbound", "ldns-keygen", "ldns-signzone", "openssl") if not peers.find_program(x)]
    if missing:
        t.skip_all("not installed: " + ", ".join(missing))
