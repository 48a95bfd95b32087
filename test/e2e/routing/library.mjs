/** The application as its own agent, by the library, with ordinary connections beside. Arguments: the agent's configuration, HOST, PORT. */
import { attach } from 'baton/agent';
import server from './server.mjs';

const [config, host, port] = process.argv.slice(2);
const agent = await attach(server, JSON.parse(config));
process.once('SIGTERM', () => agent.stop().then(() => server.close()));
server.listen(Number(port), host, () => console.log('listening'));
