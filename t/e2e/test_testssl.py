#!/usr/bin/env python3
"""testssl.sh against the defaults: STARTTLS and TLS from the first byte of SMTP, IMAP and POP3. No finding may be above
"low". Its scan of every known attack takes a minute: SMTP's port gets the whole of it, the others what differs by
daemon. TAP."""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tern_test as t
import tls_client_peers as tls

t.need("master", "smtpd", "imapd", "pop3d", "keys", "tern")
TESTSSL = shutil.which("testssl") or shutil.which("testssl.sh")
if not TESTSSL:
    t.skip_all("testssl.sh is not installed")

WHOLE = ["--protocols", "--server-defaults", "--server-preference", "--pfs", "--std", "--vulnerable"]
SHORT = ["--protocols", "--server-defaults", "--std"]
BAD = ("MEDIUM", "HIGH", "CRITICAL")
# What the test's own world brings about: a root that nobody else knows, nobody who tells of revocation.
OWN = ("cert_chain_of_trust", "cert_trust", "cert_revocation", "cert_crlDistributionPoints", "cert_ocspURL")


def scan(tern, root, name, port, checks, starttls=None):
    report = tern.top / f"testssl-{name}.json"
    command = [TESTSSL, "--quiet", "--warnings", "off", "--color", "0", "--nodns", "none", "--openssl-timeout", "10", "--connect-timeout", "10",
               "--add-ca", str(root.certificate), "--jsonfile", str(report), *checks]
    if starttls:
        command += ["--starttls", starttls]
    done = subprocess.run([*command, f"127.0.0.1:{port}"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    try:
        return json.loads(report.read_text()), done
    except (OSError, ValueError):
        return [], done


def main():
    with t.Instance(settings=["smtpd_client_connection_count_limit=0", "smtpd_client_connection_rate_limit=0", "anvil_rate_time_unit=1s",
                              "smtpd_tls_security_level=may", "smtpd_peername_lookup=no"]) as tern:
        root = tls.Authority(tern.top / "pki")
        chain = root.make("ec", "mail.example.test", ["mail.example.test", "localhost"], days=365)
        tern.set(f"smtpd_tls_chain_files = {chain}")
        with open(tern.etc / "master.cf", "a") as master:
            master.write(f"127.0.0.1:{tern.port_base + 30} inet n - - - - smtpd -o smtpd_tls_wrappermode=yes\n")
        tern.start()
        base = tern.port_base
        scans = {"smtp": (tern.smtp_port, WHOLE, "smtp"), "smtps": (base + 30, SHORT, None), "imap": (base + 143, SHORT, "imap"),
                 "pop3": (base + 110, SHORT, "pop3")}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            running = {name: pool.submit(scan, tern, root, name, *what) for name, what in scans.items()}
        for name, future in running.items():
            findings, done = future.result()
            found = {finding["id"]: finding for finding in findings}
            t.ok(found.get("TLS1_2", {}).get("severity") == "OK" and len(findings) > 20, f"{name}: {len(findings)} findings", (done.stdout[:1500], done.stderr[-500:]))
            bad = [(finding["id"], finding["severity"], finding["finding"][:100]) for finding in findings
                   if finding["severity"] in BAD and finding["id"].split(" ")[0] not in OWN]
            t.is_(bad, [], f"{name}: none above low")
        tern.stop()


main()
t.done()
