/**
 * The application as an ordinary HTTP server that knows nothing of agents: HOST, PORT and, where idle connections are to stay, the
 * seconds that they may are the arguments.
 */
import server from './echo-server.mjs';

const [host, port, patience] = process.argv.slice(2);
if (patience !== undefined) server.keepAliveTimeout = 1000 * Number(patience);
server.listen(Number(port), host, () => console.log('listening'));
