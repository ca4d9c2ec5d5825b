#!/usr/bin/env python3
"""smtp_tls_policy_maps, tables that do not answer, and connections that are shared only where the same is asked of TLS, in a
whole instance. TAP."""

import os
import pathlib
import re
import shutil
import subprocess
import time

import mail_peers as peers
import tern_test as t
import tls_peers as tls
from tls_peers import TlsServer

t.need("tern", "master", "smtpd", "cleanup", "qmgr", "smtp", "lookup")

SENDER = "ada@example.test"


def line_of(tern, address, seconds=20):
    """The first delivery line of a recipient."""
    def find():
        for line in tern.log().splitlines():
            if f"to=<{address}>," in line and "status=" in line:
                return line
        return ""
    return t.wait_for(find, seconds)


def send(tern, *addresses):
    client = peers.Client(tern.smtp_port)
    for address in addresses:
        client.mail(SENDER, [address], b"Subject: to %s\r\n\r\nhello\r\n" % address.encode())
    client.quit()


def test_maps(tern, server, stripped):
    print("# policies by next hop", flush=True)
    cases = [
        ("a@none.test", "none.test", "status=sent", None),
        ("a@encrypt.test", "encrypt.test", "status=sent", "TLSv1.3"),
        ("a@sub.encrypt.test", "a parent domain", "status=sent", "TLSv1.3"),
        ("a@secure.test", "match=", "status=sent", "TLSv1.3"),
        ("a@wrong.test", "match= of another", "(Server certificate not verified)", "TLSv1.3"),
        ("a@print.test", "a fingerprint", "status=sent", "TLSv1.3"),
        ("a@old.test", "protocols=", "status=sent", "TLSv1.2"),
        ("a@sni.test", "servername=", "status=sent", "TLSv1.3"),
        ("a@bad.test", "an entry that is no policy", "(client TLS configuration problem)", ""),
        ("a@ta.test", "tafile=", "(client TLS configuration problem)", ""),
        ("a@byhop.test", "[host]:port", "(TLS is required, but was not offered by host", None),
        ("a@other.test", "no entry: what main.cf says", "status=sent", "TLSv1.3"),
    ]
    for address, name, words, version in cases:
        before = len(server.connections)
        send(tern, address)
        line = line_of(tern, address)
        t.ok(words in line, f"{name}: {words}", line or "no outcome")
        if version == "":
            t.is_(len(server.connections), before, f"{name}: nobody is asked")
        elif "byhop" not in address:
            t.is_(server.connections[-1]["version"], version, f"{name}: {version or 'plain text'}")
    t.is_([x["sni"] for x in server.connections if x["sni"]], ["shown.test"], "servername= is sent")
    t.ok("smtp_tls_policy_maps, entry bad.test: invalid security level" in tern.log(), "the log says which entry is bad")
    t.ok("entry ta.test: tafile= is not done" in tern.log(), "and what is not done")
    t.is_(stripped.messages, [], "nothing went out in plain text where it may not")


def test_shared_connections(tern, server):
    """Three messages for each of two next hops with the same server, and different policies."""
    print("# connections", flush=True)
    before = [x["messages"] for x in server.connections]
    for i in range(3):
        for domain in ("none.test", "encrypt.test"):
            send(tern, f"c{i}@{domain}")
            t.ok("status=sent" in line_of(tern, f"c{i}@{domain}"), f"c{i}@{domain} is sent")
    before += [0] * (len(server.connections) - len(before))
    kinds = {"plain": 0}
    for was, record in zip(before, server.connections):
        kind = record["version"] or "plain"
        kinds[kind] = kinds.get(kind, 0) + record["messages"] - was
    mixed = [x for x in server.connections if x["version"] and any("MAIL" in line for line in x["plain"])]
    t.ok(not mixed and kinds["plain"] == 3 and kinds.get("TLSv1.3") == 3, "none is shared between policies", kinds)
    t.ok(re.search(r"to=<c\d@encrypt\.test>, relay=\S+, conn_use=[23],", tern.log()), "but between messages of the same", kinds)


