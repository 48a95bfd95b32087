/** The backends' application on a server that leaves idle connections alone: a question about those takes its time. */
import { createServer } from 'node:http';
import handle from './app.mjs';

const server = createServer(handle);
server.keepAliveTimeout = 0;

export default server;
