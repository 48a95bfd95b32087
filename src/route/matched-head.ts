import { cookiesOf } from '../peek/cookies';
import { NO_HEAD, type Asker, type RoutableHead } from '../peek/head';
import { normaliseHost } from './host';
import { normalisePath } from './path';
import { parametersOf } from './query';
import { Values } from './values';

const NOBODY: Asker = { client: Buffer.alloc(16) };

/**
 * A view of a head and who sent it, as rules see them: host and path normalised, parameters and cookies taken apart. Each is
 * made once, and only when a rule asks for it. Reusable: view() turns it to the next head.
 */
export class MatchedHead implements RoutableHead, Asker {
  private head: RoutableHead = NO_HEAD;
  private asker = NOBODY;
  private normalHost: string | undefined;
  private normalPath: string | undefined;
  private parameterValues: Values | undefined;
  private cookieValues: Values | undefined;
  private clientBytes: Buffer | undefined;

  view(head: RoutableHead, asker: Asker): this {
    this.head = head;
    this.asker = asker;
    this.normalHost = this.normalPath = undefined;
    this.parameterValues = this.cookieValues = undefined;
    this.clientBytes = undefined;
    return this;
  }

  /** Whether there is none: a connection of a protocol that Baton does not read. */
  get isAbsent(): boolean {
    return this.head === NO_HEAD;
  }

  get method(): string {
    return this.head.method;
  }

  get host(): string {
    return (this.normalHost ??= normaliseHost(this.head.host));
  }

  get path(): string {
    return (this.normalPath ??= normalisePath(this.head.path));
  }

  get query(): string {
    return this.head.query;
  }

  get parameters(): Values {
    return (this.parameterValues ??= new Values(parametersOf(this.head.query)));
  }

  get cookies(): Values {
    return (this.cookieValues ??= new Values(cookiesOf(this.head.header('cookie') ?? '')));
  }

  get client(): Buffer {
    return (this.clientBytes ??= this.asker.client);
  }

  get listener(): string {
    return this.asker.listener ?? '';
  }

  header(lowerCaseName: string): string | undefined {
    return this.head.header(lowerCaseName);
  }
}
