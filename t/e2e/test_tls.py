#!/usr/bin/env python3
"""TLS to smtpd: STARTTLS and TLS from the first byte; what must not survive it, levels, versions,
ciphers, names, sessions, client certificates; and what attackers and broken clients try. TAP.

TERN_IDLE_TLS: how many idle sessions are measured (200).

One instance; each set of options is a service of its own on a port of its own."""

import os
import re
import socket
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mail_peers as peers
import tern_test as t
import tls_client_peers as tls

t.need("master", "smtpd", "keys", "tern")
if not tls.OPENSSL:
    t.skip_all("the openssl command is not installed")

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
MESSAGE = b"From: a@client.example\r\nTo: ada@example.test\r\nSubject: over TLS\r\n\r\nhello\r\n"
IDLE = int(os.environ.get("TERN_IDLE_TLS", "200"))
SERVICES = {
    "encrypt": ["smtpd_tls_security_level=encrypt", "smtpd_helo_required=yes"],
    "asking": ["smtpd_tls_ask_ccert=yes", "smtpd_relay_restrictions=permit_tls_clientcerts,reject",
               "smtpd_recipient_restrictions="],
    "trusting": ["smtpd_tls_ask_ccert=yes", "smtpd_relay_restrictions=permit_tls_all_clientcerts,reject",
                 "smtpd_recipient_restrictions=check_ccert_access,texthash:$config_directory/ccert_access"],
    "requiring": ["smtpd_tls_wrappermode=yes", "smtpd_tls_req_ccert=yes"],
    "modern": ["tls_policy=modern", "smtpd_starttls_timeout=2s", "smtpd_forbid_unauth_pipelining=no"],
    "old": ["tls_policy=old", "smtpd_tls_exclude_ciphers=CHACHA20"],
    "counting": ["smtpd_client_new_tls_session_rate_limit=2", "smtpd_client_event_limit_exceptions="],
    "none": ["smtpd_tls_security_level=none"],
    "discarding": ["smtpd_discard_ehlo_keywords=starttls"],
}


class World:
    """An instance with certificates of every kind."""

    def __init__(self, tern):
        self.tern = tern
        self.root = tls.Authority(tern.top / "pki")
        self.stranger = tls.Authority(tern.top / "pki2", "Stranger")
        self.ports = {name: tern.port_base + 26 + i for i, name in enumerate(SERVICES)}
        ec = self.root.make("ec", "mx.example.test", ["mx.example.test"])
        rsa = self.root.make("rsa", "mx.example.test", ["mx.example.test"], kind="rsa")
        other = self.root.make("other", "other.example.test", ["other.example.test"])
        self.clients = {name: self.root.make(name, f'client {name}') for name in ("one", "two", "barred")}
        self.clients["unknown"] = self.stranger.make("unknown", "client unknown")
        for line in (f"smtpd_tls_chain_files = {ec}, {rsa}", f"tls_server_sni_maps = texthash:{tern.etc}/sni",
                     f"smtpd_tls_CAfile = {self.root.certificate}", "smtpd_tls_security_level = may",
                     "smtpd_tls_loglevel = 2", "smtpd_client_connection_count_limit = 0", "smtpd_tls_received_header = yes", "smtpd_peername_lookup = no",
                     f"relay_clientcerts = texthash:{tern.etc}/relay_clientcerts",
                     "smtpd_authorized_xclient_hosts = 127.0.0.0/8"):
            tern.set(line)
        tern.file("sni", f"other.example.test {other}\n")
        two = self.clients["two"].with_suffix(".crt")
        tern.file("relay_clientcerts", f"{tls.fingerprint(self.clients['one'].with_suffix('.crt'))} one\n"
                                       f"{tls.key_fingerprint(two)} two\n")
        tern.file("ccert_access", f"{tls.fingerprint(self.clients['barred'].with_suffix('.crt'))} REJECT not you\n")
        if IDLE > 1000:  # full processes cut idle sessions short, as they should
            tern.set(f"service_session_limit = {IDLE * 2}")
        for name, options in SERVICES.items():
            tern.set(f"{self.ports[name]} inet n - - - - smtpd\n  -o syslog_name=postfix/{name}" +
                     "".join(f"\n  -o {option}" for option in options), "master.cf")

    def trusting(self, **options):
        return tls.context(roots=self.root.certificate, **options)

    def port(self, name=None):
        return self.ports[name] if name else self.tern.smtp_port


