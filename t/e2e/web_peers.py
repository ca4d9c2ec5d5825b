"""The web and DNS for end-to-end tests: an HTTPS server, and a name server whose answers can be changed.

Used beside tern_test by test_mta_sts, test_tlsrpt, test_requiretls."""

import http.server
import socket
import ssl
import struct
import threading


class WebServer:
    """HTTPS on loopback. answer(method, host, path, headers, body) gives (status, {header: value}, body) or None to
    hang up; certificates: {host name: tls_peers.Certificate} by SNI, the first is also the default."""

    def __init__(self, certificates, answer, plain=False):
        self.answer = answer
        self.requests = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                host = self.headers.get("Host", "").split(":")[0]
                owner.requests.append((self.command, host, self.path, dict(self.headers), body))
                given = owner.answer(self.command, host, self.path, self.headers, body)
                self.close_connection = True
                if given is None:
                    return
                status, headers, content = given
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                try:
                    self.wfile.write(content)
                except OSError:
                    pass

            do_GET = do_POST = _serve

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

            def finish_request(self, request, address):
                if not plain:
                    request.settimeout(20)
                    request = owner.context.wrap_socket(request, server_side=True)
                super().finish_request(request, address)

        if not plain:
            self.contexts = {}
            for name, certificate in certificates.items():
                self.contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self.contexts[name].load_cert_chain(certificate.chain, certificate.key)
            self.context = next(iter(self.contexts.values()))
            self.context.sni_callback = self._choose
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _choose(self, connection, name, _):
        if name in self.contexts:
            connection.context = self.contexts[name]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class NameServer:
    """Answers from a table {(name, type): [data]} that may be changed at any time; what is not there does not exist.
    "SERVFAIL" in place of a list is what it says. TLSA data are texts, "3 1 1 00ff". The answers for the names in
    .authentic bear the AD bit."""

    TYPES = {1: "A", 5: "CNAME", 15: "MX", 16: "TXT", 28: "AAAA", 52: "TLSA"}

    def __init__(self, table, ttl=0):
        self.table, self.ttl = table, ttl
        self.authentic = set()
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.setting = f"dns_servers=[127.0.0.1]:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self.socket.close()

    @staticmethod
    def _name(text):
        return b"".join(bytes([len(x)]) + x.encode() for x in text.split(".") if x) + b"\0"

    def _raw(self, kind, data):
        if kind == "A":
            return socket.inet_aton(data)
        if kind == "AAAA":
            return socket.inet_pton(socket.AF_INET6, data)
        if kind == "TXT":
            pieces = [data.encode()[i:i + 255] for i in range(0, len(data), 255)]
            return b"".join(bytes([len(x)]) + x for x in pieces)
        if kind == "MX":
            return struct.pack("!H", data[0]) + self._name(data[1])
        if kind == "TLSA":
            numbers, digest = data.split()[:3], data.split()[3]
            return bytes(map(int, numbers)) + bytes.fromhex(digest)
        return self._name(data)

    def _serve(self):
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
            self.asked.append((name, kind))
            found = self.table.get((name, kind), [])
            code = 0 if any(n == name or n.endswith("." + name) for n, _ in list(self.table)) else 3
            if found == "SERVFAIL":
                found, code = [], 2
            answers = b""
            for data in found:
                raw = self._raw(kind, data)
                answers += b"\xc0\x0c" + query[at + 1:at + 5] + struct.pack("!IH", self.ttl, len(raw)) + raw
            flags = 0x8180 | code | (0x20 if name in self.authentic else 0)
            self.socket.sendto(query[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + question + answers, peer)
