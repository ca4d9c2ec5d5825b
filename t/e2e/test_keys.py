#!/usr/bin/env python3
"""Private keys in a process of their own: certificates by name and kind, renewed under load without a
failed handshake, tickets that outlive the processes, files that are of no use, and what tern check says.
In place of smtpd runs keys_probe, which speaks TLS from the first byte."""

import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time

import tern_test as t

PROBE = t.BUILD / "t" / "e2e" / "keys_probe"
t.need("tern", *t.DAEMONS)
if not PROBE.is_file():
    t.skip_all("keys_probe is not built")

KINDS = {"rsa": ["rsa:2048"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "ed25519": ["ed25519"]}


def make(folder, name, kind="ec", days=90, extra=()):
    """A self-signed certificate with a key: FOLDER/NAME.key and .crt, and both in NAME.pem."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", *KINDS[kind], "-nodes", "-keyout", folder / f"{name}.key",
                    "-out", folder / f"{name}.crt", "-days", str(days), "-subj", f"/CN={name}", *extra],
                   check=True, capture_output=True)
    text = (folder / f"{name}.key").read_bytes() + (folder / f"{name}.crt").read_bytes()
    put(folder / f"{name}.pem", text)
    return text


def put(path, content):
    """As renewal programs do it: a new file takes the name."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    os.chmod(new, 0o600)
    os.rename(new, path)


def context(**options):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    for name, value in options.items():
        setattr(made, name, value)
    return made


PLAIN = context()


def name_of(der):
    """The subject's CN, which all certificates here have once or twice as a short text."""
    at = der.index(b"\x55\x04\x03")
    return der[at + 5:at + 5 + der[at + 4]].decode()


class Talk:
    """A connection to the probe."""

    def __init__(self, port, name="", how=PLAIN, session=None):
        raw = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket = how.wrap_socket(raw, server_hostname=name or None, session=session)
        self.name = name_of(self.socket.getpeercert(True))

    def ask(self, word="hello"):
        """(process, "full" or "reused"), as the server says."""
        self.socket.sendall(word.encode() + b"\r\n")
        answer = b""
        while not answer.endswith(b"\n"):
            got = self.socket.recv(1000)
            if not got:
                raise ConnectionError("no answer")
            answer += got
        process, how, _ = answer.decode().split()
        return int(process), how

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def served(tern, name="", how=PLAIN):
    """Whose certificate a client gets; None if it gets none."""
    try:
        with Talk(tern.smtp_port, name, how) as talk:
            return talk.name
    except (OSError, ssl.SSLError):
        return None


def waits_for(tern, wanted, name="", seconds=20):
    return t.wait_for(lambda: served(tern, name) == wanted, seconds)


def keys_pids(tern):
    return [pid for service, pid in tern.pids() if service == "keys"]


class Load:
    """Handshakes, one after the other, in threads; what went wrong is kept."""

    def __init__(self, tern, threads=3):
        self.tern = tern
        self.failures, self.names, self.processes, self.count = [], {}, set(), 0
        self.going = True
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        while self.going:
            try:
                with Talk(self.tern.smtp_port, how=context()) as talk:
                    process, _ = talk.ask()
                    self.processes.add(process)
                    self.names[talk.name] = self.names.get(talk.name, 0) + 1
                    self.count += 1
            except (OSError, ssl.SSLError, ValueError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")

    def end(self):
        self.going = False
        for thread in self.threads:
            thread.join(60)


def log_has(tern, words):
    return words in tern.log_file.read_text(errors="replace")


def names_and_kinds(tern, folder):
    for name, kind in (("default", "rsa"), ("second", "ec"), ("edwards", "ed25519"), ("a.test", "ec"), ("wild", "ec")):
        make(folder, name, kind)
    table = folder / "names"
    table.write_text(f"a.test {folder}/a.test.pem\n.wild.test {folder}/wild.pem\n")
    tern.set(f"smtpd_tls_chain_files = {folder}/default.pem, {folder}/second.pem")
    tern.set(f"tls_server_sni_maps = texthash:{table}, inline:{{b.test={folder}/edwards.pem}}")
    tern.start()
    only_ecdsa, only_rsa = context(maximum_version=ssl.TLSVersion.TLSv1_2), context(maximum_version=ssl.TLSVersion.TLSv1_2)
    only_ecdsa.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    only_rsa.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")
    t.is_(served(tern, how=only_ecdsa), "second", "a client that knows ECDSA alone gets that certificate")
    t.is_(served(tern, how=only_rsa), "default", "one that knows RSA alone gets the other")
    t.ok(served(tern) in ("default", "second"), "one that sends no name gets one of the two")
    for name, wanted in (("a.test", "a.test"), ("A.Test", "a.test"), ("x.wild.test", "wild"), ("y.x.wild.test", "wild"),
                         ("b.test", "edwards")):
        t.is_(served(tern, name), wanted, f"{name} gets its own certificate")
    for name in ("wild.test", "xa.test", "nobody.example"):
        t.ok(served(tern, name) in ("default", "second"), f"{name} gets the server's own")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for kind in ("default", "second", "edwards"):
            with t_files(tern, folder, kind):
                how = context(minimum_version=version, maximum_version=version)
                t.is_(served(tern, "c.test", how), kind, f"{version.name} with the key of {kind}")
    table.write_text(f"a.test {folder}/wild.pem\n")
    t.ok(waits_for(tern, "wild", "a.test"), "a changed table is noticed")


class t_files:
    """The name c.test has the certificate of that file for a while."""

    def __init__(self, tern, folder, kind):
        table = folder / "names"
        self.before, self.table = table.read_text(), table
        table.write_text(self.before + f"c.test {folder}/{kind}.pem\n")
        waits_for(tern, kind, "c.test")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.table.write_text(self.before)


def stapling(tern, folder):
    """A response beside the chain file is given to clients that ask, and is renewed like the rest."""
    issuer, index = folder / "second", folder / "index"
    serial = subprocess.run(["openssl", "x509", "-in", f"{issuer}.crt", "-noout", "-serial"], capture_output=True, text=True,
                            check=True).stdout.strip().split("=")[1]
    index.write_text(f"V\t350101000000Z\t\t{serial}\tunknown\t/CN=second\n")
    response = folder / "response"
    subprocess.run(["openssl", "ocsp", "-index", index, "-CA", f"{issuer}.crt", "-rsigner", f"{issuer}.crt", "-rkey",
                    f"{issuer}.key", "-issuer", f"{issuer}.crt", "-cert", f"{issuer}.crt", "-respout", response, "-ndays", "3"],
                   capture_output=True, check=True)

    def stapled():
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{tern.smtp_port}", "-status", "-servername",
                               "none.test", "-sigalgs", "ECDSA+SHA256"], input=b"", capture_output=True, timeout=30)
        return b"Cert Status: good" in done.stdout
    t.ok(not stapled(), "no OCSP response is given where there is none")
    put(folder / "second.pem.ocsp", response.read_bytes())
    t.ok(t.wait_for(stapled, 20, 0.3), "one that comes is given")
    put(folder / "second.pem.ocsp", b"<html>busy</html>")
    t.ok(t.wait_for(lambda: not stapled(), 20, 0.3), "one that is none is not")
    t.ok(log_has(tern, "second.pem.ocsp is not used"), "which the log tells")


