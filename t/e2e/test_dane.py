#!/usr/bin/env python3
"""DANE (RFC 6698, 7671, 7672) in a signed DNS world of its own: nsd, a validating unbound, good and bad TLSA records, hosts
that lie. TAP.

smtp_probe runs the client's code; each host is a server at an address of its own on loopback, all on one port."""

import os
import pathlib
import signal
import tempfile

import mail_peers as peers
import tern_test as t
import tls_peers as tls
from tls_peers import DEFERRED, SENT, Probe, TlsServer

tls.need_signed_world()
if not tls.PROBE.exists():
    t.skip_all("t/e2e/smtp_probe is not built")

TOP = pathlib.Path(tempfile.mkdtemp(prefix="tern-dane-"))
os.chmod(TOP, 0o755)
PORT = peers.free_port()
ours = tls.Authority(TOP / "ours")
plain = ours.issue("whatever.test")                                           # usage 3 does not look at names
old = ours.issue("old.test", dates=("20200101000000Z", "20200201000000Z"))    # nor at dates
anchored = ours.issue("mx.ta.test", with_authority=True)
by_domain = ours.issue("domain.test", with_authority=True)
other_name = ours.issue("elsewhere.test", with_authority=True)
own = ours.issue("own.test", own=True)
WRONG = "3 1 1 " + "07" * 32


def records(name, *data):
    return "".join(f"_{PORT}._tcp.{name} TLSA {x}\n" for x in data)


# domain below test.: (certificate, TLSA data of mx), at an address of its own
HOSTS = {
    "good": (plain, [plain.tlsa()]),
    "sha512": (plain, [plain.tlsa(3, 1, 2)]),
    "certsum": (plain, [plain.tlsa(3, 0, 1)]),
    "wholecert": (plain, [plain.tlsa(3, 0, 0)]),
    "wholekey": (plain, [plain.tlsa(3, 1, 0)]),
    "several": (plain, [WRONG, plain.tlsa(), "0 1 1 " + "08" * 32]),
    "old": (old, [old.tlsa()]),
    "own": (own, [own.tlsa()]),
    "ta": (anchored, [ours.certificate.tlsa(2, 0, 1)]),
    "takey": (ours.issue("mx.takey.test", with_authority=True), [ours.certificate.tlsa(2, 1, 2)]),
    "domain": (by_domain, [ours.certificate.tlsa(2, 0, 1)]),
    "taname": (other_name, [ours.certificate.tlsa(2, 0, 1)]),
    "tawrong": (anchored, [own.tlsa(2, 0, 1)]),
    "mismatch": (plain, [WRONG]),
    "unusable": (own, ["0 1 1 " + "09" * 32, "1 0 1 " + "09" * 32, "3 1 9 " + "09" * 32]),
    "none": (own, []),
}
SIGNED_ALIKE = {
    "stripped": ("127.0.20.1", records("mx", plain.tlsa())),
    "unusableplain": ("127.0.20.1", records("mx", "3 1 9 " + "09" * 32)),
    "plainhost": ("127.0.20.1", ""),
    "expired": ("127.0.20.2", records("mx", plain.tlsa())),
    "bogus": ("127.0.20.2", ""),
    "lostrecord": ("127.0.20.2", f"_{PORT}._tcp.mx CNAME tlsa.expired.test.\n"),
    "unsigned": ("127.0.20.2", records("mx", WRONG)),
}
zones, servers = {}, {}
for number, (name, (certificate, data)) in enumerate(HOSTS.items(), 1):
    address = f"127.0.10.{number}"
    zones[name] = f"@ MX 10 mx\nmx A {address}\n" + records("mx", *data)
    servers[name] = TlsServer(certificate, address=address, port=PORT)
for name, (address, data) in SIGNED_ALIKE.items():
    zones[name] = f"@ MX 10 mx\nmx A {address}\n{data}"
servers["stripped"] = TlsServer(plain, address="127.0.20.1", port=PORT, starttls=None)
servers["open"] = TlsServer(plain, address="127.0.20.2", port=PORT)
zones["expired"] += f"tlsa TLSA {plain.tlsa()}\n"
zones |= {
    "second": "@ MX 10 mx.lostrecord.test.\n@ MX 20 mx.good.test.\n",
    "backup": "@ MX 10 mx.mismatch.test.\n@ MX 20 mx.good.test.\n",
    "alias": "@ MX 10 alias\nalias CNAME mx.good.test.\n",
    "ownalias": "@ MX 10 alias\nalias CNAME mx.none.test.\n" + records("alias", own.tlsa()),
    "badalias": "@ MX 10 alias\nalias CNAME mx.good.test.\n" + records("alias", WRONG),
    "outalias": "@ MX 10 alias\nalias CNAME mx.unsigned.test.\n" + records("alias", WRONG),
    "outgood": "@ MX 10 alias\nalias CNAME mx.unsigned.test.\n" + records("alias", plain.tlsa()),
    "pointer": f"@ MX 10 mx\nmx A 127.0.10.1\n_{PORT}._tcp.mx CNAME _{PORT}._tcp.mx.good.test.\n",
    "nomx": "@ A 127.0.10.1\n" + records("@", plain.tlsa()).replace("._tcp.@", "._tcp"),
    "loose": "@ MX 10 mx.good.test.\n",
    "loosewrong": "@ MX 10 mx.mismatch.test.\n",
    "loosenone": "@ MX 10 mx.none.test.\n",
}

