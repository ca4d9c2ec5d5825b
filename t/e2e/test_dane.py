#!/usr/bin/env python3
"""DANE (RFC 6698, 7671, 7672) in a signed DNS world of its own: nsd, a validating unbound, good and bad TLSA records, hosts
that lie. TAP.

smtp_probe runs the client's code; each host is a server at an address of its own on loopback, all on one port."""

import re
import signal

import mail_peers as peers
import tern_test as t
import tls_peers as tls

if not tls.PROBE.exists():
    t.skip_all("t/e2e/smtp_probe is not built")

import dane_world
from dane_world import DANE_CASES, PORT, TOP, ours, servers, zones
from tls_peers import DEFERRED, SENT, Probe

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
    with Probe(*SETTINGS, "smtp_tls_security_level=dane", dns=world.port) as client:
        for name in ("good", "ta", "mismatch"):
            outcomes = [client.send(f"{name}.test:{PORT}")["action"] for _ in range(3)]
            t.is_(outcomes, [DEFERRED if name == "mismatch" else SENT] * 3, f"{name}: three in a row")
            reused = len(re.findall(rf"Verified TLS connection reused to mx\.{name}\.test", client.log()))
            t.is_(reused, 0 if name == "mismatch" else 2, f"{name}: sessions are resumed only where the server is the right one")
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
        t.freeze(world.unbound.pid)
        outcome = client.send(f"plainhost.test:{PORT}")
        t.ok(outcome["action"] == DEFERRED and outcome["status"] == "4.4.3", "a resolver that is silent: deferred", outcome)
        t.is_(client.send(f"stripped.test:{PORT}")["status"], "4.7.4", "what is known of a host stays so")
        world.unbound.send_signal(signal.SIGCONT)


def main():
    world = dane_world.start()
    try:
        test_dane(world)
        test_policies(world)
        test_without_validation(world)
    finally:
        dane_world.stop(world)


main()
t.done()
