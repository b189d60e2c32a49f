// An app that knows nothing of a mesh.
//   server.js NAME http=PORT h2c=PORT grpc=PORT
'use strict';
const http = require('http');
const http2 = require('http2');

const [name, ...listeners] = process.argv.slice(2);
let left = listeners.length;
const serving = () => { if (--left === 0) console.log('serving'); };

// What it saw, as JSON.
function seen(request, response) {
  let body = '';
  request.on('data', (d) => body += d);
  request.on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ server: name, line: `${request.method} ${request.url} HTTP/${request.httpVersion}`, headers: request.headers, body }));
  });
}

function grpc(port) {
  const grpc = require('@grpc/grpc-js');
  const raw = (b) => b;
  const method = (path, requestStream, responseStream) =>
    ({ path, requestStream, responseStream, requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw });
  const service = {
    unary: method('/pods.Echo/Unary', false, false), down: method('/pods.Echo/Down', false, true),
    up: method('/pods.Echo/Up', true, false), both: method('/pods.Echo/Both', true, true),
  };
  // What the caller sent comes back in the headers, and how long it waits in the trailers.
  const greet = (call) => {
    const headers = new grpc.Metadata();
    headers.set('x-caller', call.metadata.get('mesh-client-id')[0] ?? 'nobody');
    headers.set('x-asked', call.metadata.get('x-asked')[0] ?? '');
    headers.set('x-asked-bin', call.metadata.get('x-asked-bin')[0] ?? Buffer.alloc(0));
    call.sendMetadata(headers);
  };
  const trailers = (call) => {
    const trailers = new grpc.Metadata();
    const deadline = call.getDeadline();
    trailers.set('x-left', String(deadline === Infinity ? 'none' : Math.round((deadline - Date.now()) / 1000)));
    return trailers;
  };
  const server = new grpc.Server();
  server.addService(service, {
    unary(call, callback) {
      greet(call);
      const text = call.request.toString();
      if (text.startsWith('fail ')) {
        callback({ code: Number(text.slice(5)), details: 'as asked: größer', metadata: trailers(call) });
      } else if (text !== 'hang') {
        callback(null, call.request, trailers(call));
      }
    },
    down(call) {
      greet(call);
      for (let i = 0; i < Number(call.request.toString()); i++) call.write(Buffer.from(`message ${i}`));
      call.end(trailers(call));
    },
    up(call, callback) {
      greet(call);
      let bytes = 0, count = 0;
      call.on('data', (d) => { bytes += d.length; count++; });
      call.on('end', () => callback(null, Buffer.from(`${count} messages, ${bytes} bytes`), trailers(call)));
    },
    both(call) {
      greet(call);
      call.on('data', (d) => call.write(Buffer.concat([Buffer.from('echo '), d])));
      call.on('end', () => call.end(trailers(call)));
    },
  });
  server.bindAsync(`[::]:${port}`, grpc.ServerCredentials.createInsecure(), (error) => { if (error) throw error; serving(); });
}

for (const listener of listeners) {
  const [kind, port] = listener.split('=');
  if (kind === 'grpc') grpc(port);
  else (kind === 'h2c' ? http2.createServer(seen) : http.createServer(seen)).listen(Number(port), '::', serving);
}
