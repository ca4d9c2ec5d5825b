"""A reload and a flush close together: what was being tried when the queue was flushed is tried again with the new
configuration, and from the moment that `tern reload` returns no process with the old one takes anything."""
import tern_test as t

refusal = ["450 4.2.0 later"]
greeted = []


class NextHop(t.Sink):
    def _say(self, connection, stage, text, good):
        if stage == "helo":
            greeted.append(text.split()[1])
        return super()._say(connection, stage, text, good)


hop = NextHop(lambda stage, text: refusal[0] if stage == "rcpt" else None)
with t.Instance() as tern:
    tern.set(f"relayhost = [127.0.0.1]:{hop.port}")
    tern.start()
    old, refused = [], 0
    for round_ in range(12):
        refusal[0] = "450 4.2.0 later"
        tern.send("a@example.test", [f"u{round_}@x.test"], b"Subject: x\n\nx\n")
        t.wait_for(lambda: f"to=<u{round_}@x.test>" in tern.log())  # said, but perhaps not written down yet
        refusal[0] = "550 5.2.0 no"
        tern.set(f"smtp_helo_name = n{round_}.test")
        tern.run("reload", check=True)
        before = len(greeted)
        tern.command("ternqueue", "-f", check=True)
        refused += bool(t.wait_for(lambda: any(f"to=<u{round_}@x.test>" in line and "status=bounced" in line
                                               for line in tern.log().splitlines())))
        old += [name for name in greeted[before:] if name != f"n{round_}.test"]
    t.is_(refused, 12, "each was tried again when the queue was flushed")
    t.is_(old, [], "and by processes with the new configuration")
t.done()
