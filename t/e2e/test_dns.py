#!/usr/bin/env python3
"""DNS look-ups against a real name server (nsd on a loopback port). TAP.

TERN_BUILD names the build directory (default "."), where t/dns_probe is."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("TERN_BUILD", ".")
PROBE = os.path.join(BUILD, "t", "dns_probe")

TEXTS = ["%02d" % number + "x" * 250 for number in range(24)]

ZONE = """$ORIGIN tern.test.
$TTL 300
@ 3600 IN SOA ns hostmaster 1 3600 900 604800 120
@ IN NS ns
ns IN A 127.0.0.1
@ IN MX 20 mx2
@ IN MX 10 MX1
@ IN TXT "v=spf1 mx" " -all"
mx1 IN A 192.0.2.1
mx1 IN A 192.0.2.2
mx1 60 IN AAAA 2001:db8::1
mx2 IN A 192.0.2.3
_25._tcp.mx1 IN TLSA 3 1 1 aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899
_submission._tcp IN SRV 1 2 587 mx1
null IN MX 0 .
a1 IN CNAME a2
a2 30 IN CNAME a3
a3 IN CNAME mx1
to-nothing IN CNAME nothing
to-nodata IN CNAME mx2
to-far IN CNAME far.other.test.
loop1 IN CNAME loop2
loop2 IN CNAME loop1
*.wild IN A 192.0.2.9
sub IN NS ns.sub
ns.sub IN A 127.0.0.2
long0 IN CNAME long1
long1 IN CNAME long2
long2 IN CNAME long3
long3 IN CNAME long4
long4 IN CNAME long5
long5 IN CNAME long6
long6 IN CNAME long7
long7 IN CNAME long8
long8 IN CNAME mx1
1.2.0.192.in-addr IN PTR mx1
""" + "".join('big IN TXT "%s"\n' % text for text in TEXTS)

OTHER_ZONE = """$ORIGIN other.test.
$TTL 300
@ IN SOA ns hostmaster 1 3600 900 604800 120
@ IN NS ns
ns IN A 127.0.0.1
far IN A 192.0.2.4
"""

# name, type, result, records (any order), further lines that must be there
CASES = [
    ("tern.test", "MX", "found", ["10 mx1.tern.test", "20 mx2.tern.test"], ["ttl 300", "authentic 0"]),
    ("TERN.Test.", "MX", "found", ["10 mx1.tern.test", "20 mx2.tern.test"], ["name tern.test"]),
    ("mx1.tern.test", "A", "found", ["192.0.2.1", "192.0.2.2"], []),
    ("mx1.tern.test", "AAAA", "found", ["2001:db8::1"], ["ttl 60"]),
    ("tern.test", "TXT", "found", ["v=spf1 mx -all"], []),
    ("_25._tcp.mx1.tern.test", "TLSA", "found",
     ["030101" + "aabbccddeeff00112233445566778899" * 2], []),
    ("_submission._tcp.tern.test", "SRV", "found", ["1 2 587 mx1.tern.test"], []),
    ("null.tern.test", "MX", "found", ["0 "], []),
    ("1.2.0.192.in-addr.tern.test", "PTR", "found", ["mx1.tern.test"], []),
    ("a1.tern.test", "A", "found", ["192.0.2.1", "192.0.2.2"], ["name mx1.tern.test", "ttl 30"]),
    ("a1.tern.test", "CNAME", "found", ["a2.tern.test"], ["name a1.tern.test"]),
    ("to-far.tern.test", "A", "found", ["192.0.2.4"], ["name far.other.test"]),
    ("x.wild.tern.test", "A", "found", ["192.0.2.9"], []),
    ("long1.tern.test", "A", "found", ["192.0.2.1", "192.0.2.2"], []),
    ("big.tern.test", "TXT", "found", TEXTS, []),
    ("nothing.tern.test", "A", "no-name", [], ["ttl 120"]),
    ("to-nothing.tern.test", "A", "no-name", [], ["name nothing.tern.test"]),
    ("mx2.tern.test", "AAAA", "no-data", [], ["ttl 120"]),
    ("to-nodata.tern.test", "AAAA", "no-data", [], ["name mx2.tern.test"]),
    ("loop1.tern.test", "A", "retry", [], []),
    ("long0.tern.test", "A", "retry", [], []),
    ("host.sub.tern.test", "A", "retry", [], ["failure name server 127.0.0.1: no authority and no recursion"
                                              " for host.sub.tern.test type A"]),
    ("elsewhere.example", "A", "retry", [], ["failure name server 127.0.0.1: REFUSED"
                                             " for elsewhere.example type A"]),
    ("a b", "A", "invalid", [], []),
]


def skip_all(reason):
    print("1..0 # SKIP " + reason)
    sys.exit(0)


def free_port():
    """A port that is free for UDP and TCP on loopback."""
    for _ in range(50):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            stream.bind(("127.0.0.1", 0))
            port = stream.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
                try:
                    datagram.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
    skip_all("no free port")


def start_nsd(nsd, folder, port):
    for name, text in (("tern.test", ZONE), ("other.test", OTHER_ZONE)):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
    config = os.path.join(folder, "nsd.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"""server:
    server-count: 1
    ip-address: 127.0.0.1
    port: {port}
    do-ip6: no
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    logfile: "{folder}/log"
    pidfile: "{folder}/pid"
    xfrdfile: "{folder}/xfrd"
    zonelistfile: "{folder}/zones"
    cookie-secret-file: "{folder}/cookie"
    xfrdir: "{folder}"
remote-control:
    control-enable: no
zone:
    name: tern.test
    zonefile: tern.test
zone:
    name: other.test
    zonefile: other.test
""")
    return subprocess.Popen([nsd, "-d", "-c", config], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def probe(port, questions):
    """One list of output lines a question."""
    arguments = [word for question in questions for word in question]
    output = subprocess.run([PROBE, "127.0.0.1", str(port)] + arguments, stdout=subprocess.PIPE, timeout=60,
                            check=True).stdout.decode()
    answers = []
    for line in output.splitlines():
        if line.startswith("result "):
            answers.append([])
        answers[-1].append(line)
    return answers


def wait_until_up(server, port):
    for _ in range(100):
        if server.poll() is not None:
            return False
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


def check(case, lines):
    _, _, result, records, further = case
    got = sorted(line[len("record "):] for line in lines if line.startswith("record "))
    return lines[0] == "result " + result and got == sorted(records) and all(line in lines for line in further)


def main():
    nsd = shutil.which("nsd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not nsd:
        skip_all("nsd is not installed")
    if not os.path.exists(PROBE):
        skip_all(PROBE + " is not built")
    with tempfile.TemporaryDirectory(prefix="tern-dns-") as folder:
        port = free_port()
        server = start_nsd(nsd, folder, port)
        try:
            if not wait_until_up(server, port):
                with open(os.path.join(folder, "log"), encoding="utf-8", errors="replace") as log:
                    sys.stderr.write(log.read())
                print("Bail out! nsd does not run")
                return 1
            answers = probe(port, [case[:2] for case in CASES])
        finally:
            server.terminate()
            server.wait()
    print("1..%d" % len(CASES))
    failed = 0
    for number, (case, lines) in enumerate(zip(CASES, answers), 1):
        good = check(case, lines)
        failed += not good
        print("%sok %d - %s %s: %s" % ("" if good else "not ", number, case[0], case[1], case[2]))
        if not good:
            print("".join("# %s\n" % line for line in lines), end="")
    return 1 if failed else 0


sys.exit(main())
