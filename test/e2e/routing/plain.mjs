/** The application as an ordinary server that knows nothing of agents. Arguments: HOST, PORT. */
import server from './server.mjs';

const [host, port] = process.argv.slice(2);
server.listen(Number(port), host, () => console.log('listening'));