def main():
    folder = pathlib.Path("/tmp") / f"tern-policy-{os.getpid()}"
    folder.mkdir()
    ours = tls.Authority(folder / "ours")
    good = ours.issue("hosts.test", "localhost")
    server, stripped = TlsServer(good), TlsServer(good, starttls=None)
    hop, other = f"[127.0.0.1]:{server.port}", f"[127.0.0.1]:{stripped.port}"
    domains = ["none.test", "encrypt.test", "sub.encrypt.test", "secure.test", "wrong.test", "print.test", "old.test", "sni.test", "bad.test",
               "ta.test", "other.test", "x.broken.test"]
    names = peers.NameServer(folder / "dns", {
        "test": "$TTL 60\n@ SOA ns hostmaster 1 60 60 600 5\n@ NS ns\nns A 127.0.0.1\nmx A 127.0.0.1\n"
        + "".join(f"{x.removesuffix('.test')} MX 10 mx\n" for x in domains)})
    settings = [
        "smtp_tls_security_level=may", f"smtp_tls_CAfile={ours.file}", "smtp_tls_loglevel=1", f"dns_servers=127.0.0.1:{names.port}",
        f"smtp_tcp_port={server.port}", "smtpd_peername_lookup=no", "minimal_backoff_time=1000s", "maximal_backoff_time=1000s",
        "smtp_connection_cache_time_limit=10s", f"transport_maps=inline:{{ {{byhop.test=smtp:{other}}} }}"]
    try:
        with t.Instance(settings=settings) as tern:
            tern.file("tls_policy", f"""
none.test none
encrypt.test encrypt
.encrypt.test encrypt ciphers=high
secure.test secure match=hosts.test:elsewhere.test
wrong.test secure match=elsewhere.test
print.test fingerprint match=00:11|{good.fingerprint()}
old.test encrypt protocols=TLSv1.2
sni.test encrypt servername=shown.test connection_reuse=no
bad.test always
ta.test secure tafile=/etc/passwd
{other} encrypt
{hop} none
""")
            tern.set(f"smtp_tls_policy_maps = texthash:{tern.etc}/tls_policy, inline:{{ {{x.unused.test=none}} }}")
            tern.start()
            test_maps(tern, server, stripped)
            test_shared_connections(tern, server)
            peers.check_health(tern)
        with t.Instance(settings=settings) as tern:
            print("# a table that does not answer", flush=True)
            tern.set(f"smtp_tls_policy_maps = texthash:{tern.etc}/nothing-there")
            tern.start()
            before = len(server.connections)
            send(tern, "a@other.test")
            line = line_of(tern, "a@other.test")
            t.ok("dsn=4.7.5, status=deferred (client TLS configuration problem)" in line, "a policy that cannot be found out: deferred", line)
            t.is_(len(server.connections), before, "and nobody is asked")
        with t.Instance(settings=settings) as tern, TlsServer(good, handshake="stall") as silent:
            print("# a stop while a server is silent in the handshake", flush=True)
            tern.set(f"smtp_tcp_port = {silent.port}")
            tern.start()
            send(tern, "a@other.test")
            t.ok(t.wait_for(lambda: any("STARTTLS" in x["plain"] for x in silent.connections), 10), "the handshake has begun")
            started = time.monotonic()
            stopped = tern.stop()
            t.ok(stopped.returncode == 0 and time.monotonic() - started < 25, "tern stops", f"{time.monotonic() - started} {stopped}")
            t.ok(len(tern.queued()) == 1 and "status=bounced" not in tern.log(), "the message waits", tern.log())
            t.is_(len(silent.connections), 1, "and was not tried without TLS")
            peers.check_health(tern, "nobody died of it")
    finally:
        names.close()
        server.close()
        stripped.close()
        shutil.rmtree(folder, ignore_errors=True)


main()
t.done()