def test_plain_case(w):
    client = tls.Client(w.port())
    t.ok("STARTTLS" in client.say("EHLO a.example")[1], "EHLO offers STARTTLS")
    t.is_(client.say("STARTTLS now")[0], "501", "STARTTLS takes no argument")
    t.is_(client.say("MAIL FROM:<a@client.example>")[0], "250", "level may: mail goes in clear too")
    t.is_(client.say("STARTTLS")[0], "503", "no STARTTLS within a transaction")
    client.say("RSET")
    code, text = client.start_tls(w.trusting(), name="mx.example.test")
    t.ok(code == "250" and "STARTTLS" not in text, "after it STARTTLS is not offered")
    t.is_(client.socket.version(), "TLSv1.3", "TLS 1.3 is agreed to")
    t.is_(client.say("STARTTLS")[1], "554 5.5.1 Error: TLS already active\r\n", "no STARTTLS twice")
    replies = client.mail("a@client.example", ["ada@example.test"], MESSAGE)
    t.is_(replies[-1][0], "250", "a message is taken")
    client.quit()
    w.tern.send("a@client.example", ["ada@example.test"], b"Subject: in clear\n\nhello\n")
    mails = w.tern.wait_stored("ada", 2)
    text = re.sub(rb"\n[ \t]+", b" ", next(x for x in mails if b"over TLS" in x)).decode()
    t.ok(re.search(r"Received: from client.example \(\S+ \[127.0.0.1\]\) \(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
                   r"\(256/256 bits\) key-exchange X25519 server-signature ECDSA \(P-256\) server-digest SHA256\) "
                   r"\(No client certificate requested\) by mail.example.test \(tern\) with ESMTPS id", text),
         "the Received line tells of it", text)
    clear = re.sub(rb"\n[ \t]+", b" ", next(x for x in mails if b"in clear" in x)).decode()
    t.ok("with ESMTP id" in clear and "using" not in clear, "that of mail in clear does not", clear)
    log = w.tern.log()
    t.ok(re.search(r"smtpd\[\d+\]: setting up TLS connection from \S+\[127.0.0.1\]\n", log), "log: it begins", log)
    t.ok(re.search(r"smtpd\[\d+\]: Anonymous TLS connection established from \S+\[127.0.0.1\] to mx.example.test: TLSv1.3 with "
                   r"cipher TLS_AES_256_GCM_SHA384 \(256/256 bits\) key-exchange X25519 server-signature ECDSA \(P-256\) "
                   r"server-digest SHA256\n", log), "log: it is established, in Postfix's words", log)
    t.ok(w.tern.wait_log("starttls=1/4 ") or w.tern.wait_log("starttls=1/3 "), "disconnect counts STARTTLS")


