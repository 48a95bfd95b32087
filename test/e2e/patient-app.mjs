/** The application of the end-to-end suites, on a server that leaves idle connections alone: a test takes its time. */
import { createServer } from 'node:http';
import handle from './app.mjs';

const server = createServer(handle);
server.keepAliveTimeout = 120_000;

export default server;
