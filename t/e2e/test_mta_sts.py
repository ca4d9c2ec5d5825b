#!/usr/bin/env python3
"""MTA-STS (RFC 8461): policies fetched over HTTPS in all the ways in which that can go
wrong, kept over restarts, and what smtp makes of them. And what else fetch fetches."""

import pathlib
import subprocess
import tempfile
import time

import mail_peers as peers
import tern_test as t
import tls_peers as tls
import web_peers as web

t.need("tern", "master", "fetch", "smtp")
PROBE = t.BUILD / "t" / "e2e" / "fetch_probe"
if not PROBE.exists():
    t.skip_all("not built: t/e2e/fetch_probe")
if not peers.find_program("openssl"):
    t.skip_all("openssl is not installed")

TOP = pathlib.Path(tempfile.mkdtemp(prefix="tern-sts-"))
authority = tls.Authority(TOP / "authority")
TEXT = {"Content-Type": "text/plain"}
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.{0}\r\nmx: *.pool.{0}\r\nmax_age: 86400\r\n"


def policy(domain, mode="enforce", age=86400, mx=None):
    lines = [f"mx: {x}" for x in (mx or [f"mx.{domain}", f"*.pool.{domain}"])]
    return "\r\n".join(["version: STSv1", f"mode: {mode}", *lines, f"max_age: {age}", ""]).encode()


def slow():
    time.sleep(30)
    return (200, TEXT, b"")


# domain's first label: what the server says
ANSWERS = {
    "good": lambda: (200, TEXT, policy("good.test")),
    "charset": lambda: (200, {"Content-Type": "text/plain; charset=utf-8"}, policy("charset.test")),
    "lf": lambda: (200, TEXT, policy("lf.test").replace(b"\r\n", b"\n")),
    "testing": lambda: (200, TEXT, policy("testing.test", "testing")),
    "none": lambda: (200, TEXT, b"version: STSv1\nmode: none\nmax_age: 60\n"),
    "missing": lambda: (404, TEXT, b"no"),
    "failing": lambda: (500, TEXT, policy("failing.test")),
    "redirect": lambda: (302, {"Location": "https://mta-sts.good.test/.well-known/mta-sts.txt"}, b""),
    "huge": lambda: (200, TEXT, policy("huge.test") + b"x-filler: " + b"y" * 100000 + b"\n"),
    "slow": slow,
    "hangup": lambda: None,
    "html": lambda: (200, {"Content-Type": "text/html"}, policy("html.test")),
    "version": lambda: (200, TEXT, policy("version.test").replace(b"STSv1", b"STSv2")),
    "nomx": lambda: (200, TEXT, b"version: STSv1\nmode: enforce\nmax_age: 60\n"),
    "garbage": lambda: (200, TEXT, b"\x00\xff\n\n"),
    "short": lambda: (200, TEXT, policy("short.test", age=12)),
    "changing": lambda: (200, TEXT, policy("changing.test")),
    "lost": lambda: (200, TEXT, policy("lost.test")),
    "wrongname": lambda: (200, TEXT, policy("wrongname.test")),
    "selfsigned": lambda: (200, TEXT, policy("selfsigned.test")),
    "expired": lambda: (200, TEXT, policy("expired.test")),
    "strange": lambda: (200, TEXT, policy("strange.test")),
}
FETCH_ERROR, INVALID, WEBPKI = "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"
# domain: (mode, trouble)
WANTED = {
    "good": (2, ""), "charset": (2, ""), "lf": (2, ""), "testing": (1, ""), "none": (0, ""),
    "missing": (0, FETCH_ERROR), "failing": (0, FETCH_ERROR), "redirect": (0, FETCH_ERROR), "huge": (0, FETCH_ERROR),
    "slow": (0, FETCH_ERROR), "hangup": (0, FETCH_ERROR), "html": (0, INVALID), "version": (0, INVALID),
    "nomx": (0, INVALID), "garbage": (0, INVALID), "wrongname": (0, WEBPKI), "selfsigned": (0, WEBPKI),
    "expired": (0, WEBPKI), "strange": (0, WEBPKI), "nohost": (0, FETCH_ERROR), "twice": (0, ""), "bare": (0, ""),
    "broken": (0, ""), "servfail": (0, ""),
}