def test_forgotten(w):
    client = tls.Client(w.port("encrypt"))
    t.is_(client.say("MAIL FROM:<a@client.example>")[1], "530 5.7.0 Must issue a STARTTLS command first\r\n",
          "level encrypt: no mail in clear")
    t.is_([client.say(x)[0] for x in ("RSET", "RCPT TO:<a@b>", "DATA", "VRFY a", "NOOP", "HELP")],
          ["530", "530", "530", "530", "250", "530"], "only the commands that RFC 3207 names go on in clear")
    client.start_tls(w.trusting(), helo=None)
    t.is_(client.say("MAIL FROM:<a@client.example>")[0], "503", "the greeting in clear is forgotten")
    client.say("EHLO b.example")
    t.is_(client.say("MAIL FROM:<a@client.example>")[0], "250", "then mail goes on")
    client.quit()

    client = tls.Client(w.port("encrypt"))
    client.say("XCLIENT NAME=proxied.example ADDR=192.0.2.77 LOGIN=somebody HELO=x.example")
    client.start_tls(w.trusting())
    client.say("MAIL FROM:<a@client.example>")
    client.say("RCPT TO:<nobody@example.test>")
    client.quit()
    t.ok(w.tern.wait_log("disconnect from") and t.wait_for(lambda: re.search(
        r"encrypt/smtpd\[\d+\]: NOQUEUE: reject: RCPT from \S+\[127.0.0.1\]", w.tern.log())), "what XCLIENT said in clear, too")


def test_injection(w):
    for name in (None, "modern"):
        client = tls.Client(w.port(name))
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@client.example>\r\n")
        t.is_(client.reply()[1], "554 5.5.0 Error: SMTP protocol synchronization\r\n",
              f"bytes behind STARTTLS end the session ({name or 'default'})")
        t.ok(client.ended(), "and nothing of them is carried out")
        client.close()
    client = tls.Client(w.port())
    client.say("STARTTLS")
    client.send(b"MAIL FROM:<evil@client.example>\r\n")
    t.ok(client.ended() and "evil" not in w.tern.log().split("improper command pipelining")[-1].split("\n", 1)[1],
         "bytes after the answer are no command either")
    client.close()
    t.ok(w.tern.wait_log("SSL_accept error from"), "log: SSL_accept error")
    # what a client sends in one piece with the last byte of its handshake is already encrypted, and counts
    client = tls.Client(w.port())
    client.start_tls(w.trusting(), helo=None)
    client.send(b"EHLO c.example\r\n")
    t.is_(client.reply()[0], "250", "a command right behind the handshake is heard")
    client.quit()


def test_wrapped(w):
    port = w.tern.smtps_port
    ok = tls.Client(port, wrapped={"context": tls.context(roots=w.root.certificate), "name": "mx.example.test"})
    t.ok(ok.greeting[0] == "220" and ok.socket.version() == "TLSv1.3", "TLS from the first byte, then the greeting")
    t.ok("STARTTLS" not in ok.say("EHLO a.example")[1], "STARTTLS is not offered there")
    ok.quit()
    for label, data in (("SMTP", b"EHLO a.example\r\n"), ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                        ("garbage", bytes(range(256)) * 20), ("half a record", b"\x16\x03\x01\x7f\xff\x01")):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
            plain.sendall(data)
            plain.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while piece := plain.recv(1000):
                    answer += piece
            except ConnectionError:
                pass
            t.ok(b"220" not in answer and b"mail." not in answer and len(answer) < 100, f"{label} in clear gets no SMTP",
                 answer)
    t.ok(w.tern.wait_log("SSL routines::http request"), "log: what it was")
    for protocol in ("h2", "imap"):
        outcome = tls.attempt(port, alpn=[protocol])
        t.ok("NO_APPLICATION_PROTOCOL" in outcome.upper().replace(" ", "_"), f"{protocol} by ALPN is refused", outcome)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        with tls.context(alpn=["h2", "smtp"]).wrap_socket(plain) as made:
            t.is_(made.selected_alpn_protocol(), "smtp", "smtp is agreed to")


