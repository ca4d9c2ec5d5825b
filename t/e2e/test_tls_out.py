#!/usr/bin/env python3
"""TLS to servers that offer it, do not, or do it wrong. TAP.

smtp_probe runs the client's code; the servers are threads here (tls_peers), on loopback, behind host names that the
probe knows from its hosts file: hosts.test and localhost."""

import pathlib
import re
import shutil
import ssl
import tempfile
import time

import tern_test as t
import tls_peers as tls
from tls_peers import BOUNCED, DEFERRED, SENT, Probe, TlsServer

if not tls.PROBE.exists():
    t.skip_all("t/e2e/smtp_probe is not built")
TOP = pathlib.Path(tempfile.mkdtemp(prefix="tern-tls-"))
ours = tls.Authority(TOP / "ours")
strange = tls.Authority(TOP / "strange", "strange")
good = ours.issue("hosts.test")
NATIVE = ["smtp_host_lookup=native", "smtp_tls_loglevel=1", f"smtp_tls_CAfile={ours.file}", "smtp_connection_cache_on_demand=no"]


def probe(level, *settings, **options):
    return Probe(*NATIVE, f"smtp_tls_security_level={level}", *settings, **options)


def to(server, name="hosts.test"):
    return f"[{name}]:{server.port}"


def check(outcome, action, status="", text="", name="", more=""):
    good = outcome["action"] == action and outcome["status"].startswith(status) and text in outcome["text"]
    t.ok(good, name, f"{outcome}\n{more}")


def test_levels():
    print("# levels against a server that does it right", flush=True)
    with TlsServer(good) as server:
        with probe("none", "smtp_tls_note_starttls_offer=yes") as client:
            check(client.send(to(server)), SENT, name="none: sent")
            t.is_(server.connections[-1]["version"], None, "none: in plain text")
            t.ok("Host offered STARTTLS: [hosts.test]" in client.log(), "none: the offer is noted", client.log())
        for level, word in (("may", "Trusted"), ("encrypt", "Trusted"), ("verify", "Verified"), ("secure", "Verified")):
            with probe(level) as client:
                check(client.send(to(server)), SENT, name=f"{level}: sent", more=client.log())
                record = server.connections[-1]
                t.is_((record["version"], record["plain"]), ("TLSv1.3", ["EHLO probe.example", "STARTTLS"]),
                      f"{level}: by TLS, after EHLO and STARTTLS alone")
                t.is_(record["tls"][0], "EHLO probe.example", f"{level}: EHLO is said anew")
                pattern = (rf"{word} TLS connection established to hosts\.test\[127\.0\.0\.1\]:{server.port}: TLSv1\.3 with cipher "
                           r"TLS_AES_256_GCM_SHA384 \(256/256 bits\) key-exchange \S+( \([\w-]+\))? server-signature ECDSA "
                           r"\((P-256|prime256v1)\) server-digest SHA256")
                t.ok(re.search(pattern, client.log()), f"{level}: the log says {word}", client.log())
                t.is_(record["sni"], None, f"{level}: no server name is sent unless asked for")
        with probe("may", "smtp_tls_CAfile=") as client:
            client.send(to(server))
            t.ok("Untrusted TLS connection established" in client.log(), "without authorities: Untrusted", client.log())
        with probe("may", "smtp_tls_CAfile=/nowhere/at-all.pem") as client:
            check(client.send(to(server)), SENT, name="a missing file of authorities does not stop may")
            t.ok("/nowhere/at-all.pem" in client.log(), "but is said", client.log())
        with probe("may", "smtp_tls_loglevel=0") as client:
            client.send(to(server))
            t.ok("TLS connection" not in client.log(), "loglevel 0 says nothing", client.log())
        with probe("dane") as client:
            check(client.send(to(server)), DEFERRED, "4.7.5", "client TLS configuration problem", "dane without DNS is deferred")
            t.ok("dane configured with DNS lookups disabled" in client.log(), "and said", client.log())
        with probe("", "smtp_use_tls=yes") as client:
            client.send(to(server))
            t.is_(server.connections[-1]["version"], "TLSv1.3", "smtp_use_tls is may")
        with probe("may", "smtp_tls_servername=hostname") as client:
            client.send(to(server))
            t.is_(server.connections[-1]["sni"], "hosts.test", "smtp_tls_servername=hostname")
        with probe("may", "smtp_tls_servername=other.test") as client:
            client.send(to(server))
            t.is_(server.connections[-1]["sni"], "other.test", "smtp_tls_servername=NAME")


