/** Sends each socket that it gets back to where it came from. */
process.on('message', (message, socket) => {
  // Node has begun to read from it, and goes on until the other process has it.
  socket._handle.readStop();
  process.send(message, socket);
});
