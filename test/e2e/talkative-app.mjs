/** The application of the suites, printing a line for every request as applications do. */
import handle from './app.mjs';

export default function talk(request, response) {
  process.stdout.write(`application: ${request.method} ${request.url}\n`);
  handle(request, response);
}
