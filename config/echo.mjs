import { hostname } from 'node:os';

const node = process.env.BATON_NODE ?? hostname();

const LF = 0x0a;
const LONGEST_LINE = 4096;

/**
 * An echo server: greets who comes, and sends back each line with its number in the session and the session's name, which
 * `/name NAME` changes. The connection may move to another agent between any two octets: the session goes along as state, and
 * the beginning of a line goes back to where it was read from.
 */
export default {
  adopt(connection, state) {
    const { socket, client } = connection;
    const session = state === undefined ? { name: client.address, lines: 0 } : JSON.parse(state.toString());
    let rest = Buffer.alloc(0);

    const say = (text) => {
      if (socket.write(`${text}\n`)) return;
      socket.pause();
      socket.once('drain', () => {
        if (reading) socket.resume();
      });
    };
    const answer = (line) => {
      const [, name] = /^\/name (\S{1,64})$/.exec(line) ?? [];
      if (name !== undefined) session.name = name;
      session.lines += 1;
      say(`${session.lines} ${session.name} ${line}`);
    };
    const read = (piece) => {
      rest = Buffer.concat([rest, piece]);
      for (let end = rest.indexOf(LF); end >= 0; end = rest.indexOf(LF)) {
        answer(rest.toString('utf8', 0, end).replace(/\r$/, ''));
        rest = rest.subarray(end + 1);
      }
      if (rest.length > LONGEST_LINE) socket.destroy();
    };

    let reading = false;
    const begin = () => {
      reading = true;
      socket.on('data', read);
      socket.resume();
    };
    connection.onMove = () => {
      reading = false;
      socket.pause();
      socket.off('data', read);
      if (rest.length > 0) socket.unshift(rest);
      rest = Buffer.alloc(0);
      return Buffer.from(JSON.stringify(session));
    };
    connection.onStay = begin;

    // A client may have said all and still wants its answers.
    socket.on('end', () => {
      if (rest.length > 0) answer(rest.toString('utf8'));
      socket.end();
    });
    if (state === undefined) say(`echo at ${node}, hello ${session.name}`);
    begin();
  },
};
