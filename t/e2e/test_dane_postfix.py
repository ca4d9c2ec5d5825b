#!/usr/bin/env python3
"""What tern and Postfix's posttls-finger make of the same hosts with good, bad and missing TLSA records: the same. TAP.

posttls-finger asks the system's resolver, so this runs in a network of its own with the signed DNS world on port 53."""

import re
import subprocess

import mail_peers as peers
import tern_test as t
import tls_peers as tls

peers.enter_own_network()
FINGER = peers.find_program("posttls-finger")
if not FINGER:
    t.skip_all("posttls-finger is not installed")
if not tls.PROBE.exists():
    t.skip_all("t/e2e/smtp_probe is not built")

import dane_world
from dane_world import DANE_CASES, PORT, TOP
from tls_peers import SENT, Probe

WORDS = re.compile(r"(Verified|Trusted|Untrusted|Anonymous) TLS connection established to ([\w.-]+)\[")


def finger(destination):
    """What posttls-finger says of each host with which it speaks TLS, and whether it gave up before."""
    command = f"mount --bind {TOP}/resolv.conf /etc/resolv.conf && exec {FINGER} -c -t 5 -T 5 -l dane {destination}"
    ran = subprocess.run([peers.find_program("unshare"), "-m", "sh", "-c", command], capture_output=True, text=True, timeout=60)
    text = ran.stdout + ran.stderr
    return WORDS.findall(text), "TLSA lookup error" in text, text


def main():
    (TOP / "resolv.conf").write_text("nameserver 127.0.0.1\noptions trust-ad\n")
    world = dane_world.start(53)
    try:
        for name, action, *_ in DANE_CASES:
            theirs, lost, text = finger(f"{name}.test:{PORT}")
            with Probe("smtp_tls_security_level=dane", "smtp_tls_loglevel=1", "smtp_tls_CAfile=", "smtp_dns_support_level=dnssec",
                       dns=world.port) as client:
                outcome = client.send(f"{name}.test:{PORT}")
                log = client.log()
            # posttls-finger stops at the first host with which TLS came about, whatever its certificate
            t.is_(WORDS.findall(log)[:len(theirs) or None], theirs, f"{name}: the same is said of the same host")
            t.is_("TLSA lookup error" in log, lost, f"{name}: {'records that cannot be had' if lost else 'no look-up fails'}")
            if action == SENT and theirs:
                t.ok(outcome["action"] == SENT, f"{name}: sent", f"{outcome}\n{text}")
    finally:
        dane_world.stop(world)


main()
t.done()
