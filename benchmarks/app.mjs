/** The backends' application, the same for every competitor: `/N` answers with N octets from memory, a POST with its length. */
const largest = Buffer.alloc(16 * 1024 * 1024, 'all work and no play makes a load balancer dull. ');

export default (request, response) => {
  if (request.method === 'POST') {
    takeBody(request, response);
    return;
  }
  const length = Number(request.url.slice(1));
  if (!Number.isInteger(length) || length > largest.length) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': length });
  response.end(largest.subarray(0, length));
};

/** How many octets have arrived; Node itself cuts the connection where there are fewer than announced. */
function takeBody(request, response) {
  let length = 0;
  request.on('data', (piece) => (length += piece.length));
  request.on('end', () => {
    const text = String(length);
    // With its length said, or a proxy that speaks HTTP/1.0 to its backends would answer in chunks.
    response.writeHead(200, { 'content-length': text.length }).end(text);
  });
}
