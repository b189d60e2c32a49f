"""Asks a SPIFFE Workload API for X.509-SVIDs with gRPC's C-core and prints one line of JSON: the identity, and the certificates, key and roots in hexadecimal."""
import json
import sys

import grpc


def fields(message):
    """Field number and bytes of each length-delimited field."""
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag, length = varint(), varint()
        yield tag >> 3, message[at:at + length]
        at += length


socket, method = sys.argv[1], sys.argv[2]
header = (("workload.spiffe.io", "true"),) if len(sys.argv) < 4 else ()
options = (("grpc.default_authority", "localhost"),)
with grpc.insecure_channel("unix:" + socket, options=options) as channel:
    call = channel.unary_stream("/SpiffeWorkloadAPI/" + method, request_serializer=lambda b: b, response_deserializer=lambda b: b)
    try:
        answer = next(iter(call(b"", metadata=header, timeout=20)))
        svid = dict(fields(dict(fields(answer))[1]))
        print(json.dumps({"id": svid[1].decode(), "chain": svid[2].hex(), "key": svid[3].hex(), "bundle": svid[4].hex()}))
    except grpc.RpcError as error:
        print(json.dumps({"error": error.code().name, "details": error.details()}))