# domain, action, status, text, server that gets it (or "" for none), encrypted, word in the log
DANE_CASES = [
    ("good", SENT, "", "", "good", True, "Verified"),
    ("sha512", SENT, "", "", "sha512", True, "Verified"),
    ("certsum", SENT, "", "", "certsum", True, "Verified"),
    ("wholecert", SENT, "", "", "wholecert", True, "Verified"),
    ("wholekey", SENT, "", "", "wholekey", True, "Verified"),
    ("several", SENT, "", "", "several", True, "Verified"),
    ("old", SENT, "", "", "old", True, "Verified"),
    ("own", SENT, "", "", "own", True, "Verified"),
    ("ta", SENT, "", "", "ta", True, "Verified"),
    ("takey", SENT, "", "", "takey", True, "Verified"),
    ("domain", SENT, "", "", "domain", True, "Verified"),
    ("taname", DEFERRED, "4.7.5", "Server certificate not verified", "", True, "verification failed"),
    ("tawrong", DEFERRED, "4.7.5", "Server certificate not verified", "", True, "verification failed"),
    ("mismatch", DEFERRED, "4.7.5", "Server certificate not verified", "", True, "verification failed"),
    ("unusable", SENT, "", "", "unusable", True, "Untrusted"),
    ("unusableplain", DEFERRED, "4.7.4", "TLS is required, but was not offered", "", False, ""),
    ("none", SENT, "", "", "none", True, "Untrusted"),
    ("plainhost", SENT, "", "", "stripped", False, ""),
    ("stripped", DEFERRED, "4.7.4", "TLS is required, but was not offered", "", False, ""),
    ("expired", DEFERRED, "4.4.3", "try again", "", False, ""),
    ("bogus", DEFERRED, "4.4.3", "try again", "", False, ""),
    ("lostrecord", DEFERRED, "4.7.5", "TLSA lookup error for mx.lostrecord.test", "", False, "TLSA lookup error"),
    ("unsigned", SENT, "", "", "open", True, "Trusted"),
    ("second", SENT, "", "", "good", True, "Verified"),
    ("backup", SENT, "", "", "good", True, "Verified"),
    ("alias", SENT, "", "", "good", True, "Verified"),
    ("ownalias", SENT, "", "", "none", True, "Verified"),
    ("badalias", SENT, "", "", "good", True, "Verified"),       # the alias's target comes first
    ("outalias", DEFERRED, "4.7.5", "Server certificate not verified", "", True, "verification failed"),
    ("outgood", SENT, "", "", "open", True, "Verified"),
    ("pointer", SENT, "", "", "good", True, "Verified"),
    ("nomx", SENT, "", "", "good", True, "Verified"),
    ("loose", SENT, "", "", "good", True, "Trusted"),           # its name may have been forged
    ("loosewrong", DEFERRED, "4.7.5", "Server certificate not verified", "", True, "verification failed"),
    ("loosenone", SENT, "", "", "none", True, "Untrusted"),
]
SETTINGS = ["smtp_dns_support_level=dnssec", "smtp_tls_loglevel=1", f"smtp_tls_CAfile={ours.file}", "smtp_connection_cache_on_demand=no",
            "smtp_log_tls_feature_status=yes"]


def received():
    return {name: (sum(x["messages"] for x in server.connections), server.encrypted) for name, server in servers.items()}


def attempt(world, level, destination, *settings):
    before = received()
    with Probe(*SETTINGS, f"smtp_tls_security_level={level}", *settings, dns=world.port) as client:
        outcome = client.send(destination)
        log = client.log()
    after = received()
    got = [(name, after[name][1] > before[name][1]) for name in servers if after[name][0] > before[name][0]]
    return outcome, got, log


def check(world, level, destination, case, *settings):
    name, action, status, text, to, encrypted, word = case
    outcome, got, log = attempt(world, level, destination, *settings)
    label = f"{level}{' ' + ' '.join(settings) if settings else ''}, {name}"
    t.ok(outcome["action"] == action and outcome["status"].startswith(status) and text in outcome["text"],
         f"{label}: {'sent' if action == SENT else 'deferred'}", f"{outcome}\n{log}")
    t.is_(got, [(to, encrypted)] if to else [], f"{label}: {'goes to ' + to if to else 'goes nowhere'}")
    if word:
        t.ok(word in log, f"{label}: the log says {word}", log)
    return log