def test_directory():
    print("# smtp_tls_CApath", flush=True)
    folder = TOP / "hashed"
    folder.mkdir()
    name = tls.openssl("x509", "-noout", "-subject_hash", "-in", ours.file).decode().strip()
    (folder / (name + ".0")).write_bytes(ours.file.read_bytes())
    (folder / "README").write_text("no certificate")
    with TlsServer(good) as server, probe("verify", "smtp_tls_CAfile=", f"smtp_tls_CApath={folder}") as client:
        check(client.send(to(server)), SENT, name="authorities of a directory count", more=client.log())


def test_no_tls():
    print("# servers that do not, or will not", flush=True)
    refused = {"starttls": "454 4.7.0 TLS not available just now"}
    with TlsServer(good, starttls=None) as stripped, TlsServer(good, **refused) as refusing:
        for level in ("encrypt", "verify", "secure"):
            with probe(level) as client:
                check(client.send(to(stripped)), DEFERRED, "4.7.4", "TLS is required, but was not offered by host hosts.test[127.0.0.1]",
                      f"{level}: not offered, deferred")
                check(client.send(to(refusing)), DEFERRED, "4.7.4",
                      "TLS is required, but host hosts.test[127.0.0.1] refused to start TLS: 454 4.7.0 TLS not available",
                      f"{level}: refused, deferred")
        t.is_((stripped.messages, refusing.messages), ([], []), "not a letter went out in plain text")
        t.ok(not any("MAIL" in line for x in stripped.connections for line in x["plain"]), "nor its sender's name")
        with probe("may") as client:
            check(client.send(to(stripped)), SENT, name="may: not offered, sent in plain text")
            before = len(refusing.connections)
            check(client.send(to(refusing)), SENT, name="may: refused, sent in plain text")
            t.is_(len(refusing.connections), before + 1, "over the same connection")
    with TlsServer(good, starttls="421 4.3.2 going down") as closing, probe("may") as client:
        check(client.send(to(closing)), DEFERRED, "4.3.2", name="may: 421 to STARTTLS means what it says")


def test_broken_handshakes():
    print("# handshakes that go wrong", flush=True)
    for kind in ("close", "garbage", "stall"):
        with TlsServer(good, handshake=kind) as server:
            started = time.monotonic()
            with probe("encrypt", "smtp_starttls_timeout=1s") as client:
                check(client.send(to(server)), DEFERRED, "4.7.5", "Cannot start TLS: handshake failure", f"{kind}: encrypt is deferred")
            t.is_((server.messages, len(server.connections)), ([], 1), f"{kind}: not tried in plain text")
            with probe("may", "smtp_starttls_timeout=1s") as client:
                check(client.send(to(server)), SENT, name=f"{kind}: may is sent all the same", more=client.log())
                t.is_(len(server.connections), 3, f"{kind}: over a new connection")
                t.is_([x.split()[0] for x in server.connections[-1]["plain"]][:2], ["EHLO", "MAIL"], f"{kind}: in plain text, at once")
                t.ok("SSL_connect error to hosts.test[127.0.0.1]" in client.log() and "again without TLS" in client.log(),
                     f"{kind}: the log says so", client.log())
            t.ok(time.monotonic() - started < 15, f"{kind}: within the time limit")
    with TlsServer(good, cut="EHLO") as server:      # in TLS; the EHLO before it is cut, too
        with probe("may") as client:
            check(client.send(to(server)), DEFERRED, "4.4.2", "lost connection", "a server that hangs up at EHLO has no plain text either")


