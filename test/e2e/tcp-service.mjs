/**
 * What agents serve connections without a head with. The port of the VIP says how: 7001 is greeted, with who is where, 7002 is
 * not spoken to before it has said something; either gets back what it sends.
 */
const GREETED = 7001;

export default {
  adopt({ socket, client, vip }) {
    if (vip.port === GREETED) {
      const { remoteAddress: remote, remotePort } = socket;
      socket.write(`${JSON.stringify({ node: process.env.BATON_NODE, client, vip, remote, remotePort })}\n`);
    }
    socket.pipe(socket);
  },
};