def test_dane(world):
    print("# level dane", flush=True)
    for case in DANE_CASES:
        check(world, "dane", f"{case[0]}.test:{PORT}", case)
    log = check(world, "dane", f"[mx.good.test]:{PORT}", ("[mx.good.test]", SENT, "", "", "good", True, "Verified"))
    t.ok("tls=dane, " in log, "tls=dane", log)
    t.is_(servers["good"].connections[-1]["sni"], "mx.good.test", "the server's name is sent")
    check(world, "dane", f"[127.0.10.14]:{PORT}", ("an address has no records", SENT, "", "", "mismatch", True, ""))
    log = attempt(world, "dane", f"loose.test:{PORT}")[2]
    t.ok("tls=dane:halfdane, " in log, "tls=dane:halfdane", log)
    log = attempt(world, "dane", f"plainhost.test:{PORT}")[2]
    t.ok("tls=dane:none, " in log, "tls=dane:none", log)
    log = attempt(world, "dane", f"lostrecord.test:{PORT}")[2]
    t.ok("tls=dane?, " in log, "tls=dane?", log)


def test_policies(world):
    print("# dane-only, and MX records that are not signed", flush=True)
    for name, text in (("none", "no TLSA records found"), ("unsigned", "non DNSSEC destination"), ("loose", "non DNSSEC destination"),
                       ("unusable", "TLSA records unusable"), ("plainhost", "no TLSA records found")):
        check(world, "dane-only", f"{name}.test:{PORT}", (name, DEFERRED, "4.7.5", text, "", False, ""))
    check(world, "dane-only", f"good.test:{PORT}", ("good", SENT, "", "", "good", True, "Verified"))
    may, encrypt = "smtp_tls_dane_insecure_mx_policy=may", "smtp_tls_dane_insecure_mx_policy=encrypt"
    check(world, "dane", f"loosewrong.test:{PORT}", ("loosewrong", SENT, "", "", "mismatch", True, "Trusted"), may)
    check(world, "dane", f"loosewrong.test:{PORT}", ("loosewrong", SENT, "", "", "mismatch", True, "Trusted"), encrypt)
    check(world, "dane", f"unsigned.test:{PORT}", ("unsigned", SENT, "", "", "open", True, "Trusted"),
          "smtp_tls_force_insecure_host_tlsa_lookup=yes")      # asked for, but not signed either
    check(world, "dane", f"expired.test:{PORT}", ("expired", DEFERRED, "4.4.3", "", "", False, ""), "ignore_mx_lookup_error=yes")


def test_without_validation(world):
    print("# a resolver that does not validate, and none at all", flush=True)
    before = received()
    with Probe(*SETTINGS, "smtp_tls_security_level=dane", dns=world.authority_port) as client:
        outcome = client.send(f"mismatch.test:{PORT}")
    t.ok(outcome["action"] in (SENT, DEFERRED) and received()["good"] == before["good"], "what is not validated is not gone by", outcome)
    head = "$TTL 60\n@ SOA ns.test. hostmaster.test. 1 60 60 600 5\n@ NS ns.test.\n"
    unsigned = peers.NameServer(TOP / "plain", {"org": head, "test": head + "ns A 127.0.0.1\n" + zones["mismatch"]})
    with Probe(*SETTINGS, "smtp_tls_security_level=dane", dns=unsigned.port) as client:
        for _ in range(2):
            t.is_(client.send(f"test:{PORT}")["action"], SENT, "no validation at all: sent as with may")
        t.is_(client.log().count("DNSSEC validation may be unavailable"), 1, "with one warning")
    unsigned.close()
    with Probe(*SETTINGS, "smtp_tls_security_level=dane", dns=world.port) as client:
        t.is_(client.send(f"stripped.test:{PORT}")["status"], "4.7.4", "before the resolver goes")
        world.unbound.send_signal(signal.SIGSTOP)
        outcome = client.send(f"plainhost.test:{PORT}")
        t.ok(outcome["action"] == DEFERRED and outcome["status"] == "4.4.3", "a resolver that is silent: deferred", outcome)
        t.is_(client.send(f"stripped.test:{PORT}")["status"], "4.7.4", "what is known of a host stays so")
        world.unbound.send_signal(signal.SIGCONT)


def main():
    world = tls.SignedWorld(TOP / "dns", zones, unsigned=("unsigned", "loose", "loosewrong", "loosenone"), expired=("expired",),
                            bogus=("bogus",))
    try:
        test_dane(world)
        test_policies(world)
        test_without_validation(world)
    finally:
        world.close()
        for server in servers.values():
            server.close()


main()
t.done()