def site(method, host, path, headers, body):
    if path == "/echo":
        return 200, {"Content-Type": "text/x-echo"}, f"{method} {headers.get('X-Test')} {headers.get('Content-Type')} ".encode() + body
    if path == "/long":
        return 200, TEXT, b"z" * 2000
    label = host.split(".")[1] if host.startswith("mta-sts.") else ""
    if path != "/.well-known/mta-sts.txt" or label not in ANSWERS:
        return 404, TEXT, b""
    return ANSWERS[label]()


table = {("web.test", "A"): ["127.0.0.1"]}
for name in [*ANSWERS, "nohost", "twice"]:
    table[(f"_mta-sts.{name}.test", "TXT")] = ["v=STSv1; id=1;"]
    if name != "nohost":
        table[(f"mta-sts.{name}.test", "A")] = ["127.0.0.1"]
table[("_mta-sts.good.test", "TXT")] += ["v=spf1 -all", "something else"]
table[("_mta-sts.twice.test", "TXT")] += ["v=STSv1; id=2;"]
table[("_mta-sts.broken.test", "TXT")] = ["v=STSv1; id=a-b;"]
table[("_mta-sts.servfail.test", "TXT")] = "SERVFAIL"
dns = web.NameServer(table)

# Domains that mail is sent to: (mode, MX hosts by preference, certificate of the host mx, what becomes of the mail, what
# the log says). The host is at an address of its own; other.test's is in nobody's policy.
PORT = peers.free_port()
SENT, DEFERRED = "sent", "deferred"
UNVERIFIED = "Server certificate not verified"
MAIL_CASES = {
    "mgood": ("enforce", ["mx"], "right", SENT, "Verified TLS connection established to mx.mgood.test"),
    "mpool": ("enforce", ["a.pool"], "right", SENT, "Verified TLS connection established to a.pool.mpool.test"),
    "mdeep": ("enforce", ["a.b.pool"], "right", DEFERRED, "MX host a.b.pool.mdeep.test is not in the MTA-STS policy of mdeep.test"),
    "mself": ("enforce", ["mx"], "own", DEFERRED, UNVERIFIED),
    "mwrong": ("enforce", ["mx"], "wrong", DEFERRED, UNVERIFIED),
    "mold": ("enforce", ["mx"], "old", DEFERRED, UNVERIFIED),
    "mplain": ("enforce", ["mx"], None, DEFERRED, "TLS is required, but was not offered by host mx.mplain.test"),
    "mother": ("enforce", ["elsewhere"], "right", DEFERRED, "MX host elsewhere.mother.test is not in the MTA-STS policy"),
    "msecond": ("enforce", ["elsewhere", "mx"], "right", SENT, "Verified TLS connection established to mx.msecond.test"),
    "mtself": ("testing", ["mx"], "own", SENT, "Untrusted TLS connection established to mx.mtself.test"),
    "mtother": ("testing", ["elsewhere"], "own", SENT, "MX host elsewhere.mtother.test is not in the MTA-STS policy (testing)"),
    "mtplain": ("testing", ["mx"], None, SENT, ""),
    "mtgood": ("testing", ["mx"], "right", SENT, "Verified TLS connection established to mx.mtgood.test"),
    "mnone": ("none", ["mx"], "own", SENT, "Untrusted TLS connection established to mx.mnone.test"),
    "mmissing": (None, ["mx"], "own", SENT, "Untrusted TLS connection established to mx.mmissing.test"),
    "mdane": ("enforce", ["mx"], "own", SENT, "Verified TLS connection established to mx.mdane.test"),
    "mbaddane": ("enforce", ["mx"], "right", DEFERRED, UNVERIFIED),
}
OLD = ("20200101000000Z", "20200201000000Z")
mail_servers = {}