def test_versions(w):
    ports = {"intermediate": w.tern.smtps_port}

    def starttls(port, **options):
        client = tls.Client(port)
        try:
            client.start_tls(tls.context(**options))
            return client.socket.cipher()[0]
        except (ssl.SSLError, OSError) as error:
            return f"refused: {getattr(error, 'reason', error)}"
        finally:
            client.close()

    for version in ("-tls1", "-tls1_1"):
        answer = tls.openssl("s_client", "-connect", f"127.0.0.1:{ports['intermediate']}", version, "-cipher",
                             "ALL:@SECLEVEL=0", input="", check=False)
        t.ok("Cipher is (NONE)" in answer.stdout and "alert protocol version" in answer.stderr, f"{version} is refused",
             answer.stdout + answer.stderr)
    t.is_(starttls(w.port(), most=V12), "ECDHE-ECDSA-AES256-GCM-SHA384", "TLS 1.2 is taken by default")
    for ciphers in ("ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256", "aNULL:@SECLEVEL=0", "DHE-RSA-AES256-GCM-SHA384"):
        t.ok(starttls(w.port(), most=V12, ciphers=ciphers).startswith("refused"), f"{ciphers} is not")
    t.is_(starttls(w.port("old"), most=V12, ciphers="ECDHE-ECDSA-AES128-SHA256"), "ECDHE-ECDSA-AES128-SHA256",
          "tls_policy = old takes more")
    t.ok(starttls(w.port("old"), most=V12, ciphers="ECDHE-ECDSA-CHACHA20-POLY1305").startswith("refused"),
         "but what smtpd_tls_exclude_ciphers names")
    t.ok(starttls(w.port("old"), most=V12, ciphers="AES128-GCM-SHA256").startswith("refused"), "nor RSA key exchange")
    t.ok(starttls(w.port("modern"), most=V12).startswith("refused"), "tls_policy = modern: no TLS 1.2")
    t.is_(starttls(w.port("modern")), "TLS_AES_256_GCM_SHA384", "but TLS 1.3")
    for kind in ("RSA", "ECDSA"):
        t.ok(kind in starttls(w.port(), most=V12, ciphers=f"a{kind}"), f"clients that know {kind} alone are served")
    client = tls.Client(w.port("none"))
    t.ok("STARTTLS" not in client.say("EHLO a")[1] and client.say("STARTTLS")[0] == "502", "level none")
    client.quit()
    client = tls.Client(w.port("discarding"))
    t.ok("STARTTLS" not in client.say("EHLO a")[1] and client.say("STARTTLS")[0] == "502", "STARTTLS withheld by setting")
    client.quit()


def test_names(w):
    def subject(name):
        client = tls.Client(w.port())
        client.start_tls(w.trusting(), name=name)
        names = [x[1] for x in client.socket.getpeercert()["subjectAltName"]]
        client.quit()
        return names

    t.is_(subject("other.example.test"), ["other.example.test"], "the certificate of the name asked for")
    t.is_(subject("OTHER.example.test"), ["other.example.test"], "in any case of letters")
    t.is_(subject("unknown.example.test"), ["mx.example.test"], "an unknown name gets the server's own")
    t.is_(subject(None), ["mx.example.test"], "and so does none")
    t.ok(w.tern.wait_log("[127.0.0.1] to other.example.test: TLSv1.3"), "log: the name")


def test_sessions(w):
    """Python's ssl shows a TLS 1.3 ticket once something has been read after it."""
    for label, options in (("TLS 1.3", {"least": V13}), ("TLS 1.2", {"most": V12})):
        context, session, reused = tls.context(**options), None, []
        for i in range(6):
            if i == 3:
                w.tern.run("reload", check=True)
            client = tls.Client(w.port())
            client.start_tls(context, session=session)
            client.say("NOOP")
            reused.append(client.socket.session_reused)
            session = client.socket.session
            client.quit()
        t.is_(reused, [False] + [True] * 5, f"{label}: every session is resumed, also by other processes after a reload")
    context = tls.context()
    client = tls.Client(w.port(), helo=None)
    client.start_tls(context)
    session = client.socket.session
    client.quit()
    t.ok(w.tern.wait_log("[127.0.0.1]: Reusing old session", count=10), "log: Reusing old session")


