import type { Logger } from 'pino';
import { formatFlow } from '../kernel/flow';
import { cutOff, socketOn } from '../kernel/node-socket';
import type { FlowRecord } from '../steer/flow-table';
import type { Arrival } from './adopter';
import type { ControlServer } from './control-server';
import type { Estate, HeldRecord } from './estate';
import type { LiveConnection, LiveConnections } from './live-connections';
import type { PredecessorEvents } from './predecessor';
import { Inlet } from './request-gate';
import { recordOf, type SentConnection } from './succession-messages';
import type { Undelivered } from './undelivered';

export interface InheritanceParts {
  readonly estate: Estate;
  readonly live: LiveConnections;
  readonly undelivered: Undelivered;
  readonly control: Pick<ControlServer, 'rules' | 'reportClosed' | 'reportVoid'>;
  /** Gives a connection to whom it is for. */
  readonly admit: (connection: LiveConnection, arrival: Arrival) => void;
  readonly logger: Logger;
}

/** What an agent makes of what the one before it says: connections that come from there, and ends of those that do not. */
export class Inheritance implements PredecessorEvents {
  constructor(private readonly parts: InheritanceParts) {}

  holds(records: readonly HeldRecord[]): void {
    for (const record of records) this.parts.estate.add(record);
  }

  passed(sent: SentConnection, fd: number): void {
    const { estate, live, control, admit } = this.parts;
    const { front, details, raw, judged, served, ageMs, asked } = sent;
    const record = recordOf(sent);
    const rules = judged ? control.rules.inheritedOf(front) : undefined;
    if (judged && rules === undefined) {
      // Served unjudged it would get what its front's routes keep elsewhere.
      cutOff(socketOn(fd));
      this.lost(record, `no routes of ${front} to judge its requests by`);
      return;
    }
    estate.remove(record);
    const entry = rules && new Inlet(rules, false, served);
    const socket = entry === undefined ? socketOn(fd) : socketOn(fd, entry.read);
    const connection = live.add(record.flow, record.id, front, socket, details, { ageMs, asked });
    admit(connection, { entry, raw, state: bytesOf(sent.state), held: bytesOf(sent.held) });
  }

  lost(record: FlowRecord, cause: string): void {
    const { estate, control, logger } = this.parts;
    estate.remove(record);
    control.reportClosed(record);
    logger.error({ flow: formatFlow(record.flow), cause }, 'a connection of the agent before is lost');
  }

  closed(records: readonly FlowRecord[]): void {
    for (const record of records)
      if (this.parts.estate.remove(record)) this.parts.control.reportClosed(record);
  }

  voided(records: readonly FlowRecord[]): void {
    for (const record of records) {
      this.parts.estate.remove(record);
      this.parts.control.reportVoid(record);
    }
  }

  /** What has not been passed has ended with it; the kernel may still have something of it to deliver. */
  gone(): void {
    const { estate, undelivered, control } = this.parts;
    for (const record of estate.clear()) undelivered.add(record);
    control.rules.forgetInherited();
  }
}

function bytesOf(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : Buffer.from(text, 'base64');
}