def make_mail_world():
    """The servers, names and policies of MAIL_CASES."""
    for number, (name, (mode, hosts, kind, _, _)) in enumerate(MAIL_CASES.items(), 1):
        domain, address = f"{name}.test", f"127.0.30.{number}"
        names = [f"{x}.{domain}" for x in hosts]
        certificate = kind and authority.issue(*(["not.test"] if kind == "wrong" else names), own=kind == "own",
                                               dates=OLD if kind == "old" else None)
        mail_servers[name] = tls.TlsServer(certificate, address=address, port=PORT, name=names[-1],
                                           starttls="220 2.0.0 go ahead" if kind else None)
        table[(domain, "MX")] = [(10 + i, x) for i, x in enumerate(names)]
        for host in names:
            table[(host, "A")] = [address]
        table[(f"_mta-sts.{domain}", "TXT")] = ["v=STSv1; id=1;"]
        table[(f"mta-sts.{domain}", "A")] = ["127.0.0.1"]
        if name in ("mdane", "mbaddane"):
            dns.authentic |= {domain, names[0], f"_{PORT}._tcp.{names[0]}"}
            table[(f"_{PORT}._tcp.{names[0]}", "TLSA")] = [certificate.tlsa() if name == "mdane" else "3 1 1 " + "07" * 32]
        if mode:
            ANSWERS[name] = lambda domain=domain, mode=mode: (200, TEXT, policy(domain, mode))


make_mail_world()

certificates = {"default": authority.issue("default.test", "127.0.0.1")}
for name in ANSWERS:
    host = f"mta-sts.{name}.test"
    certificates[host] = authority.issue("mta-sts.other.test" if name == "wrongname" else host, own=name == "selfsigned",
                                         dates=("20200101000000Z", "20200201000000Z") if name == "expired" else None)
certificates["mta-sts.strange.test"] = tls.Authority(TOP / "strange", "another").issue("mta-sts.strange.test")
certificates["web.test"] = authority.issue("web.test")
server = web.WebServer(certificates, site)
plain = web.WebServer({}, site, plain=True)


SETTINGS = [dns.setting, f"mta_sts_https_port={server.port}", f"fetch_ca_file={authority.file}", "fetch_timeout=3s",
            "mta_sts_retry_time=2s", "dns_timeout=1s", "dns_attempts=1", "inet_protocols=ipv4"]


def ask(tern, *words, service=""):
    """The probe's answer as {name: value}; the last value may have several lines."""
    out = subprocess.run([str(PROBE), str(tern.spool / "private" / "fetch"), service, *map(str, words)],
                         capture_output=True, text=True, timeout=90).stdout
    answer, last = {}, None
    for line in out.splitlines():
        name, mark, value = line.partition("=")
        if mark and last not in ("policy", "body"):
            answer[name], last = value, name
        elif last:
            answer[last] += "\n" + line
    return answer


def asked(domain):
    return sum(1 for x in server.requests if x[1] == f"mta-sts.{domain}.test")


def test_answers(tern):
    for name, (mode, trouble) in WANTED.items():
        answer = ask(tern, "policy", f"{name}.test")
        t.is_((answer.get("mode"), answer.get("trouble")), (str(mode), trouble), f"{name}: mode and trouble")
    good = ask(tern, "policy", "GOOD.test")
    t.is_(good["patterns"], "mx.good.test *.pool.good.test", "the patterns")
    t.ok(good["policy"].startswith("version: STSv1") and "max_age: 86400" in good["policy"], "and the lines as fetched")
    t.is_(asked("good"), 1, "it was fetched once")
    t.is_(asked("redirect"), 1, "a redirect is not followed")
    t.ok(all(x[2] == "/.well-known/mta-sts.txt" for x in server.requests), "nothing else was asked for")
    ask(tern, "policy", "missing.test")
    count = asked("missing")
    ask(tern, "policy", "missing.test")
    t.is_(asked("missing"), count, "a failure is remembered for a while")
    t.ok(t.wait_for(lambda: ask(tern, "policy", "missing.test") and asked("missing") > count, 10), "and then tried again")
    t.ok(tern.wait_log("MTA-STS policy of good.test, id 1: mode=enforce, max_age=86400"), "a policy is logged")
    t.ok(tern.wait_log("MTA-STS policy of expired.test, id 1: sts-webpki-invalid: mta-sts.expired.test: "), "a failure, too")


