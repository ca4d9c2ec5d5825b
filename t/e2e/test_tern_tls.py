#!/usr/bin/env python3
"""tern tls: keys, certificates, requests and TLSA records, judged by the openssl command; and a server that
enable-server made ready."""

import hashlib
import os
import ssl
import subprocess

import tern_test as t

t.need("tern", *t.DAEMONS)


def openssl(*arguments, data=None):
    done = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True)
    return done.stdout if done.returncode == 0 else b""


def record_of(public_der):
    return hashlib.sha256(public_der).hexdigest()


def setting(tern, name):
    return tern.command("ternconf", "-c", tern.etc, "-x", "-h", name).stdout.strip()


def made(tern):
    return sorted(name for name in os.listdir(tern.etc) if name.startswith(("key-", "cert-")))


def served_certificate(tern):
    with tern.smtp() as client:
        client.ehlo()
        client.starttls(context=ssl._create_unverified_context())
        return client.sock.getpeercert(True)


def tls(tern, *arguments):
    return tern.run("tls", *arguments)


def refusals(tern):
    t.is_(tls(tern).returncode, 64, "without a subcommand: the usage")
    for words in (["no-such-thing"], ["all-default-client", "x"], ["output-server-csr", "-z"], ["deploy-server-cert"]):
        t.is_(tls(tern, *words).returncode, 64, f"{' '.join(words)}: the usage")
    for words in (["output-server-csr"], ["output-server-tlsa"], ["new-server-cert"], ["new-server-key", "-a", "dsa"],
                  ["new-server-key", "-b", "512"], ["new-server-key", "-a", "ecdsa", "-b", "P-1"],
                  ["new-server-key", "a,DNS:b"], ["output-server-tlsa", "/nonexistent"]):
        done = tls(tern, *words)
        t.ok(done.returncode == 1 and done.stderr.startswith("tern: "), f"{' '.join(words)}: refused", done.stderr)
    t.is_(made(tern), [], "nothing is left of them")


def switched_on(tern):
    for side, name in (("client", "smtp_tls_security_level"), ("server", "smtpd_tls_security_level")):
        t.is_(tls(tern, f"all-default-{side}").returncode, 0, f"{side}: nothing is set")
        t.is_(setting(tern, name), "", f"{side}: no TLS")
        done = tls(tern, f"enable-{side}")
        t.is_(done.returncode, 0, f"enable-{side}")
        t.is_(setting(tern, name), "may", f"{side}: TLS")
        t.is_(tls(tern, f"all-default-{side}").returncode, 1, f"{side}: something is set")
        before = (tern.etc / "main.cf").read_text()
        t.is_(tls(tern, f"enable-{side}").returncode, 1, f"enable-{side} again is refused")
        t.is_((tern.etc / "main.cf").read_text(), before, "and changes nothing")
    files = made(tern)
    t.ok(len(files) == 2 and os.stat(tern.etc / files[1]).st_mode & 0o777 == 0o600, "a certificate, and a key that nobody else reads", files)
    t.is_(tern.run("check").stderr, "", "tern check has nothing to say")
    tern.start()
    der = served_certificate(tern)
    t.ok(der == openssl("x509", "-in", tern.etc / files[0], "-outform", "DER"), "the certificate is served")
    text = openssl("x509", "-inform", "DER", "-noout", "-text", data=der).decode()
    host = setting(tern, "myhostname")
    t.ok(f"DNS:{host}" in text and f"CN = {host}" in text and "rsaEncryption" in text and "(2048 bit)" in text, "for this host, RSA", text)
    return der


def records(tern, der):
    public = openssl("pkey", "-pubin", "-outform", "DER", data=openssl("x509", "-inform", "DER", "-noout", "-pubkey", data=der))
    host = setting(tern, "myhostname")
    t.ok(f"_25._tcp.{host}. IN TLSA 3 1 1 {record_of(public)}\n" in tls(tern, "output-server-tlsa").stdout, "its TLSA record")
    t.ok("_25._tcp.mx.test. IN TLSA 3 1 1 " in tls(tern, "output-server-tlsa", "-h", "mx.test").stdout, "the same for another name")
    request = tls(tern, "output-server-csr", "a.test", "b.test").stdout.encode()
    text = openssl("req", "-noout", "-text", "-verify", data=request).decode()
    t.ok("CN = a.test" in text and "DNS:a.test, DNS:b.test" in text, "a request for two names", text)
    key = openssl("req", "-noout", "-pubkey", data=request)
    t.ok(openssl("pkey", "-pubin", "-outform", "DER", data=key) == public, "of the key in use")
    return public


def renewed(tern, public):
    """A new certificate of the same key, and a new key of another kind beside it."""
    before = set(made(tern))
    t.wait_for(lambda: tls(tern, "new-server-cert", "mail.test").returncode == 0)  # a name for each second
    new = sorted(set(made(tern)) - before)
    t.ok(len(new) == 1 and new[0].startswith("cert-"), "new-server-cert makes a certificate, no key", new)
    key = openssl("x509", "-in", tern.etc / new[0], "-noout", "-pubkey")
    t.ok(openssl("pkey", "-pubin", "-outform", "DER", data=key) == public, "with the key in use")
    old_key = next(name for name in before if name.startswith("key-"))
    t.is_(tls(tern, "deploy-server-cert", tern.etc / new[0], tern.etc / old_key).returncode, 0, "it is put to use")
    t.is_(tern.run("reload").returncode, 0, "reload")
    wanted = openssl("x509", "-in", tern.etc / new[0], "-outform", "DER")
    t.ok(t.wait_for(lambda: served_certificate(tern) == wanted, 20), "and served")
    before = set(made(tern))
    t.wait_for(lambda: tls(tern, "new-server-key", "-a", "ecdsa", "-b", "P-384", "mail.test").returncode == 0)
    certificate, key = sorted(set(made(tern)) - before)
    t.ok(b"secp384r1" in openssl("pkey", "-in", tern.etc / key, "-noout", "-text"), "a key on P-384")
    t.is_(tls(tern, "deploy-server-cert", tern.etc / certificate, tern.etc / key).returncode, 0, "it is put to use beside the other")
    text = tls(tern, "output-server-tlsa").stdout
    t.ok("; RSA key" in text and "; ECDSA key" in text and text.count(" IN TLSA 3 1 1 ") == 2, "two TLSA records now", text)
    t.is_(tern.run("check").stderr, "", "tern check has nothing to say")
    done = tls(tern, "deploy-server-cert", tern.etc / new[0], tern.etc / key)
    t.ok(done.returncode == 1 and "does not fit" in done.stderr, "a pair that does not fit is refused", done.stderr)


def main():
    with t.Instance() as tern:
        refusals(tern)
        der = switched_on(tern)
        renewed(tern, records(tern, der))


main()
t.done()
