/**
 * Runs in a client's network namespace: opens TCP connections there and passes each to the process that asked for it.
 * A socket stays in the namespace that it was made in, whoever holds it afterwards.
 *
 *   in   { id, options }         options of net.connect
 *   out  { id } and the socket   or { id, error }
 */
const net = require('node:net');

process.on('message', ({ id, options }) => {
  const socket = net.connect(options);
  // Nothing may be read here: it would be lost to the new owner.
  socket.pause();
  socket.once('error', ({ code }) => process.send({ id, error: code }));
  socket.once('connect', () => process.send({ id }, socket));
});

process.on('disconnect', () => process.exit(0));
process.send('ready');