def test_changes(tern):
    def answer():
        return ask(tern, "policy", "changing.test")
    t.is_(answer()["mode"], "2", "a first policy")
    ANSWERS["changing"] = lambda: (200, TEXT, policy("changing.test", "testing"))
    t.is_(answer()["mode"], "2", "as long as the id is the same, it counts")
    table[("_mta-sts.changing.test", "TXT")] = ["v=STSv1; id=2;"]
    t.is_(answer()["mode"], "1", "a new id: fetched again")
    table[("_mta-sts.changing.test", "TXT")] = ["v=STSv1; id=3;"]
    ANSWERS["changing"] = lambda: (404, TEXT, b"")
    changed = answer()
    t.is_((changed["mode"], changed["trouble"]), ("1", FETCH_ERROR), "one that cannot be had: the old one counts")
    del table[("_mta-sts.changing.test", "TXT")]
    t.is_(answer()["mode"], "1", "the record is gone: the policy still counts")
    ANSWERS["changing"] = lambda: (200, TEXT, b"version: STSv1\nmode: none\nmax_age: 60\n")
    table[("_mta-sts.changing.test", "TXT")] = ["v=STSv1; id=4;"]
    t.ok(t.wait_for(lambda: answer()["mode"] == "0", 10), "mode none takes it back")


def test_end(tern):
    # Due from half of its age on, and looked for every five seconds.
    t.is_(ask(tern, "policy", "short.test")["mode"], "2", "a policy of a short life")
    count = asked("short")
    t.ok(t.wait_for(lambda: asked("short") > count, 15), "it is fetched again in the background")
    ANSWERS["short"] = lambda: (404, TEXT, b"")
    del table[("_mta-sts.short.test", "TXT")]
    t.ok(t.wait_for(lambda: ask(tern, "policy", "short.test")["mode"] == "0", 30), "when it has ended it counts no more")
    t.ok(t.wait_for(lambda: not (tern.directory / "data" / "fetch" / "short.test").exists(), 10), "and its file goes")


def test_restart(tern):
    ask(tern, "policy", "lost.test")
    files = tern.directory / "data" / "fetch"
    t.ok((files / "lost.test").exists(), "there is a file")
    torn = (files / "good.test").read_bytes()
    tern.stop()
    (files / "good.test").write_bytes(torn.replace(b"enforce", b"testing"))
    (files / "Stray").write_text("x")
    del table[("_mta-sts.lost.test", "TXT")]
    count = asked("lost")
    tern.start()
    t.is_(ask(tern, "policy", "lost.test")["mode"], "2", "a policy outlives a restart, though its record is gone")
    t.is_(asked("lost"), count, "without being fetched")
    count = asked("good")
    t.is_(ask(tern, "policy", "good.test")["mode"], "2", "an altered file does not count")
    t.is_(asked("good"), count + 1, "and is fetched again")


def test_exchange(tern):
    url = f"https://web.test:{server.port}"
    for service in ("auth", "tlsrpt"):
        got = ask(tern, "get", url + "/echo", 1000, service=service)
        t.is_((got.get("status"), got.get("type")), ("200", "text/x-echo"), f"{service} may ask")
    got = ask(tern, "post", url + "/echo", "some content", service="auth")
    t.is_(got.get("body"), "POST 1 text/x-test some content", "a POST with headers")
    t.is_(ask(tern, "get", f"https://127.0.0.1:{server.port}/echo", 100, service="auth").get("status"), "200", "an address")
    t.is_(ask(tern, "get", url + "/nothing", 100, service="auth").get("status"), "404", "any status is an answer")
    t.ok("larger" in ask(tern, "get", url + "/long", 1999, service="auth").get("failed", ""), "the limit on the content")
    t.is_(len(ask(tern, "get", url + "/long", 2000, service="auth").get("body", "")), 2000, "which is exact")
    http = f"http://127.0.0.1:{plain.port}/echo"
    t.is_(ask(tern, "get", http, 100, service="auth").get("status"), "200", "http: to loopback, for auth")
    t.ok("only https" in ask(tern, "get", http, 100, service="tlsrpt").get("failed", ""), "but not for tlsrpt")
    for service in ("smtp", "smtpd", ""):
        t.ok("asks nothing of the web" in ask(tern, "get", url, 100, service=service).get("failed", ""),
             f"\"{service}\" may not ask")
    for bad in ("ftp://web.test/", "file:///etc/passwd", "https://user@web.test/", "https://web.test:0/", "web.test"):
        t.ok("no URL" in ask(tern, "get", bad, 100, service="auth").get("failed", ""), f"refused: {bad}")
    t.ok("no address" in ask(tern, "get", "https://nowhere.test/", 10, service="auth").get("failed", ""), "no such host")


