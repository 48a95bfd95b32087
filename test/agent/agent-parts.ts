import pino from 'pino';
import { Adopter, type AdopterOptions } from '../../src/agent/adopter';
import { ControlServer, type LiveEvents } from '../../src/agent/control-server';
import { Estate } from '../../src/agent/estate';
import type { ControlSecurity } from '../../src/config/model';
import { LiveConnections } from '../../src/agent/live-connections';
import { Responses } from '../../src/agent/responses';
import { parseAddress } from '../../src/kernel/flow';

/** An address of this host that no other process of a test run uses: 127.0.0.0/8 is all loopback. */
const { pid } = process;
export const CONTROL = {
  host: `127.${1 + ((pid >> 16) & 127)}.${(pid >> 8) & 255}.${pid & 255}`,
  port: 7400,
  family: 4,
} as const;

export const VIP = '127.0.0.1';

/** For who has nothing to do with connections that move. */
export const NOBODY: LiveEvents = {
  taken: () => undefined,
  returned: () => undefined,
  reserved: () => undefined,
  lineLost: () => undefined,
  move: (_front, _record, _wish, kept) => kept('unknown'),
};

/** The parts of an agent that talk to fronts, put together without the rest of it. */
export class AgentParts {
  readonly live = new LiveConnections((connection) => this.control.reportClosed(connection));
  readonly adopter: Adopter;
  readonly control: ControlServer;
  readonly responses = new Responses();
  readonly estate = new Estate();
  /** Lines of the log, parsed. */
  readonly log: { msg: string; reason?: string; front?: string; cause?: string }[] = [];
  restores = 0;
  readonly lost: string[] = [];

  constructor(
    admit: AdopterOptions['admit'] = () => undefined,
    reservedFrom = Infinity,
    security: ControlSecurity = { insecure: true },
  ) {
    const logger = pino(
      {},
      { write: (line: string) => this.log.push(JSON.parse(line) as AgentParts['log'][0]) },
    );
    this.adopter = new Adopter({
      vips: [{ address: parseAddress(VIP) }],
      live: this.live,
      reservedFrom,
      serves: () => true,
      admit,
      restored: () => (this.restores += 1),
      lost: (_flow, cause) => {
        this.lost.push(cause);
      },
      voided: (record) => this.control.reportVoid(record),
    });
    const self = { node: 'b1', vips: [VIP] };
    this.control = new ControlServer(
      self,
      security,
      this.adopter,
      this.responses,
      logger,
      [],
      NOBODY,
      this.estate,
    );
  }

  close(): void {
    for (const { socket } of this.live) socket.destroy();
    this.control.close();
    this.adopter.close();
  }
}
