import type { RoutableHead } from '../peek/head';
import { normaliseHost } from './host';
import { normalisePath } from './path';

const NO_HEAD: RoutableHead = { method: '', host: '', path: '', query: '', header: () => undefined };

/**
 * A view of a head with its host and path normalised, once and only when a rule asks for it.
 * Reusable: view() turns it to the next head.
 */
export class NormalisedHead implements RoutableHead {
  private head = NO_HEAD;
  private normalHost: string | undefined;
  private normalPath: string | undefined;

  view(head: RoutableHead): this {
    this.head = head;
    this.normalHost = this.normalPath = undefined;
    return this;
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

  header(lowerCaseName: string): string | undefined {
    return this.head.header(lowerCaseName);
  }
}
