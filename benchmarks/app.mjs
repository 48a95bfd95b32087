/** The backends' application, the same for every competitor: `/N` answers with N octets from memory. */
const largest = Buffer.alloc(16 * 1024 * 1024, 'all work and no play makes a load balancer dull. ');

export default (request, response) => {
  const length = Number(request.url.slice(1));
  if (!Number.isInteger(length) || length > largest.length) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': length });
  response.end(largest.subarray(0, length));
};
