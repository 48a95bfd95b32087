import type { RouteConfig } from '../config/model';
import type { RoutableHead } from '../peek/head';
import type { Answer } from './destination';
import { Location } from '../route/location';
import { plainAnswer } from './plain-answer';

/** Values of the label `action` of responses_total. */
export type AnsweringAction = 'respond' | 'redirect' | 'deny';

/** What becomes of a request that the front answers itself. */
export class Answering {
  constructor(
    readonly action: AnsweringAction,
    /** What it answers a request with. */
    readonly answerTo: (head: RoutableHead) => Answer,
  ) {}
}

/** The answers of a route; undefined where it leads to a pool. */
export function answeringOf({ respond, redirect, deny }: RouteConfig): Answering | undefined {
  if (respond) {
    const { status, headers, body } = respond;
    const always = {
      status,
      fields: withType(Object.entries(headers).flat(), body),
      body: Buffer.from(body),
    };
    return new Answering('respond', () => always);
  }
  if (redirect) {
    const location = new Location(redirect.to);
    return new Answering('redirect', (head) => redirectTo(location.of(head), redirect.status));
  }
  if (deny) {
    const always = plainAnswer(deny.status);
    return new Answering('deny', () => always);
  }
  return undefined;
}

/** A body of which nobody says what it is would be guessed at. */
function withType(fields: string[], body: string): string[] {
  const typed = fields.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-type');
  return typed || body === '' ? fields : [...fields, 'Content-Type', 'text/plain; charset=utf-8'];
}

/** A request without a host cannot be told where to go by its host. */
function redirectTo(location: string | undefined, status: number): Answer {
  const { fields, ...rest } = plainAnswer(location === undefined ? 400 : status);
  return { ...rest, fields: location === undefined ? fields : ['Location', location, ...fields] };
}
