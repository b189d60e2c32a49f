// Calls a unary method N times over xds:/// with xDS credentials and prints one line of JSON: who answered whom, how often, and what failed.
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

// The reply has two string fields, replica and caller, each short: tag, length, text.
function text(reply) {
  const texts = [];
  for (let at = 0; at < reply.length; at += 2 + reply[at + 1]) texts.push(reply.toString('utf8', at + 2, at + 2 + reply[at + 1]));
  return texts.join(' ');
}

function call(left) {
  if (left === 0) {
    console.log(JSON.stringify({ answers, failures }));
    client.close();
    process.exit(0);
  }
  const deadline = Date.now() + 10000;
  client.makeUnaryRequest(method, (b) => b, (b) => b, Buffer.alloc(0), new grpc.Metadata(), { deadline }, (error, reply) => {
    if (error) failures.push(`${error.code}: ${error.details}`);
    else { const who = text(reply); answers[who] = (answers[who] || 0) + 1; }
    call(left - 1);
  });
}
call(count);