def resumption(tern):
    """Python's client keeps sessions of TLS 1.3 only once data have come."""
    how = context()

    def session():
        with Talk(tern.smtp_port, how=how) as talk:
            talk.ask()
            return talk.socket.session

    def again(old):
        with Talk(tern.smtp_port, how=how, session=old) as talk:
            return talk.ask()[1]
    old = session()
    t.is_(again(old), "reused", "a session is resumed")
    before = keys_pids(tern)
    os.kill(before[0], signal.SIGTERM)
    t.ok(t.wait_for(lambda: served(tern) and set(keys_pids(tern)) - set(before), 30), "keys was ended, another one took over",
         (before, keys_pids(tern)))
    t.ok(t.wait_for(lambda: again(old) == "reused", 30), "a session from before is resumed all the same")
    t.ok(log_has(tern, "keys of session tickets"), "the log says that ticket keys were handed over")
    old, before = session(), keys_pids(tern)
    t.is_(tern.run("reload").returncode, 0, "reload")
    t.ok(t.wait_for(lambda: served(tern) and set(keys_pids(tern)) - set(before), 30), "another keys runs")
    t.ok(t.wait_for(lambda: again(old) == "reused", 30), "a session from before the reload is resumed, too")


def renewal(tern, folder):
    """Every 200 ms another certificate, or none that is any good, while clients come and go."""
    live = folder / "live.pem"
    made = [make(folder, f"state{i}", "rsa" if i % 2 else "ec") for i in range(8)]
    put(live, made[0])
    tern.set(f"smtpd_tls_chain_files = {live}")
    tern.run("reload")
    t.ok(waits_for(tern, "state0"), "the first certificate is served")
    t.ok(t.wait_for(lambda: len(keys_pids(tern)) == 1, 30), "one keys process is left")
    pids = tern.pids()
    load = Load(tern)
    end, step = time.monotonic() + 14, 0
    while time.monotonic() < end:
        step += 1
        if step % 7 == 3:
            put(live, made[step % 8][:1000])
        elif step % 7 == 5:
            put(live, made[step % 8].split(b"-----BEGIN CERT")[0] + made[(step + 1) % 8].split(b"PRIVATE KEY-----\n")[-1])
        elif step % 7 == 6:
            live.unlink()
        else:
            put(live, made[step % 8])
        time.sleep(0.2)
    put(live, made[3])
    t.ok(waits_for(tern, "state3"), "the last certificate is served in the end")
    load.end()
    t.is_(load.failures[:5], [], f"none of {load.count} handshakes failed while {step} states of the files came by")
    t.ok(load.count > 100 and len(load.names) >= 4, "and many certificates were met", load.names)
    t.is_(tern.pids(), pids, "no process was started anew for it")
    t.ok(log_has(tern, "the certificates of before are kept"), "the log tells of the files that were of no use")


