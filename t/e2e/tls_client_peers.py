"""Certificates for end-to-end tests, made with the openssl command, and an SMTP client that
speaks TLS by hand. Used by test_tls and others."""

import pathlib
import socket
import ssl
import subprocess

import mail_peers as peers
import tern_test as t

OPENSSL = peers.find_program("openssl")


def openssl(*words, input=None, check=True, timeout=60):
    return subprocess.run([OPENSSL, *map(str, words)], input=input, capture_output=True, text=True, check=check,
                          timeout=timeout)


class Authority:
    """A root below a directory, and what it signs: make() gives the path of a chain file
    (key, certificate, root), beside it NAME.crt and NAME.key."""

    def __init__(self, directory, name="Test Root"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.slug = name.lower().replace(" ", "-")
        self.certificate = self.directory / f"{self.slug}.pem"
        self.key = self.directory / f"{self.slug}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def make(self, name, common_name, names=(), kind="ec", days=20):
        request, key, certificate = (self.directory / f"{name}.{end}" for end in ("csr", "key", "crt"))
        parameters = ["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["-pkeyopt", "rsa_keygen_bits:2048"]
        openssl("req", "-new", "-newkey", kind, *parameters, "-nodes", "-subj", f"/CN={common_name}", "-keyout", key, "-out",
                request)
        extensions = self.directory / f"{name}.ext"
        extensions.write_text("basicConstraints=CA:FALSE\n" +
                              ("subjectAltName=" + ",".join(f"DNS:{x}" for x in names) + "\n" if names else ""))
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days",
                days, "-extfile", extensions, "-out", certificate)
        chain = self.directory / f"{name}.pem"
        chain.write_text(key.read_text() + certificate.read_text() + self.certificate.read_text())
        chain.chmod(0o600)
        return chain


def fingerprint(certificate, digest="sha256"):
    return openssl("x509", "-in", certificate, "-noout", "-fingerprint", f"-{digest}").stdout.strip().split("=", 1)[1]


def key_fingerprint(certificate):
    import hashlib
    public = openssl("x509", "-in", certificate, "-noout", "-pubkey").stdout
    der = ssl.PEM_cert_to_DER_cert(public.replace("PUBLIC KEY", "CERTIFICATE"))
    sums = hashlib.sha256(der).hexdigest().upper()
    return ":".join(sums[i:i + 2] for i in range(0, len(sums), 2))


def context(roots=None, chain=None, least=None, most=None, ciphers=None, alpn=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED if roots else ssl.CERT_NONE
    if roots:
        made.load_verify_locations(roots)
    if chain:
        made.load_cert_chain(chain)
    if least:
        made.minimum_version = least
    if most:
        made.maximum_version = most
    if ciphers:
        made.set_ciphers(ciphers)
    if alpn:
        made.set_alpn_protocols(alpn)
    return made


class Client(peers.Client):
    """peers.Client with start_tls(); wrapped: TLS from the first byte, with these arguments of wrap."""

    def __init__(self, port, wrapped=None, **options):
        self.wrapped = wrapped
        self.context = None
        super().__init__(port, **options)

    def reply(self):
        if self.wrapped is not None:
            options, self.wrapped = self.wrapped, None
            self.wrap(**options)
        return super().reply()

    def wrap(self, context, name=None, session=None):
        self.file.close()
        self.socket = context.wrap_socket(self.socket, server_hostname=name, session=session)
        self.file = self.socket.makefile("rb")

    def start_tls(self, context, helo="client.example", **options):
        code, text = self.say("STARTTLS")
        if code != "220":
            raise ssl.SSLError(f"STARTTLS: {text}")
        self.wrap(context, **options)
        return self.say(f"EHLO {helo}") if helo else None

    def ended(self, seconds=10):
        """True if the server has nothing more to say and hangs up."""
        self.socket.settimeout(seconds)
        try:
            return self.file.read(1) == b""
        except (ConnectionError, ssl.SSLError):
            return True
        except (socket.timeout, OSError):
            return False


def attempt(port, wrapped=True, **options):
    """A handshake, on a port that begins with it; what it comes to: the version, or the error's reason."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
            name = options.pop("name", None)
            with context(**options).wrap_socket(plain, server_hostname=name) as made:
                made.read(1)
                return made.version()
    except ssl.SSLError as error:
        return error.reason or str(error)
    except OSError as error:
        return str(error)