def test_injection():
    print("# what does not belong to TLS", flush=True)
    for level in ("may", "encrypt"):
        with TlsServer(good, injected=b"250 fake.test\r\n") as server, probe(level) as client:
            check(client.send(to(server)), DEFERRED, "4.5.0", name=f"{level}: a reply behind 220 ends the connection")
            t.is_((len(server.connections), server.messages), (1, []), f"{level}: nothing was sent")
    with TlsServer(good, before=["PIPELINING", "SIZE 10", "DSN"], after=["8BITMIME"]) as server, probe("may") as client:
        check(client.send(to(server)), SENT, name="SIZE learned before TLS is forgotten")
        record = server.connections[-1]
        t.ok("MAIL FROM:<sender@probe.example>" in record["tls"], "so is all else", record)
    with TlsServer(good, early=b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n") as server, probe("encrypt") as client:
        check(client.send(to(server)), DEFERRED, "4.5.0", name="replies ahead of commands in TLS end the connection")
        t.is_(server.messages, [], "nothing was sent")


def test_certificates():
    print("# certificates that are no good", flush=True)
    cases = [
        ("wrong name", ours.issue("other.test"), "verify", False),
        ("no authority of ours", strange.issue("hosts.test"), "verify", False),
        ("signed by itself", ours.issue("hosts.test", own=True), "verify", False),
        ("expired", ours.issue("hosts.test", dates=("20200101000000Z", "20200201000000Z")), "verify", False),
        ("not yet good", ours.issue("hosts.test", dates=("20490101000000Z", "20490201000000Z")), "verify", False),
        ("wildcard for a whole top domain", ours.issue("*.test"), "verify", False),
        ("wildcard elsewhere", ours.issue("*.example.test"), "verify", False),
        ("several names", ours.issue("a.test", "hosts.test"), "verify", True),
        ("nexthop", ours.issue("hosts.test"), "secure", True),
        ("dot-nexthop", ours.issue("mx.hosts.test"), "secure", True),
        ("dot-nexthop is not for others", ours.issue("mxhosts.test"), "secure", False),
    ]
    for name, certificate, level, wanted in cases:
        with TlsServer(certificate) as server, probe(level) as client:
            outcome = client.send(to(server))
            if wanted:
                check(outcome, SENT, name=f"{name}: sent", more=client.log())
                continue
            check(outcome, DEFERRED, "4.7.5", "Server certificate not verified", f"{name}: deferred", client.log())
            t.is_(server.messages, [], f"{name}: nothing was sent")
            t.ok("certificate verification failed for hosts.test[127.0.0.1]" in client.log(), f"{name}: the log says why", client.log())
    with TlsServer(ours.issue("*.hosts.test")) as server:
        for name, wanted in (("mx.hosts.test", SENT), ("a.mx.hosts.test", DEFERRED), ("hosts.test", DEFERRED)):
            with probe("secure", f"smtp_tls_secure_cert_match={name}") as client:
                check(client.send(to(server)), wanted, name=f"a wildcard for one label and {name}", more=client.log())
    with TlsServer(ours.issue("third.test")) as server:
        with probe("secure", "smtp_tls_secure_cert_match=nexthop, third.test") as client:
            check(client.send(to(server)), SENT, name="a name of smtp_tls_secure_cert_match", more=client.log())
        with probe("may") as client:
            check(client.send(to(server)), SENT, name="may does not look at names")
            t.ok("Trusted TLS connection" in client.log(), "but at who has issued it", client.log())


def test_fingerprints():
    print("# fingerprints", flush=True)
    certificate = strange.issue("whatever.test")
    with TlsServer(certificate) as server:
        for name, value, wanted in (("certificate", certificate.fingerprint(), SENT),
                                    ("lower case", certificate.fingerprint().lower(), SENT),
                                    ("public key", certificate.fingerprint(public=True), SENT),
                                    ("one of several", good.fingerprint() + " " + certificate.fingerprint(), SENT),
                                    ("another's", good.fingerprint(), DEFERRED)):
            with probe("fingerprint", f"smtp_tls_fingerprint_cert_match={value}") as client:
                check(client.send(to(server)), wanted, name=f"fingerprint, {name}", more=client.log())
                if wanted == SENT:
                    t.ok("Verified TLS connection" in client.log(), f"fingerprint, {name}: Verified", client.log())
        with probe("fingerprint", "smtp_tls_fingerprint_digest=sha1",
                   f"smtp_tls_fingerprint_cert_match={certificate.fingerprint(digest='sha1')}") as client:
            check(client.send(to(server)), SENT, name="fingerprint, by sha1", more=client.log())
        with probe("fingerprint") as client:
            check(client.send(to(server)), DEFERRED, "4.7.5", "client TLS configuration problem", "fingerprint without one is deferred")


def test_versions():
    print("# versions and ciphers", flush=True)
    old, new = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    with TlsServer(good, versions=(old, old)) as server:
        with probe("encrypt") as client:
            check(client.send(to(server)), SENT, name="TLS 1.2 is good enough")
            t.ok(re.search(r"TLSv1\.2 with cipher ECDHE-ECDSA-\S+ \(\d+/\d+ bits\)", client.log()), "and said", client.log())
        with probe("encrypt", "smtp_tls_mandatory_protocols=>=TLSv1.3") as client:
            check(client.send(to(server)), DEFERRED, "4.7.5", "handshake failure", "not where 1.3 has to be")
        with probe("encrypt", "smtp_tls_mandatory_protocols=!SSLv2, !TLSv1.2") as client:
            check(client.send(to(server)), DEFERRED, "4.7.5", "handshake failure", "not where 1.2 is excluded")
        with probe("may", "smtp_tls_mandatory_protocols=>=TLSv1.3") as client:
            client.send(to(server))
            t.is_(server.connections[-1]["version"], "TLSv1.2", "the mandatory ones do not count for may")
        server.context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with probe("may", "smtp_tls_exclude_ciphers=AES, NULL") as client:
            check(client.send(to(server)), SENT, name="no cipher in common: may sends in plain text")
            t.is_(server.connections[-1]["version"], None, "which is what happened")
        with probe("encrypt", "smtp_tls_exclude_ciphers=NOSUCH, x") as client:
            check(client.send(to(server)), SENT, name="excluding an unknown one changes nothing", more=client.log())
        with probe("encrypt", "smtp_tls_mandatory_protocols=TLSv9") as client:
            check(client.send(to(server)), DEFERRED, "4.7.5", "client TLS configuration problem", "a version that does not exist is said", more=client.log())
            t.ok("TLSv9" in client.log(), "in the log", client.log())
        with probe("may", "smtp_tls_protocols=TLSv9") as client:
            check(client.send(to(server)), DEFERRED, "4.7.5", "client TLS configuration problem", "and is no reason for plain text", client.log())
    with TlsServer(good, versions=(new, new)) as server, probe("encrypt", "smtp_tls_mandatory_protocols=<=TLSv1.2") as client:
        check(client.send(to(server)), DEFERRED, "4.7.5", "handshake failure", "<= bounds from above")


def test_sessions():
    print("# sessions and connections", flush=True)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with TlsServer(good, versions=(version, version)) as server, probe("verify") as client:
            for _ in range(4):
                check(client.send(to(server)), SENT, name=f"{version.name}: sent", more=client.log())
            t.is_([x["reused"] for x in server.connections], [False, True, True, True], f"{version.name}: every later session is resumed")
            t.ok("Verified TLS connection reused to hosts.test" in client.log(), f"{version.name}: the log says so", client.log())
        with TlsServer(good, versions=(version, version)) as server, probe("verify", "smtp_tls_session_cache_timeout=0") as client:
            client.send(to(server))
            client.send(to(server))
            t.is_([x["reused"] for x in server.connections], [False, False], f"{version.name}: none where none are kept")
    with TlsServer(ours.issue("other.test")) as server, probe("verify") as client:
        for _ in range(3):
            check(client.send(to(server)), DEFERRED, "4.7.5", "Server certificate not verified", "a session does not make a name right")
    with TlsServer(good) as server, probe("encrypt", "smtp_connection_cache_on_demand=yes") as client:
        uses = [client.send(to(server))["use"] for _ in range(3)]
        t.is_((uses, len(server.connections)), ([1, 2, 3], 1), "a connection with TLS is used again")
    with TlsServer(good) as server:
        with probe("encrypt", "smtp_connection_cache_on_demand=yes", "smtp_tls_connection_reuse=no") as client:
            uses = [client.send(to(server))["use"] for _ in range(3)]
            t.is_((uses, len(server.connections)), ([1, 1, 1], 3), "not with smtp_tls_connection_reuse = no")


def test_many():
    print("# many at once", flush=True)
    with TlsServer(good) as server, TlsServer(ours.issue("other.test")) as wrong, TlsServer(good, handshake="close") as broken, \
            probe("verify", "smtp_connection_cache_on_demand=yes") as client:
        for _ in range(3):
            outcomes = client.deliver_at_once([to(server), to(wrong), to(broken)] * 20)
            t.ok(all(x["action"] == SENT for x in outcomes[0::3]), "60 deliveries at once: the good ones are sent", outcomes[0::3])
            t.ok(all(x["status"] == "4.7.5" for x in outcomes[1::3] + outcomes[2::3]), "the others are deferred", outcomes)
        t.is_((len(server.messages), len(wrong.messages), len(broken.messages)), (60, 0, 0), "each once")
        t.ok(any(x["reused"] for x in server.connections), "sessions are resumed")


def test_stale():
    print("# a kept connection that has died", flush=True)
    with TlsServer(good, script={"MAIL": ["250 2.1.0 Ok", "drop"]}) as server:
        with probe("verify", "smtp_connection_cache_on_demand=yes") as client:
            check(client.send(to(server)), SENT, name="the first message")
            check(client.send(to(server)), SENT, name="the second costs another connection and nothing else", more=client.log())
            t.is_((len(server.connections), len(server.messages)), (2, 2), "of its own")


def test_truncation():
    print("# a connection cut short", flush=True)
    with TlsServer(good, cut="MAIL") as server, probe("encrypt") as client:
        check(client.send(to(server)), DEFERRED, "4.4.2", "lost connection", "cut at MAIL")
    with TlsServer(good, script={"DOT": "drop"}) as server, probe("encrypt") as client:
        check(client.send(to(server)), DEFERRED, "4.4.2", "message may be sent more than once", "cut at the final dot")


def test_wrapper():
    print("# TLS from the start", flush=True)
    settings = ["smtp_tls_wrappermode=yes"]
    with TlsServer(good, wrapper=True) as server:
        for level in ("encrypt", "verify", "none"):
            with probe(level, *settings) as client:
                check(client.send(to(server)), SENT, name=f"wrapper mode, {level}: sent", more=client.log())
                t.is_((server.connections[-1]["plain"], server.connections[-1]["tls"][0]), ([], "EHLO probe.example"),
                      f"wrapper mode, {level}: nothing in plain text, no STARTTLS")
    with TlsServer(ours.issue("other.test"), wrapper=True) as server, probe("verify", *settings) as client:
        check(client.send(to(server)), DEFERRED, "4.7.5", "Server certificate not verified", "wrapper mode looks at names")
    with TlsServer(good) as server, probe("may", *settings, "smtp_starttls_timeout=1s") as client:
        check(client.send(to(server)), DEFERRED, "4.7.5", "handshake failure", "a server that waits for EHLO is no wrapper server")
        t.is_(server.messages, [], "and gets nothing in plain text")


def test_lmtp():
    print("# LMTP", flush=True)
    settings = ["lmtp_host_lookup=native", "lmtp_tls_security_level=verify", "lmtp_tls_loglevel=1"]
    with TlsServer(good, lmtp=True) as server:
        with Probe(*settings, f"lmtp_tls_CAfile={ours.file}", "smtp_tls_security_level=none", lmtp=True) as client:
            check(client.send(f"inet:hosts.test:{server.port}"), SENT, name="LMTP over TLS, by lmtp_tls_*", more=client.log())
            t.is_(server.connections[-1]["tls"][0], "LHLO probe.example", "LHLO is said anew")
    path = str(TOP / "socket")
    with TlsServer(good, lmtp=True, address=path) as server, Probe("lmtp_tls_security_level=may", lmtp=True) as client:
        check(client.send(f"unix:{path}"), SENT, name="over a UNIX socket may does without", more=client.log())
        t.is_(server.connections[-1]["version"], None, "TLS")


def test_status():
    print("# tls= in the log", flush=True)
    shown = "smtp_log_tls_feature_status=yes"
    with TlsServer(good) as server, TlsServer(good, starttls=None) as stripped, TlsServer(good, handshake="close") as broken, \
            TlsServer(ours.issue("other.test")) as wrong:
        for level, where, wanted in (("none", server, "none"), ("may", server, "may"), ("may", stripped, "may:none"),
                                     ("may", broken, "may:none"), ("encrypt", server, "encrypt"),
                                     ("encrypt", stripped, "!encrypt:nostarttls"), ("encrypt", broken, "!encrypt:handshake"),
                                     ("verify", wrong, "!verify:nomatch")):
            with probe(level, shown) as client:
                client.send(to(where))
                t.ok(re.search(rf", delays=[\d./]+, tls={re.escape(wanted)}, dsn=", client.log()), f"tls={wanted}", client.log())
        with probe("may") as client:
            client.send(to(server))
            t.ok("tls=" not in client.log(), "not unless it is asked for", client.log())


if __name__ == "__main__":
    test_levels()
    test_directory()
    test_no_tls()
    test_broken_handshakes()
    test_injection()
    test_certificates()
    test_fingerprints()
    test_versions()
    test_sessions()
    test_many()
    test_stale()
    test_truncation()
    test_wrapper()
    test_lmtp()
    test_status()
    shutil.rmtree(TOP, ignore_errors=True)
    t.done()
