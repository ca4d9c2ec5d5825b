#!/usr/bin/env python3
"""tern's SMTP client against a real Postfix that speaks TLS: levels, client certificates by keys, TLS from the first byte, DANE,
sessions. TAP.

The Postfix is a private instance with its own directories and ports on loopback."""

import os
import pathlib
import re
import shutil
import tempfile
import time

import mail_peers as peers
import tern_test as t
import tls_peers as tls
from postfix_server import Postfix, need

need()
t.need("tern", "master", "smtpd", "cleanup", "qmgr", "smtp", "lookup", "keys")
tls.need_signed_world()

MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{implicit} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
127.0.0.1:{plain} inet n - n - - smtpd
  -o smtpd_tls_security_level=none
127.0.0.1:{old} inet n - n - - smtpd
  -o smtpd_tls_protocols=TLSv1.2 -o smtpd_tls_mandatory_protocols=TLSv1.2 -o smtpd_tls_security_level=encrypt
"""

MAIN_CF = """
local_recipient_maps =
mynetworks = 127.0.0.0/8
default_transport = discard:
smtpd_tls_security_level = may
smtpd_tls_chain_files = {top}/etc/chain.pem
smtpd_tls_loglevel = 1
smtpd_tls_ask_ccert = yes
smtpd_tls_CAfile = {authority}
"""


def make_postfix(top, certificate, authority):
    postfix = Postfix(top, MASTER_CF, MAIN_CF, ("port", "implicit", "plain", "old"), authority=authority.file)
    chain = postfix.top / "etc" / "chain.pem"
    chain.write_bytes(certificate.key.read_bytes() + certificate.chain.read_bytes())
    chain.chmod(0o600)
    return postfix


def deliver(tern, postfix, address):
    """The delivery line of one message, and what Postfix has logged meanwhile."""
    before = len(postfix.log())
    client = peers.Client(tern.smtp_port)
    client.mail("ada@example.test", [address], b"Subject: to %s\r\n\r\nhello\r\n" % address.encode())
    client.quit()

    def line():
        return next((x for x in tern.log().splitlines() if f"to=<{address}>," in x and "status=" in x), "")
    found = t.wait_for(line, 20)
    if "status=sent" in found:
        t.wait_for(lambda: f"to=<{address}>" in postfix.log()[before:], 10)
    return found, postfix.log()[before:]


def check(tern, postfix, address, words, at_postfix, name):
    line, log = deliver(tern, postfix, address)
    t.ok(words in line, f"{name}: {words}", f"{line}\n{log}")
    if at_postfix:
        t.ok(re.search(at_postfix, log), f"{name}: Postfix says so", log)


def main():
    top = pathlib.Path(tempfile.mkdtemp(prefix="tern-postfix-"))
    os.chmod(top, 0o755)
    ours = tls.Authority(top / "ours")
    server = ours.issue("mx.postfix.test")
    shown = ours.issue("client.example.test")
    postfix = make_postfix(top / "postfix", server, ours)
    port, implicit, plain, old = (postfix.ports[x] for x in ("port", "implicit", "plain", "old"))
    zone = "@ MX 10 mx\nmx A 127.0.0.1\n"
    world = tls.SignedWorld(top / "dns", {
        "postfix": zone + "".join(f"_{x}._tcp.mx TLSA {server.tlsa()}\n" for x in (port, plain)),
        "wrong": zone + f"_{port}._tcp.mx TLSA 3 1 1 {'07' * 32}\n"})
    hops = {"may": f"[mx.postfix.test]:{port}", "encrypt": f"[mx.postfix.test]:{port}", "verify": f"[mx.postfix.test]:{port}",
            "stripped": f"[mx.postfix.test]:{plain}", "optional": f"[mx.postfix.test]:{plain}", "old": f"[mx.postfix.test]:{old}",
            "dane": f"postfix.test:{port}", "danewrong": f"wrong.test:{port}", "danestripped": f"postfix.test:{plain}"}
    transports = " ".join(f"{{{name}.route.test={name}:{hop}}}" for name, hop in hops.items())
    services = "".join(f"{name} unix - - - - - smtp\n  -o smtp_tls_security_level={level}\n" for name, level in {
        "may": "may", "encrypt": "encrypt", "verify": "verify", "stripped": "encrypt", "optional": "may", "old": "encrypt",
        "dane": "dane", "danewrong": "dane", "danestripped": "dane"}.items())
    services += f"implicit unix - - - - - smtp\n  -o smtp_tls_wrappermode=yes -o smtp_tls_security_level=verify\n"
    transports += f" {{implicit.route.test=implicit:[mx.postfix.test]:{implicit}}}"
    try:
        postfix.start()
        with t.Instance(settings=[f"dns_servers=127.0.0.1:{world.port}", f"smtp_tls_CAfile={ours.file}", "smtp_tls_loglevel=1",
                                  "smtp_connection_cache_on_demand=no", "inet_protocols=ipv4", "minimal_backoff_time=1000s",
                                  f"transport_maps=inline:{{ {transports} }}"]) as tern:
            chain = tern.etc / "shown.pem"
            chain.write_bytes(shown.key.read_bytes() + shown.chain.read_bytes())
            os.chmod(chain, 0o600)
            tern.set(services, "master.cf")
            tern.start()
            established = r"Anonymous TLS connection established from unknown\[127\.0\.0\.1\]: TLSv1\.3"
            for level in ("may", "encrypt", "verify"):
                check(tern, postfix, f"a@{level}.route.test", "status=sent (250 2.0.0 Ok: queued as", established, level)
            check(tern, postfix, "a@old.route.test", "status=sent", r"TLS connection established from \S+: TLSv1\.2", "TLS 1.2 alone")
            check(tern, postfix, "a@implicit.route.test", "status=sent", established, "TLS from the first byte")
            check(tern, postfix, "a@optional.route.test", "status=sent", r"client=unknown\[127\.0\.0\.1\]", "may without STARTTLS")
            check(tern, postfix, "a@stripped.route.test", "TLS is required, but was not offered by host mx.postfix.test[127.0.0.1]", "",
                  "encrypt without STARTTLS")
            check(tern, postfix, "a@dane.route.test", "status=sent", established, "DANE")
            t.ok(f"Verified TLS connection established to mx.postfix.test[127.0.0.1]:{port}: TLSv1.3" in tern.log(), "DANE: Verified")
            check(tern, postfix, "a@danewrong.route.test", "status=deferred (Server certificate not verified)", "", "DANE, a wrong record")
            check(tern, postfix, "a@danestripped.route.test", "TLS is required, but was not offered", "", "DANE without STARTTLS")
            for i in range(5):
                check(tern, postfix, f"r{i}@may.route.test", "status=sent", "", f"once more ({i})")
            t.ok("TLS connection reused to mx.postfix.test" in tern.log(), "Postfix's sessions are resumed")
            peers.check_health(tern)

            tern.set(f"smtp_tls_chain_files = {chain}")
            tern.run("reload")
            trusted = r"Trusted TLS connection established from unknown\[127\.0\.0\.1\]: TLSv1\.3"
            t.ok(t.wait_for(lambda: re.search(trusted, deliver(tern, postfix, f"c{time.monotonic_ns()}@verify.route.test")[1]), 20, 0.2),
                 "a client certificate whose key is held by keys", postfix.log()[-3000:])
            check(tern, postfix, "c@old.route.test", "status=sent", r"Trusted TLS connection established from \S+: TLSv1\.2",
                  "a client certificate by TLS 1.2")
            peers.check_health(tern, "nor with client certificates")
    finally:
        postfix.stop()
        world.close()
        shutil.rmtree(top, ignore_errors=True)


main()
t.done()
