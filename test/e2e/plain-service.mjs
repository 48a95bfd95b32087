/** The application as an ordinary HTTP server that knows nothing of agents: HOST and PORT are the arguments. */
import server from './echo-server.mjs';

const [host, port] = process.argv.slice(2);
server.listen(Number(port), host, () => console.log('listening'));