def replaced(tern):
    """keys is replaced, and killed, under load."""
    load = Load(tern)
    for _ in range(3):
        before = keys_pids(tern)
        os.kill(before[-1], signal.SIGTERM)
        t.wait_for(lambda: set(keys_pids(tern)) - set(before), 20)
        time.sleep(0.3)
    t.ok(t.wait_for(lambda: len(keys_pids(tern)) == 1, 30), "those that were ended have gone")
    t.is_(load.failures[:5], [], "no handshake failed while keys was replaced three times")
    for _ in range(2):
        t.is_(tern.run("reload").returncode, 0, "reload under load")
        time.sleep(1)
    t.wait_for(lambda: len(keys_pids(tern)) == 1, 30)
    t.is_(load.failures[:5], [], "nor at two reloads")
    before, count = keys_pids(tern), load.count
    os.kill(before[0], signal.SIGKILL)
    t.ok(t.wait_for(lambda: load.count > count + 50, 60), "after a kill handshakes go on", (load.count, count))
    t.ok(keys_pids(tern) != before, "with another process")
    load.end()
    t.ok(len(load.failures) <= 3, "at most those fail whose signature was under way", load.failures[:10])


def broken(folder):
    """Nothing found at start is a reason not to start."""
    with t.Instance(daemons={"smtpd": PROBE}) as tern:
        make(folder, "late", "ec")
        tern.set(f"smtpd_tls_chain_files = {folder}/broken.pem")
        (folder / "broken.pem").write_text("not yet\n")
        tern.start()
        t.is_(served(tern), None, "without a certificate there is no TLS")
        t.ok(t.wait_for(lambda: log_has(tern, "/broken.pem: there is neither a certificate nor a private key in it"), 10),
             "the log says what is wrong")
        put(folder / "broken.pem", (folder / "late.pem").read_bytes())
        t.ok(waits_for(tern, "late"), "and there is, once the file is there")


def checked(folder):
    with t.Instance(daemons={"smtpd": PROBE}) as tern:
        def check(*settings):
            for setting in settings:
                tern.command("ternconf", "-c", tern.etc, "-e", setting, check=True)
            done = tern.run("check")
            return done.returncode, done.stderr
        make(folder, "good", "ec")
        make(folder, "soon", "ec", days=3)
        (folder / "open.pem").write_bytes((folder / "good.pem").read_bytes())
        os.chmod(folder / "open.pem", 0o644)
        put(folder / "mixed.pem", (folder / "good.key").read_bytes() + (folder / "soon.crt").read_bytes())
        locked = subprocess.run(["openssl", "pkcs8", "-topk8", "-in", folder / "good.key", "-passout", "pass:x"],
                                capture_output=True, check=True).stdout
        put(folder / "locked.pem", locked + (folder / "good.crt").read_bytes())
        t.is_(check(f"smtpd_tls_chain_files = {folder}/good.pem"), (0, ""), "tern check finds nothing wrong with a good file")
        for name, status, words in (("mixed", 1, "the private key does not fit the certificate"),
                                    ("locked", 1, "the private key is encrypted"),
                                    ("missing", 1, "it cannot be opened"),
                                    ("soon", 0, "warning: smtpd_tls_chain_files: the ECDSA certificate expires on"),
                                    ("open", 0, "warning: ")):
            code, text = check(f"smtpd_tls_chain_files = {folder}/{name}.pem")
            t.ok(code == status and words in text, f"tern check: {name}.pem", (code, text))
        code, text = check(f"smtpd_tls_chain_files = {folder}/good.pem", f"tls_server_sni_maps = inline:{{n.test={folder}/mixed.pem}}")
        t.ok(code == 1 and "tls_server_sni_maps: n.test: " in text, "tern check looks at the names' files, too", (code, text))


def main():
    with t.Instance(daemons={"smtpd": PROBE}) as tern:
        folder = pathlib.Path(tern.top) / "certificates"
        folder.mkdir()
        names_and_kinds(tern, folder)
        stapling(tern, folder)
        resumption(tern)
        renewal(tern, folder)
        replaced(tern)
        broken(folder)
        checked(folder)


main()
t.done()
