"""What tests of the queue share: an instance for two users, and a next hop that takes its time."""

import threading

import tern_test as t

SETTINGS = ["smtp_host_lookup=native", "disable_dns_lookups=yes", "direct_delivery_milliseconds=300"]
SMALL = b"From: a@client.test\nSubject: small\n\nOne line.\n"
SENDER = "anna@example.test"


class SlowSink(t.Sink):
    """Holds every final dot back while .gate is not set; .waiting counts those that wait."""

    def __init__(self):
        self.gate = threading.Event()
        self.waiting = 0
        super().__init__(self.reply)

    def reply(self, stage, text):
        if stage == "dot":
            self.waiting += 1
            self.gate.wait(60)
        return None


def instance(*settings, sink=None):
    tern = t.Instance(settings=[*SETTINGS, *settings])
    if sink:
        tern.set(f"relayhost = [127.0.0.1]:{sink.port}")
    for user in ("anna", "bert"):
        tern.add_user(user)
    return tern