def test_client_certificates(w):
    def send(service, chain, recipient="x@elsewhere.example"):
        client = tls.Client(w.port(service))
        client.start_tls(tls.context(chain=w.clients[chain] if chain else None))
        client.say("MAIL FROM:<a@client.example>")
        text = client.say(f"RCPT TO:<{recipient}>")[1]
        client.quit()
        return text

    t.is_(send("asking", None)[:3], "554", "no certificate: not permitted")
    t.is_(send("asking", "one")[:3], "250", "permit_tls_clientcerts: by the certificate's fingerprint")
    t.is_(send("asking", "two")[:3], "250", "by the public key's")
    t.is_(send("asking", "barred")[:3], "554", "one that is not listed")
    t.is_(send("trusting", "barred", "ada@example.test").strip(),
          "554 5.7.1 <unknown[127.0.0.1]>: Client certificate rejected: not you", "check_ccert_access refuses")
    t.is_(send("trusting", "two")[:3], "250", "permit_tls_all_clientcerts: by the authority")
    t.is_(send("trusting", "unknown")[:3], "554", "not by another one")
    w.tern.wait_log("Untrusted TLS connection established")
    log = w.tern.log()
    t.ok(re.search(r"Trusted TLS connection established from \S+: TLSv1.3 .* client-signature ECDSA \(P-256\) client-digest "
                   "SHA256", log), "log: Trusted", log)
    t.ok("Untrusted TLS connection established from" in log and "certificate verification failed for unknown[127.0.0.1]: "
         "self-signed certificate in certificate chain" in log, "log: Untrusted, and why", log)
    t.ok(f"subject_CN=client one, issuer_CN=Test Root, fingerprint={tls.fingerprint(w.clients['one'].with_suffix('.crt'))}, "
         "pkey_fingerprint=" in log, "log: whose it is")
    client = tls.Client(w.port("trusting"))
    client.start_tls(tls.context(chain=w.clients["two"]))
    client.mail("a@client.example", ["bob@example.test"], MESSAGE)
    client.quit()
    mail = re.sub(rb"\n[ \t]+", b" ", (w.tern.wait_stored("bob") or [b""])[0]).decode()
    t.ok('(Client CN "client two", Issuer "Test Root" (verified OK))' in mail, "the Received line names it", mail)


def test_required_certificate(w):
    port = w.port("requiring")
    for chain, why in ((None, "Client did not present a certificate"), ("unknown", "Client certificate not trusted")):
        client = tls.Client(port, wrapped={"context": tls.context(chain=w.clients[chain] if chain else None)}, helo=None)
        t.is_(client.greeting[1], f"421 4.7.1 mail.example.test Error: {why}\r\n", f"smtpd_tls_req_ccert: {why}")
        t.ok(client.ended(), "and the session is over")
        client.close()
    t.ok(w.tern.wait_log("NOQUEUE: abort: TLS from unknown[127.0.0.1]: Client certificate not trusted"), "log: abort")
    client = tls.Client(port, wrapped={"context": tls.context(chain=w.clients["one"])})
    t.is_(client.greeting[0], "220", "who shows one is greeted")
    client.quit()


