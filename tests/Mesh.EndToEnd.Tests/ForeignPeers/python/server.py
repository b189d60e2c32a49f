"""Serves every unary method over xDS credentials (C-core, gRFC A36): certificates and rules come from the control plane. Serves when it may; prints "started" before.

server.py <ip:port> <replica>
"""
import concurrent.futures
import sys

import grpc


def field(number, text):
    """The reply has two string fields, replica and caller, each short: tag, length, text."""
    data = text.encode()
    return bytes([number << 3 | 2, len(data)]) + data


class Everything(grpc.GenericRpcHandler):
    """Answers with its own name and the caller's."""

    def __init__(self, replica):
        self._replica = replica

    def service(self, handler_call_details):
        def answer(request, context):
            names = context.auth_context().get("peer_spiffe_id", [b""])
            return field(1, self._replica) + field(2, names[0].decode())

        return grpc.unary_unary_rpc_method_handler(answer)


address, replica = sys.argv[1], sys.argv[2]
server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), xds=True)
server.add_generic_rpc_handlers((Everything(replica),))
# No certificate provider named by the listener: plaintext.
server.add_secure_port(address, grpc.xds_server_credentials(grpc.insecure_server_credentials()))
server.start()
print("started", flush=True)
server.wait_for_termination()
