#!/usr/bin/env python3
"""REQUIRETLS (RFC 8689): who may ask for it, where such mail goes and where it does not,
what comes back, and that it is not forgotten on the way."""

import pathlib
import re
import ssl
import tempfile

import mail_peers as peers
import tern_test as t
import tls_peers as tls
import web_peers as web

t.need("tern", "master", "fetch", "smtp", "smtpd", "keys", "bounce")
if not peers.find_program("openssl"):
    t.skip_all("openssl is not installed")

TOP = pathlib.Path(tempfile.mkdtemp(prefix="tern-requiretls-"))
authority = tls.Authority(TOP / "authority")
PORT = peers.free_port()
OFFERS = ("PIPELINING", "DSN", "REQUIRETLS")
# domain: (how the MX host is known: TLSA, an MTA-STS policy, nothing; its extensions in TLS; is there TLS;
# what becomes of the mail: sent, or the status and text of its log line)
CASES = {
    "dane": ("tlsa", OFFERS, True, "sent"),
    "sts": ("sts", OFFERS, True, "sent"),
    "daneless": ("tlsa", ("DSN",), True, ("bounced", "5.7.30", "REQUIRETLS is required, but was not offered by host mx.daneless.test")),
    "stsless": ("sts", ("DSN",), True, ("bounced", "5.7.30", "REQUIRETLS is required, but was not offered by host mx.stsless.test")),
    "unknown": (None, OFFERS, True, ("bounced", "5.7.30", "nothing says how to verify host mx.unknown.test")),
    "testing": ("testing", OFFERS, True, ("bounced", "5.7.30", "nothing says how to verify host mx.testing.test")),
    "plain": ("tlsa", OFFERS, False, ("bounced", "5.7.10", "TLS is required, but was not offered by host mx.plain.test")),
    "badtlsa": ("badtlsa", OFFERS, True, ("deferred", "4.7.5", "Server certificate not verified")),
    "broken": ("servfail", OFFERS, True, ("deferred", "4.7.5", "TLSA lookup error")),
    "second": ("tlsa", OFFERS, True, "sent"),
    "either": ("tlsa", ("DSN",), True, ("deferred", "4.7.30", "REQUIRETLS is required")),
}
table, servers, policies, sites = {}, {}, {}, {}
dns = web.NameServer(table)


def site(method, host, path, headers, body):
    return (200 if host in policies else 404), {"Content-Type": "text/plain"}, policies.get(host, b"")


def make_world():
    for number, (name, (known, offers, has_tls, _)) in enumerate(CASES.items(), 1):
        domain, host, address = f"{name}.test", f"mx.{name}.test", f"127.0.32.{number}"
        certificate = authority.issue(host)
        servers[name] = tls.TlsServer(certificate, address=address, port=PORT, name=host, after=offers,
                                      before=offers, starttls="220 2.0.0 go ahead" if has_tls else None)
        table[(domain, "MX")] = [(10, host)]
        table[(host, "A")] = [address]
        if known in ("tlsa", "badtlsa", "servfail"):
            dns.authentic |= {domain, host, f"_{PORT}._tcp.{host}"}
            records = {"tlsa": [certificate.tlsa()], "badtlsa": ["3 1 1 " + "07" * 32], "servfail": "SERVFAIL"}[known]
            table[(f"_{PORT}._tcp.{host}", "TLSA")] = records
        elif known:
            mode = "testing" if known == "testing" else "enforce"
            table[(f"_mta-sts.{domain}", "TXT")] = ["v=STSv1; id=1;"]
            table[(f"mta-sts.{domain}", "A")] = ["127.0.0.1"]
            sites[f"mta-sts.{domain}"] = authority.issue(f"mta-sts.{domain}")
            policies[f"mta-sts.{domain}"] = f"version: STSv1\nmode: {mode}\nmx: {host}\nmax_age: 86400\n".encode()
    # The first host of one does not offer it, the second does; of the other the first is not there at all.
    table[("second.test", "MX")] = [(10, "mx.daneless.test"), (20, "mx.second.test")]
    table[("either.test", "MX")] = [(10, "gone.either.test"), (20, "mx.either.test")]
    table[("gone.either.test", "A")] = ["127.0.32.200"]
    table[(f"_{PORT}._tcp.gone.either.test", "TLSA")] = ["3 1 1 " + "07" * 32]
    dns.authentic |= {"gone.either.test", f"_{PORT}._tcp.gone.either.test"}


