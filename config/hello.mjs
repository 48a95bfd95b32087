import { hostname } from 'node:os';

const node = process.env.BATON_NODE ?? hostname();

/** Says who answers whom: behind a handoff `client` is the client's own address, not the front's. */
export default function hello(req, res) {
  const [path] = req.url.split('?');
  const body = path === '/healthz' ? { ok: true } : { node, path, client: req.socket.remoteAddress };
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(`${JSON.stringify(body)}\n`);
}
