"""Calls a unary method N times over xds:/// with xDS credentials (C-core) and prints one line of JSON: who answered whom, how often, what failed."""
import json
import sys

import grpc

def text(reply):
    """The reply has two string fields, replica and caller, each short: tag, length, text."""
    texts, at = [], 0
    while at < len(reply):
        texts.append(reply[at + 2:at + 2 + reply[at + 1]].decode())
        at += 2 + reply[at + 1]
    return " ".join(texts)


target, method, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
# The fallback would be TLS to the machine's roots, which never signed a mesh identity: without the control plane's TLS configuration the calls fail.
credentials = grpc.xds_channel_credentials(grpc.ssl_channel_credentials())
answers, failures = {}, []
with grpc.secure_channel(target, credentials) as channel:
    call = channel.unary_unary(method, request_serializer=lambda b: b, response_deserializer=lambda b: b)
    for _ in range(count):
        try:
            who = text(call(b"", timeout=10))
            answers[who] = answers.get(who, 0) + 1
        except grpc.RpcError as error:
            failures.append(f"{error.code().name}: {error.details()}")
print(json.dumps({"answers": answers, "failures": failures}))
