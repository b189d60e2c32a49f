// Calls a unary method N times over xds:/// with xDS credentials and prints one line of JSON: who answered, how often, and what failed.
'use strict';
const grpc = require('@grpc/grpc-js');
const xds = require('@grpc/grpc-js-xds');

const [target, method, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
xds.register();

// No fallback to plaintext: without the control plane's TLS configuration the calls fail.
const refuse = grpc.credentials.createSsl(Buffer.from(''), null, null, { checkServerIdentity: () => new Error('fell back from xDS credentials') });
const client = new grpc.Client(target, new xds.XdsChannelCredentials(refuse));
const answers = {};
const failures = [];

function call(left) {
  if (left === 0) {
    console.log(JSON.stringify({ answers, failures }));
    client.close();
    process.exit(0);
  }
  const deadline = Date.now() + 10000;
  client.makeUnaryRequest(method, (b) => b, (b) => b, Buffer.alloc(0), new grpc.Metadata(), { deadline }, (error, reply) => {
    if (error) failures.push(`${error.code}: ${error.details}`);
    // The reply has one string field, number 1: tag, length, text.
    else { const who = reply.subarray(2).toString('utf8'); answers[who] = (answers[who] || 0) + 1; }
    call(left - 1);
  });
}
call(count);