make_world()
server = web.WebServer(sites, site)
own = authority.issue("mail.example.test")
chain = TOP / "own.pem"
chain.write_bytes(pathlib.Path(own.key).read_bytes() + pathlib.Path(own.chain).read_bytes())
SETTINGS = [dns.setting, f"mta_sts_https_port={server.port}", f"fetch_ca_file={authority.file}", "fetch_private_addresses=yes",
            "smtp_dns_support_level=dnssec", f"smtp_tls_CAfile={authority.file}", f"smtp_tcp_port={PORT}", "smtp_tls_loglevel=1",
            "smtp_connection_cache_on_demand=no", "minimal_backoff_time=1000s", "dns_timeout=2s", "inet_protocols=ipv4",
            f"smtpd_tls_chain_files={chain}", "smtpd_tls_security_level=may", "myhostname=mail.example.test"]


def session(tern, secure=True):
    """An SMTP session, with TLS."""
    client = tern.smtp()
    if secure:
        context = ssl.create_default_context(cafile=authority.file)
        context.check_hostname = False
        client.starttls(context=context)
        client.ehlo()
    return client


def submit(tern, recipient, header="", sender="s@example.test", options=("REQUIRETLS",)):
    with session(tern) as client:
        client.sendmail(sender, [recipient], f"Subject: to {recipient}\r\n{header}\r\nSecret words.\r\n", mail_options=list(options))


def outcome(tern, address):
    lines = [x for x in tern.log().splitlines() if f"to=<{address}>," in x and "status=" in x]
    return lines[-1] if lines else ""


def wait_outcome(tern, address):
    return t.wait_for(lambda: outcome(tern, address), 60)


def mail_lines(name):
    return [x for connection in servers[name].connections for x in connection["tls"] + connection["plain"] if x.startswith("MAIL")]


def test_offer(tern):
    with session(tern, secure=False) as client:
        t.ok(not client.has_extn("requiretls"), "it is not offered in plain text")
        code, text = client.docmd("MAIL FROM:<s@example.test> REQUIRETLS")
        t.is_((code, text[:5]), (555, b"5.5.4"), "and not taken there")
    with session(tern) as client:
        t.ok(client.has_extn("requiretls"), "it is offered with TLS")
        t.is_(client.docmd("MAIL FROM:<s@example.test> REQUIRETLS=yes")[0], 501, "it takes no value")
        t.is_(client.docmd("MAIL FROM:<s@example.test> REQUIRETLS")[0], 250, "and is taken")


def test_cases(tern):
    for name in CASES:
        submit(tern, f"r@{name}.test")
    for name, (_, _, _, wanted) in CASES.items():
        line = wait_outcome(tern, f"r@{name}.test")
        if wanted == "sent":
            t.ok("status=sent" in line, f"{name}: sent", line)
            lines = mail_lines(name)
            t.ok(len(lines) == 1 and "REQUIRETLS" in lines[0].split(), f"{name}: REQUIRETLS is passed on", lines)
            t.is_(servers[name].encrypted, 1, f"{name}: by TLS")
        else:
            status, code, text = wanted
            t.ok(f"status={status}" in line and f"dsn={code}" in line and text in line, f"{name}: {status}, {code}", line)
            t.is_(servers[name].messages, [], f"{name}: the server does not get it")


