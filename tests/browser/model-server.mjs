// A server of models that can be told to misbehave: breaks connections, knows no ranges, changes files between two requests,
// trickles, answers with pages. On a port of its own, so that what other sites' pages may ask and read (CORS) is tested too.

import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

const PIECE = 64 * 1024;

/** @typedef {object} Served
 * @property {Buffer} body
 * @property {string} [etag] `"one"` unless told otherwise
 * @property {boolean} [ranges] true unless told otherwise
 * @property {boolean} [length] whether it says how long the file is: true unless told otherwise
 * @property {number[]} [breaks] after so many bytes of each next answer the connection breaks
 * @property {number} [status] instead of the file
 * @property {string} [type]
 * @property {boolean} [preflight] whether other sites' pages may ask with `If-Range`: true unless told otherwise
 * @property {number} [msPerPiece] a pause before each 64 KiB */

export async function modelServer() {
  /** @type {Map<string, Served>} */
  const files = new Map();
  /** @type {{path: string, range?: string, ifRange?: string, sent: number, closed: number}[]} */
  const requests = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const file = files.get(pathname);
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-expose-headers', 'etag, content-range');
    if (request.method === 'OPTIONS') {
      if (file?.preflight ?? true) response.setHeader('access-control-allow-headers', 'range, if-range');
      response.writeHead(204).end();
      return;
    }
    const { range, 'if-range': ifRange } = request.headers;
    const entry = { path: pathname, range, ifRange, sent: 0, closed: 0 };
    requests.push(entry);
    response.on('close', () => (entry.closed = Date.now()));
    if (!file || file.status) {
      response.writeHead(file?.status ?? 404, { 'content-type': 'text/plain' }).end('no');
      return;
    }
    const { body, etag = '"one"', ranges = true, length = true, breaks = [], type = 'application/octet-stream', msPerPiece = 0 } = file;
    const rest = ranges && range && (!ifRange || ifRange === etag);
    const from = rest ? Number(/^bytes=(\d+)-$/.exec(range)[1]) : 0;
    const headers = { 'content-type': type, etag };
    if (length) headers['content-length'] = String(body.length - from);
    if (rest) headers['content-range'] = `bytes ${from}-${body.length - 1}/${body.length}`;
    response.writeHead(rest ? 206 : 200, headers);
    const breaksAt = from + (breaks.shift() ?? Infinity);
    for (let at = from; at < body.length && !response.destroyed; ) {
      if (msPerPiece) await pause(msPerPiece);
      const end = Math.min(at + PIECE, body.length, breaksAt);
      await new Promise((written) => response.write(body.subarray(at, end), written));
      entry.sent += end - at;
      at = end;
      if (at >= breaksAt) {
        // What was written has a moment to arrive: a reset would take it along.
        await pause(50);
        response.destroy();
        return;
      }
    }
    response.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `localhost:${server.address().port}`,
    url: (path) => `http://localhost:${server.address().port}${path}`,
    /** @param {string} path @param {Served} file */
    put: (path, file) => files.set(path, file),
    file: (path) => files.get(path),
    requests,
    sent: () => requests.reduce((sum, { sent }) => sum + sent, 0),
    forget: () => requests.splice(0),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
