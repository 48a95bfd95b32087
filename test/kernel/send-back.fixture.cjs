/** Sends each socket that it gets back to where it came from. */
process.on('message', (message, socket) => process.send(message, socket));
