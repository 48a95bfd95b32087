// Runs on the host that has the VIP: accepts a connection, loses it as a killed front loses one in repair, and speaks in
// its name. Usage: node farewell.fixture.cjs DIST VIP CASE   -> `listening PORT`, then a JSON line
const { createServer } = require('node:net');
const [dist, vip, name] = process.argv.slice(2);
const { makeFlow } = require(`${dist}/kernel/flow`);
const { dump, DumpBuffer, silence, thaw, unmoved } = require(`${dist}/repair/dump`);
const { acknowledged, RECEIVE_SEQUENCE } = require(`${dist}/repair/layout`);
const { prepareFreeze, freeze } = require(`${dist}/repair/freeze`);
const { probeClient, resetClient } = require(`${dist}/repair/farewell`);

const CASES = {
  reset: { speak: resetClient, lost: true, offBy: 0 },
  probe: { speak: probeClient, lost: true, offBy: 0 },
  'probe with old numbers': { speak: probeClient, lost: true, offBy: 100_000 },
  'probe of a connection that lives': { speak: probeClient, lost: false, offBy: 0 },
};

prepareFreeze();
const server = createServer({ pauseOnConnect: true }, (accepted) => {
  const { fd } = accepted._handle;
  const flow = makeFlow(accepted.remoteAddress, accepted.remotePort, vip, server.address().port);
  const { speak, lost, offBy } = CASES[name];
  freeze(fd);
  const into = new DumpBuffer();
  dump(fd, flow, into);
  const sequence = into.bytes.readUInt32BE(RECEIVE_SEQUENCE);
  unmoved(fd, sequence);
  silence(fd);
  const numbers = {
    sequence: (sequence - offBy) >>> 0,
    acknowledged: (acknowledged(into.bytes, 0) - offBy) >>> 0,
  };
  // In repair, so that nobody hears of it.
  if (lost) accepted.destroy();
  else {
    thaw(fd);
    accepted.on('data', () => accepted.end('alive'));
  }
  setImmediate(() => {
    const result = speak(flow, numbers);
    console.log(JSON.stringify({ result }));
    if (!lost) accepted.resume();
  });
});
server.listen(0, vip, () => console.log(`listening ${server.address().port}`));
