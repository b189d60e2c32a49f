// Serves unary methods over xDS credentials (gRFC A36): addresses, certificates and rules come from the control plane. Prints "serving" when it may.
//   server.js <ip:port> <replica> <method>…
'use strict';
const grpc = require('@grpc/grpc-js');
const xds = require('@grpc/grpc-js-xds');

const [address, replica, ...methods] = process.argv.slice(2);
xds.register();

// The reply has two string fields, replica and caller, each short: tag, length, text.
function field(number, text) {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([number << 3 | 2, bytes.length]), bytes]);
}

function caller(call) {
  const names = call.getAuthContext().sslPeerCertificate?.subjectaltname ?? '';
  return names.startsWith('URI:') ? names.slice(4) : names;
}

const raw = (b) => b;
const service = {};
const answers = {};
methods.forEach((path, i) => {
  service[`m${i}`] = { path, requestStream: false, responseStream: false, requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw };
  answers[`m${i}`] = (call, callback) => callback(null, Buffer.concat([field(1, replica), field(2, caller(call))]));
});

const server = new xds.XdsServer();
server.addService(service, answers);
// No certificate provider named by the listener: plaintext.
server.bindAsync(address, new xds.XdsServerCredentials(grpc.ServerCredentials.createInsecure()), (error) => {
  if (error) throw error;
  console.log('serving');
});