def test_attacks(w):
    # renegotiation: R is s_client's word for it
    process = subprocess.Popen([tls.OPENSSL, "s_client", "-connect", f"127.0.0.1:{w.tern.smtps_port}", "-tls1_2", "-crlf"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seen = ""
    while "220 mail" not in seen:
        seen += process.stdout.readline() or "220 mail (end)"
    process.stdin.write("R\n")
    process.stdin.flush()
    rest, _ = process.communicate("NOOP\nQUIT\n", timeout=30)
    t.ok("RENEGOTIATING" in rest and "no renegotiation" in rest and "250 2.0.0" not in rest, "no renegotiation", rest)

    # truncation: a message that is cut off without TLS's goodbye is none
    client = tls.Client(w.port())
    client.start_tls(tls.context())
    for command in ("MAIL FROM:<a@client.example>", "RCPT TO:<cut@example.test>", "DATA"):
        client.say(command)
    client.send(b"Subject: half\r\n\r\nhalf a li")
    client.file.close()
    descriptor = client.socket.detach()
    socket.socket(fileno=descriptor).close()
    t.ok(w.tern.wait_log("lost connection after DATA ("), "a connection that is cut off within content is lost")
    t.is_(w.tern.stored("cut"), [], "and its message is not taken")

    # a handshake that never ends is ended
    start, stalled = time.monotonic(), []
    for data in (b"", b"\x16\x03\x01\x02\x00\x01"):
        client = tls.Client(w.port("modern"))
        client.say("STARTTLS")
        client.send(data)
        stalled.append(client)
    other = tls.Client(w.port("modern"))
    t.is_(other.start_tls(tls.context())[0], "250", "others are served meanwhile")
    other.quit()
    t.ok(all(client.ended(15) for client in stalled) and time.monotonic() - start < 14, "a stalled handshake is bounded by time")
    t.ok(w.tern.wait_log("SSL_accept error from unknown[127.0.0.1]: Connection timed out"), "log: timed out")
    for client in stalled:
        client.close()
    # a byte at a time: the whole handshake has the time, not each byte
    client = tls.Client(w.port("modern"))
    client.say("STARTTLS")
    start = time.monotonic()
    try:
        for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200):
            client.send(bytes([byte]))
            time.sleep(0.1)
    except OSError:
        pass
    t.ok(1 < time.monotonic() - start < 10, "nor is it prolonged by a byte now and then")
    client.close()

    ports = []
    for i in range(3):
        client = tls.Client(w.port("counting"))
        ports.append(client.say("STARTTLS")[0])
        if ports[-1] == "220":
            client.wrap(tls.context())
            client.say("EHLO a")
        client.close()
    t.is_(ports, ["220", "220", "454"], "smtpd_client_new_tls_session_rate_limit")
    t.ok(w.tern.wait_log("New TLS session rate limit exceeded: 2 from unknown[127.0.0.1] for service"), "log: the limit")


def test_peers(w):
    if peers.find_program("swaks"):
        for words in (["--tls", "--server", f"127.0.0.1:{w.port()}"],
                      ["--tls-on-connect", "--server", f"127.0.0.1:{w.port('requiring')}", "--tls-cert",
                       w.clients["one"].with_suffix(".crt"), "--tls-key", w.clients["one"].with_suffix(".key")]):
            sent = subprocess.run(["swaks", "--to", "cyd@example.test", "--from", "s@client.example", *map(str, words)],
                                  capture_output=True, text=True, timeout=60)
            t.is_(sent.returncode, 0, f"swaks {words[0]}" if sent.returncode == 0 else sent.stdout + sent.stderr)
        t.is_(len(w.tern.wait_stored("cyd", 2)), 2, "its messages arrive")
    else:
        t.ok(True, "# SKIP swaks is not installed")
    finger = peers.find_program("posttls-finger")
    if finger:
        said = subprocess.run([finger, "-c", "-l", "secure", "-F", str(w.root.certificate), "-t", "20",
                               f"[127.0.0.1]:{w.port()}", "mx.example.test"], capture_output=True, text=True, timeout=60)
        t.ok("Verified TLS connection established to 127.0.0.1[127.0.0.1]" in said.stdout + said.stderr,
             "posttls-finger finds it verified", said.stdout + said.stderr)
    else:
        t.ok(True, "# SKIP posttls-finger is not installed")


def pss(pids):
    """KiB, of all these processes."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M)[1])
    return total


def test_idle(w):
    """What an idle TLS session costs, over all processes. Sanitizers take ten times as much."""
    sanitized = b"__asan_init" in (w.tern.libexec / "smtpd").read_bytes()
    context = tls.context()

    def session():
        client = tls.Client(w.port())
        client.start_tls(context)
        return client

    def all_pss():
        return pss([pid for _, pid in w.tern.pids()])

    idle = [session() for _ in range(IDLE // 10)]
    before = all_pss()
    idle += [session() for _ in range(IDLE)]
    bound = 600 if sanitized else 40
    t.ok(t.wait_for(lambda: (all_pss() - before) / IDLE < bound, 10, 0.5), f"an idle TLS session takes less than {bound} KiB")
    print(f"# {(all_pss() - before) / IDLE:.1f} KiB for each of {IDLE} idle TLS sessions, {all_pss() / 1024:.0f} MiB in all", flush=True)
    refused = [reply for client in idle if (reply := client.say("NOOP"))[0] != "250"]
    t.is_((len(refused), refused[:3]), (0, []), "and goes on when it wants to")
    for client in idle:
        client.close()


def test_stop(w):
    client = tls.Client(w.port())
    client.start_tls(tls.context())
    w.tern.stop()
    t.is_(client.reply()[0], "421", "when everything stops, an idle TLS session is told so")
    client.socket.settimeout(10)
    try:
        end = client.file.read(1)
    except (OSError, ssl.SSLError) as error:
        end = error
    t.is_(end, b"", "and ended as TLS wants it, with close_notify")
    client.close()


def test_no_certificate():
    with t.Instance(settings=["smtpd_tls_security_level=may"]) as tern:
        tern.set(f"{tern.port_base + 26} inet n - - - - smtpd\n  -o smtpd_tls_security_level=encrypt", "master.cf")
        tern.set(f"{tern.port_base + 27} inet n - - - - smtpd\n  -o smtpd_tls_wrappermode=yes", "master.cf")
        tern.start()
        client = tls.Client(tern.smtp_port)
        t.ok("STARTTLS" not in client.say("EHLO a")[1], "without a certificate STARTTLS is not offered")
        t.is_(client.say("STARTTLS")[1], "454 4.7.0 TLS not available due to local problem\r\n", "and not to be had")
        client.quit()
        t.ok(tern.wait_log("warning: No server certs available. TLS won't be enabled"), "log: why")
        client = tls.Client(tern.port_base + 26)
        t.is_(client.say("MAIL FROM:<>")[1], "454 4.7.0 TLS not available due to local problem\r\n",
              "where TLS is required it is our fault, and temporary")
        client.quit()
        with socket.create_connection(("127.0.0.1", tern.port_base + 27), timeout=20) as plain:
            t.is_(plain.recv(100), b"", "where it is the first thing nothing is said in clear")


def test_init():
    with t.Instance(tls=True) as tern:
        tern.start()
        context = tls.context(roots=tern.certificate)
        context.check_hostname = True
        client = tls.Client(tern.submission_port)
        client.start_tls(context, name="localhost")
        client.say("MAIL FROM:<a@client.example>")
        t.is_(client.say("RCPT TO:<postmaster@example.test>")[0], "554", "tern init --tls: submission wants a login")
        client.quit()
        client = tls.Client(tern.smtps_port, wrapped={"context": context, "name": "mail.example.test"})
        t.is_(client.greeting[0], "220", "and submissions begins with TLS")
        client.quit()
        client = tls.Client(tern.smtp_port)
        client.start_tls(context, name="mail.example.test")
        t.is_(client.mail("a@client.example", ["postmaster@example.test"], MESSAGE)[-1][0], "250", "mail comes in by STARTTLS")
        client.quit()
        mode = (tern.etc / "tls" / "chain.pem").stat().st_mode & 0o777
        t.is_(oct(mode), "0o600", "the key is its owner's alone")


def main():
    with t.Instance(tls=True) as tern:
        for user in ("ada", "bob", "cyd", "cut"):
            tern.add_user(user)
        w = World(tern)
        tern.start()
        for test in (test_plain_case, test_forgotten, test_injection, test_wrapped, test_versions, test_names, test_sessions,
                     test_client_certificates, test_required_certificate, test_attacks, test_peers, test_idle, test_stop):
            test(w)
    test_no_certificate()
    test_init()
    t.done()


main()
