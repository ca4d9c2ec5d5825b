#!/usr/bin/env python3
"""tern tls-probe in a signed DNS world. TAP."""

import os
import pathlib
import shutil
import tempfile

import mail_peers as peers
import tern_test as t
import tls_peers as tls
from tls_peers import TlsServer

tls.need_signed_world()
t.need("tern")


def check(tern, status, wanted, *words, absent=(), name=""):
    ran = tern.run("tls-probe", *words)
    text = ran.stdout + ran.stderr
    missing = [x for x in wanted if x not in text] + [f"not {x}" for x in absent if x in text]
    t.ok(ran.returncode == status and not missing, name or " ".join(map(str, words)), f"{ran.returncode} {missing}\n{text}")
    return text


def main():
    top = pathlib.Path(tempfile.mkdtemp(prefix="tern-probe-"))
    os.chmod(top, 0o755)
    port = peers.free_port()
    ours = tls.Authority(top / "ours")
    good = ours.issue("mx.good.test", "other.test", with_authority=True)
    servers = [TlsServer(good, address="127.0.9.1", port=port, after=["PIPELINING", "SIZE 12345"]),
               TlsServer(good, address="127.0.9.2", port=port, starttls=None)]
    wrapped = TlsServer(good, address="127.0.9.1", wrapper=True)
    hostile = TlsServer(ours.issue("x.test"), address="127.0.9.3", port=port, name="mail.example.test")
    records = f"_{port}._tcp.mx TLSA "
    world = tls.SignedWorld(top / "dns", {
        "good": f"@ MX 10 mx\nmx A 127.0.9.1\n{records}{good.tlsa()}\n{records}{ours.certificate.tlsa(2, 0, 1)}\n"
                f"{records}3 1 1 {'07' * 32}\n",
        "two": "@ MX 10 mx.good.test.\n@ MX 20 mx\nmx A 127.0.9.2\n",
        "wrong": f"@ MX 10 mx\nmx A 127.0.9.3\n{records}3 1 1 {'07' * 32}\n",
        "lost": f"@ MX 10 mx\nmx A 127.0.9.1\n_{port}._tcp.mx CNAME x.expired.test.\n",
        "expired": "x A 127.0.9.1\n",
    }, expired=("expired",))
    try:
        with t.Instance(settings=[f"dns_servers=127.0.0.1:{world.port}"]) as tern:
            check(tern, 0, ["mx.good.test[127.0.9.1]", "(signed) MX 10 (signed)", "level: dane; names: mx.good.test, good.test",
                            "Verified TLS connection established to mx.good.test[127.0.9.1]", "names: mx.good.test, other.test",
                            "subject: CN = mx.good.test", "issuer: CN = authority", "good until: ", "key: EC, 256 bits",
                            f"fingerprint (sha256): {good.fingerprint()}", f"public key (sha256): {good.fingerprint(public=True)}",
                            "certificates sent: 2", "TLSA 3 1 1 0707", "of no certificate that the server sent",
                            "of the certificate at depth 0", "of the certificate at depth 1", "SIZE 12345",
                            "1 of 1 addresses would get mail"], f"good.test:{port}", name="a good host by DANE, all that is to be said of it")
            check(tern, 0, ["level: may (asked for: dane)", "127.0.9.2]", "plain text", "2 of 2"], f"two.test:{port}",
                  name="all hosts of a domain")
            check(tern, 1, ["TLS is required, but was not offered", "1 of 2"], "-l", "encrypt", f"two.test:{port}", name="one that is no good")
            check(tern, 1, ["Server certificate not verified", "subject: CN = x.test", "of no certificate", "0 of 1"],
                  f"wrong.test:{port}", name="a certificate that does not fit is shown")
            check(tern, 1, ["TLSA lookup error for mx.lost.test"], f"lost.test:{port}", name="records that cannot be had")
            check(tern, 0, ["names: other.test", "Verified"], "-l", "secure", "-F", ours.file, f"[mx.good.test]:{port}", "other.test")
            check(tern, 1, ["not verified"], "-l", "secure", "-F", ours.file, f"[mx.good.test]:{port}", "third.test")
            check(tern, 1, ["not verified"], "-l", "verify", f"[mx.good.test]:{port}", name="an authority that the system does not know")
            check(tern, 0, ["Verified"], "-l", "fingerprint", f"[mx.good.test]:{port}", good.fingerprint())
            check(tern, 0, ["TLS connection established", "TLS connection reused"], "-l", "encrypt", "-m", "2", f"[mx.good.test]:{port}")
            check(tern, 0, ["-----BEGIN CERTIFICATE-----"], "-C", "-l", "encrypt", f"[mx.good.test]:{port}")
            check(tern, 0, ["server name sent: shown.test"], "-s", "shown.test", "-l", "may", f"[mx.good.test]:{port}")
            check(tern, 0, ["TLSv1.2 with cipher"], "-p", "TLSv1.2", "-l", "encrypt", f"[mx.good.test]:{port}")
            check(tern, 0, ["TLS connection established"], "-w", "-l", "encrypt", f"[mx.good.test]:{wrapped.port}")
            check(tern, 1, ["Connection refused"], "good.test:1")
            check(tern, 1, ["Host not found"], "nowhere.test")
            check(tern, 1, ["is not one of"], "-l", "sometimes", "good.test")
            check(tern, 64, ["usage: tern tls-probe"], name="no destination")
            check(tern, 64, ["usage: tern tls-probe"], "-Z", "good.test")
            t.ok(not any(line.startswith("MAIL") for x in servers for c in x.connections for line in c["plain"] + c["tls"]),
                 "no mail was sent")
    finally:
        world.close()
        for server in (*servers, wrapped, hostile):
            server.close()
        shutil.rmtree(top, ignore_errors=True)


main()
t.done()
