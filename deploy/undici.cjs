/**
 * What Baton uses of undici, for the bundles (build.sh): undici's index brings fetch, WebSocket, caches and mocks too, which
 * takes 60 ms of CPU at each start. A new version that has its files elsewhere fails the build; one whose index does more
 * for these classes than is done here fails the lab tests of the relay and of health checks.
 */
const Dispatcher = require('../node_modules/undici/lib/dispatcher/dispatcher');

// As its index does: `request` and the like.
Object.assign(Dispatcher.prototype, require('../node_modules/undici/lib/api'));

module.exports = {
  buildConnector: require('../node_modules/undici/lib/core/connect'),
  Client: require('../node_modules/undici/lib/dispatcher/client'),
  Pool: require('../node_modules/undici/lib/dispatcher/pool'),
};