def test_returned(tern):
    """What comes back (RFC 8689 section 4.3)."""
    bounced = [name for name, case in CASES.items() if case[3][0] == "bounced"]
    stored = tern.wait_stored("s", len(bounced), 30)
    t.is_(len(stored), len(bounced), "each returned message came back")
    t.ok(all(b"Secret words" not in x and b"Subject: to r@" in x for x in stored), "with its header alone")
    submit(tern, "r@unknown.test", sender="far@dane.test")
    t.ok(t.wait_for(lambda: len(servers["dane"].messages) == 2, 30), "a notice to a sender elsewhere")
    line = mail_lines("dane")[-1]
    t.ok(line.startswith("MAIL FROM:<> ") and "REQUIRETLS" in line.split(), "is REQUIRETLS too", line)
    t.ok("Secret words" not in servers["dane"].messages[-1], "and has the header alone")
    count = tern.log().count("REQUIRETLS is required, but was not offered by host mx.daneless.test")
    submit(tern, "r@unknown.test", sender="far@daneless.test")
    t.ok(tern.wait_log("REQUIRETLS is required, but was not offered by host mx.daneless.test", 30, count + 1),
         "to one that cannot have it so it does not go")
    t.is_(servers["daneless"].messages, [], "not even then")


def test_kept(tern):
    """A message that waits is still REQUIRETLS after a restart."""
    table[(f"_{PORT}._tcp.mx.broken.test", "TLSA")] = "SERVFAIL"
    queued = [x for x in tern.queued() if "broken.test" in tern.queue_tool("terncat", "-q", x).stdout]
    t.is_(len(queued), 1, "the message waits")
    shown = tern.queue_tool("terncat", "-e", "-q", queued[0]).stdout
    t.ok(re.search(r"^tls: +required$", shown, re.M), "terncat shows what it asks for", shown)
    tern.stop()
    certificate = authority.issue("mx.broken.test")
    table[(f"_{PORT}._tcp.mx.broken.test", "TLSA")] = [certificate.tlsa()]
    servers["broken"].context.load_cert_chain(certificate.chain, certificate.key)
    tern.start()
    tern.queue_tool("ternqueue", "-i", queued[0])
    t.ok(t.wait_for(lambda: servers["broken"].messages, 30), "it is sent later", tern.log()[-500:])
    t.ok("REQUIRETLS" in mail_lines("broken")[-1].split(), "with REQUIRETLS")


def test_others(tern):
    for name in ("unknown", "plain", "daneless"):
        before = len(servers[name].messages)
        submit(tern, f"o@{name}.test", options=())
        line = wait_outcome(tern, f"o@{name}.test")
        t.ok("status=sent" in line, f"{name}: mail that asks for nothing is sent", line)
        t.is_(len(servers[name].messages), before + 1, f"{name}: and arrives")
    t.ok(not any("REQUIRETLS" in x for x in mail_lines("unknown")), "without the word")
    submit(tern, "h@badtlsa.test", header="TLS-Required: No\r\n")
    line = wait_outcome(tern, "h@badtlsa.test")
    t.ok("status=deferred" in line, "the header field TLS-Required: No does not undo REQUIRETLS", line)
    submit(tern, "s@example.test")
    t.ok(t.wait_for(lambda: any(b"Subject: to s@example.test" in x for x in tern.stored("s")), 20), "local mail is delivered")


def test_alias(tern):
    submit(tern, "away@example.test")
    line = wait_outcome(tern, "a@unknown.test")
    t.ok("status=bounced" in line and "5.7.30" in line, "what an alias sends on is REQUIRETLS as well", line)


def test_switched_off(tern):
    tern.set("requiretls_enable = no")
    tern.run("reload")

    def offered():
        with session(tern) as client:
            return client.has_extn("requiretls")
    t.ok(t.wait_for(lambda: not offered(), 10), "requiretls_enable = no: it is not offered")


def main():
    with t.Instance(settings=[*SETTINGS, "virtual_alias_maps=inline:{ {away@example.test=a@unknown.test} }"]) as tern:
        tern.add_user("s")
        tern.start()
        test_offer(tern)
        test_cases(tern)
        test_returned(tern)
        test_kept(tern)
        test_others(tern)
        test_alias(tern)
        test_switched_off(tern)
        peers.check_health(tern)


main()
t.done()
