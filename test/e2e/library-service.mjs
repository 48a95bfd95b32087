/** The application as its own agent, by the library. The agent's configuration is the argument, as JSON. */
import { attach } from 'baton/agent';
import server from './echo-server.mjs';

const agent = await attach(server, JSON.parse(process.argv[2]));
process.once('SIGTERM', () => agent.stop());