def test_private(tern):
    answer = ask(tern, "policy", "good.test")
    t.is_((answer["mode"], answer["trouble"]), ("0", FETCH_ERROR), "a policy host at a private address is not asked")
    t.ok(tern.wait_log("has no public address"), "and the log says why")
    url = f"https://web.test:{server.port}/echo"
    t.is_(ask(tern, "get", url, 100, service="auth").get("status"), "200", "auth may ask servers inside")
    t.ok("public" in ask(tern, "get", url, 100, service="tlsrpt").get("failed", ""), "tlsrpt may not")


def outcome(tern, address):
    """The log's line about a recipient."""
    lines = [x for x in tern.log().splitlines() if f"to=<{address}>," in x and "status=" in x]
    return lines[-1] if lines else ""


def test_mail(tern):
    for name in MAIL_CASES:
        tern.send("s@example.test", [f"r@{name}.test"], b"Subject: x\n\nx\n")
    for name, (_, _, _, wanted, text) in MAIL_CASES.items():
        line = t.wait_for(lambda: outcome(tern, f"r@{name}.test"), 60)
        t.ok(f"status={wanted}" in line and tern.wait_log(text, 5), f"{name}: {wanted}; {text}", line)
        t.is_(len(mail_servers[name].messages), 1 if wanted == SENT else 0, f"{name}: what the server got")
    t.is_(mail_servers["msecond"].connections[0]["sni"], "mx.msecond.test", "the host's name is sent to the server")
    t.is_(mail_servers["mplain"].connections[0]["plain"][-1], "QUIT", "nothing is said without TLS")
    t.is_(asked("mgood"), 1, "a policy is fetched once")


def test_not_required(tern):
    """TLS-Required: No (RFC 8689 section 5)."""
    for name in ("mself", "mplain", "mother", "mbaddane"):
        tern.send("s@example.test", [f"no@{name}.test"], b"TLS-Required: No\nSubject: x\n\nx\n")
        line = t.wait_for(lambda: outcome(tern, f"no@{name}.test"), 30)
        t.ok("status=sent" in line, f"{name}: with TLS-Required: No it is delivered", line)
    tern.send("s@example.test", ["maybe@mself.test"], b"TLS-Required: Yes\nSubject: x\n\nx\n")
    line = t.wait_for(lambda: outcome(tern, "maybe@mself.test"), 30)
    t.ok("status=deferred" in line, "another value does not do that", line)


def test_switched_off(tern):
    tern.set("smtp_tls_mta_sts = no")
    tern.run("reload")
    tern.send("s@example.test", ["off@mself.test"], b"Subject: x\n\nx\n")
    line = t.wait_for(lambda: outcome(tern, "off@mself.test"), 30)
    t.ok("status=sent" in line, "smtp_tls_mta_sts = no: policies do not count", line)


MAIL_SETTINGS = ["fetch_private_addresses=yes", "smtp_tls_security_level=dane", "smtp_dns_support_level=dnssec",
                 f"smtp_tls_CAfile={authority.file}", f"smtp_tcp_port={PORT}", "smtp_tls_loglevel=1",
                 "smtp_connection_cache_on_demand=no", "minimal_backoff_time=1000s"]


def main():
    with t.Instance(settings=[*SETTINGS, *MAIL_SETTINGS]) as tern:
        tern.start()
        test_mail(tern)
        test_not_required(tern)
        test_switched_off(tern)
        peers.check_health(tern)
    with t.Instance(settings=[*SETTINGS, "fetch_private_addresses=yes"]) as tern:
        tern.start()
        test_answers(tern)
        test_changes(tern)
        test_end(tern)
        test_exchange(tern)
        test_restart(tern)
        peers.check_health(tern)
    table[("_mta-sts.good.test", "TXT")] = ["v=STSv1; id=1;"]
    with t.Instance(settings=SETTINGS) as tern:
        tern.start()
        test_private(tern)
        peers.check_health(tern)


main()
t.done()
