// Calls others, and prints what came as JSON.
//   client.js http URL           three requests on one connection, the last with a chunked body
//   client.js h2c URL            three requests at once on one connection
//   client.js grpc TARGET KIND   a call to server.js: unary, down, up, both, hang, or "fail N"
//   client.js steady URL         50 requests a second until its input ends or SIGTERM; each that was not answered by 200 is told
'use strict';
const http = require('http');
const http2 = require('http2');

const print = (value) => console.log(JSON.stringify(value));

async function keepAlive(url) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set();
  const one = (body) => new Promise((resolve, reject) => {
    const request = http.request(`${url}/a/b%2Fc?x=1&y=%20`, {
      agent, method: body ? 'POST' : 'GET', timeout: 20000,
      headers: { 'x-own': 'yes', 'mesh-client-id': 'spiffe://forged/ns/a/sa/b', ...(body === 'declared' ? { 'content-length': 8 } : {}) },
    }, (response) => {
      let text = '';
      response.on('data', (d) => text += d);
      response.on('end', () => resolve({ status: response.statusCode, version: response.httpVersion === '1.1' ? 11 : 0, seen: JSON.parse(text) }));
    });
    request.on('socket', (s) => s.localPort ? ports.add(s.localPort) : s.once('connect', () => ports.add(s.localPort)));
    request.on('error', reject);
    if (body === 'chunked') {
      request.write('first ');
      request.end('second');
    } else {
      request.end(body);
    }
  });
  const answers = [await one(), await one('declared'), await one('chunked')];
  agent.destroy();
  print({ answers, connections: ports.size });
}

async function h2c(url) {
  const session = http2.connect(url);
  // Its own would be fd96::2:8002 for http://[fd96::2]:8002, which is no authority (RFC 3986 §3.2.2).
  const one = (path) => new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': path, ':authority': new URL(url).host });
    let text = '', headers;
    stream.on('response', (h) => headers = h);
    stream.on('data', (d) => text += d);
    stream.on('error', reject);
    stream.on('end', () => resolve({ status: headers[':status'], seen: JSON.parse(text) }));
    stream.end('body of ' + path);
  });
  const answers = await Promise.all(['/1', '/2', '/3'].map(one));
  session.close();
  print({ answers });
}

function grpc(target, kind) {
  const grpc = require('@grpc/grpc-js');
  const client = new grpc.Client(target, grpc.credentials.createInsecure());
  const raw = (b) => b;
  const metadata = new grpc.Metadata();
  metadata.set('x-asked', 'this');
  metadata.set('x-asked-bin', Buffer.from([0, 1, 255]));
  const options = { deadline: Date.now() + (kind === 'hang' ? 1500 : 30000) };
  const result = { messages: [] };
  const answered = (error, message) => { if (message) result.messages.push(message.toString()); if (error) result.error = { code: error.code, details: error.details }; };
  let call;
  if (kind === 'down') {
    call = client.makeServerStreamRequest('/pods.Echo/Down', raw, raw, Buffer.from('100'), metadata, options);
  } else if (kind === 'up') {
    call = client.makeClientStreamRequest('/pods.Echo/Up', raw, raw, metadata, options, answered);
    for (let i = 0; i < 10; i++) call.write(Buffer.alloc(100000, i));
    call.end();
  } else if (kind === 'both') {
    call = client.makeBidiStreamRequest('/pods.Echo/Both', raw, raw, metadata, options);
    let sent = 0;
    const next = () => sent < 5 ? call.write(Buffer.from(String(sent++))) : call.end();
    // The next one only when the last has come back: nothing may wait for the end of anything.
    call.on('data', next);
    next();
  } else {
    call = client.makeUnaryRequest('/pods.Echo/Unary', raw, raw, Buffer.from(kind), metadata, options, answered);
  }
  if (kind === 'down' || kind === 'both') {
    call.on('data', (d) => result.messages.push(d.toString()));
    call.on('error', (e) => answered(e));
  }
  call.on('metadata', (m) => {
    result.headers = Object.fromEntries(['x-caller', 'x-asked'].map((n) => [n, m.get(n)[0]]));
    result.bytes = (m.get('x-asked-bin')[0] ?? Buffer.alloc(0)).toString('hex');
  });
  call.on('status', (s) => {
    result.status = s.code;
    result.details = s.details;
    result.left = s.metadata.get('x-left')[0];
    setImmediate(() => { print(result); client.close(); });
  });
}

function steady(url) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const failures = [];
  let count = 0, ending = false, open = 0;
  const end = () => {
    if (ending && open === 0) {
      print({ count, failures });
      process.exit(0);
    }
  };
  const done = (failure) => {
    count++;
    open--;
    if (failure) failures.push(`${new Date().toISOString().slice(11, 23)} ${failure}`);
    if (count % 25 === 0) console.log(`done ${count} failed ${failures.length}`);
    end();
  };
  const tick = setInterval(() => {
    if (ending) return;
    open++;
    let told = false;
    const tell = (f) => { if (!told) { told = true; done(f); } };
    const request = http.get(url, { agent, timeout: 10000 }, (response) => {
      let text = '';
      response.on('data', (d) => text += d);
      response.on('end', () => tell(response.statusCode === 200 && response.complete ? null : `${response.statusCode} ${response.headers['mesh-error'] ?? ''} ${text.trim()}`));
      response.on('error', (e) => tell(`answer broke: ${e.message}`));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 10 s')));
    request.on('error', (e) => tell(e.message));
  }, 20);
  process.on('SIGTERM', () => { ending = true; clearInterval(tick); end(); });
  console.log('calling');
}

const [kind, ...rest] = process.argv.slice(2);
const run = { http: keepAlive, h2c, grpc, steady }[kind];
Promise.resolve(run(...rest)).catch((e) => { console.error(e); process.exit(1); });
