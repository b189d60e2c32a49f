'use strict';
// An ordinary Node service: it knows nothing of the mesh. Its container shares the network of a sidecar, which does the rest.
const http = require('node:http');

const port = Number(process.env.PORT ?? 8080);
const next = process.env.NEXT ?? 'http://python:8080';
const agent = new http.Agent({ keepAlive: true });

function get(url) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent, timeout: 10_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part) => { body += part; });
      response.on('end', () => resolve({ status: response.statusCode, body }));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`${url} did not answer within 10 s`)));
    request.on('error', reject);
  });
}

async function answer(path, note) {
  switch (path) {
    case '/healthz':
      return [200, { status: 'ok' }];
    case '/name':
      return [200, { node: process.versions.node, note }];
    case '/': {
      const { status, body } = await get(`${next}/?note=${encodeURIComponent(note)}`);
      return status === 200
        ? [200, { node: process.versions.node, note, asked: JSON.parse(body) }]
        : [502, { error: `${next} answered ${status}: ${body}` }];
    }
    default:
      return [404, { error: `there is no ${path}` }];
  }
}

const server = http.createServer(async (request, response) => {
  let status, body;
  try {
    const { pathname, searchParams } = new URL(request.url, 'http://node');
    [status, body] = await answer(pathname, searchParams.get('note') ?? '');
  } catch (error) {
    [status, body] = [502, { error: error.message }];
  }

  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
});

server.listen(port, () => console.log(`node listens on ${port} and asks ${next}`));
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  agent.destroy();
});
